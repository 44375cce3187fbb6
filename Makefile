# Every target is plain commands that also work by hand; the longer ones are scripts.
.PHONY: help quickstart check format lint tidy deny test jar wheel bench dist

help:               ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

quickstart:         ## build, then from events to recommendations you can read, in a scratch folder
	scripts/setup
	scripts/quickstart

check: format lint tidy deny ## everything that needs no running program

format:             ## code is formatted
	cargo fmt --all --check

lint:               ## no warnings from the compiler and clippy
	cargo clippy --workspace --all-targets --locked -- --deny warnings

tidy:               ## the rules of the house: tests/tidy
	cargo test --package tests --test tidy --locked --quiet

deny:               ## licences, sources and known holes of what we depend on
	scripts/setup check
	scripts/deny

# Two at a time: they wait more than they compute. Longest first. Cargo has all cores, whatever make thinks.
unexport MAKEFLAGS
TESTS = test-rust test-spark test-search test-ballista test-deploy test-flight test-python test-clients test-quickstart
TOGETHER = $(MAKE) --no-print-directory --jobs=2 --output-sync=target

test:               ## all tests, against real parts and the program, unoptimized
	scripts/setup browser jvm python stores
	$(TOGETHER) test-programs test-parts
	$(TOGETHER) $(TESTS)

PROGRAM = $(or $(CARGO_TARGET_DIR),target)/debug/arblast

.PHONY: $(TESTS) test-programs test-parts
test-programs:
	cargo build --workspace --bins --tests --locked

# What tests download, so that no two of them do at once.
test-parts:
	tests/spark/run fetch
	tests/flight/run fetch
	for server in java elasticsearch-5.5.0 elasticsearch-8.19.21 $(SEARCH_SERVERS); do scripts/elasticsearch $$server || exit 1; done

test-rust:
	cargo test --workspace --locked

# Those that want a newer Java; the others' suite is one of test-rust.
SEARCH_SERVERS = elasticsearch-9.5.3 opensearch-3.8.0
test-search:
	for server in $(SEARCH_SERVERS); do \
	  ES_JAVA_HOME=$$(scripts/elasticsearch java) ARBLAST_TEST_SEARCH=$$server cargo test --workspace --locked --test suite -- --skip faults || exit 1; \
	done

test-spark:
	ARBLAST=$$(realpath $(PROGRAM)) scripts/jar
	scripts/library-size
	ARBLAST=$(PROGRAM) tests/spark/run

test-clients test-deploy test-flight test-python test-ballista: test-%:
	ARBLAST=$(PROGRAM) tests/$*/run

test-quickstart:
	ARBLAST=$(PROGRAM) scripts/quickstart

jar:                ## jvm-shim/target/arblast-spark.jar, for spark-submit
	scripts/setup jvm
	scripts/jar

wheel:              ## target/wheels/arblast-….whl, for pip install
	scripts/setup python
	scripts/wheel

bench:              ## measure; prints a table and keeps it under bench/
	bench/run

dist:               ## release archive and its SHA-256 under target/dist
	scripts/setup jvm python
	scripts/dist
