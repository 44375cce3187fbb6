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

BESIDE_SPARK = test-clients test-search test-python test-flight test-quickstart
ALONE = test-deploy test-ballista
TESTS = test-rust test-spark $(BESIDE_SPARK) $(ALONE)
TOGETHER = $(MAKE) --no-print-directory --jobs=2 --output-sync=target
# Cargo has all cores, whatever make thinks.
ALL_CORES = env -u MAKEFLAGS
# What else is to be done while tests wait for servers.
BESIDE =
# Servers keep their clients waiting half of the time, so two things are done at once; those that kill servers and look at the clock
# are alone.
test:               ## all tests, against real parts and the program, unoptimized
	scripts/setup
	$(TOGETHER) test-programs test-parts
	$(TOGETHER) test-rust-quick test-products-and-patience $(BESIDE)
	$(TOGETHER) test-spark test-beside-spark
	$(MAKE) --no-print-directory $(ALONE)

PROGRAM = $(or $(CARGO_TARGET_DIR),target)/debug/arblast

.PHONY: $(TESTS) test-programs test-parts test-products test-rust-quick test-rust-patient test-rust-h test-rust-o test-products-and-patience test-beside-spark
test-programs:
	$(ALL_CORES) cargo build --workspace --bins --tests --locked

# What tests want of the system and download, so that no two of them do at once.
test-parts:
	scripts/setup browser jvm python stores
	tests/spark/run fetch
	tests/flight/run fetch
	for server in java elasticsearch-5.5.0 elasticsearch-8.19.21 $(SEARCH_SERVERS); do scripts/elasticsearch $$server || exit 1; done

test-products:
	ARBLAST=$$(realpath $(PROGRAM)) $(ALL_CORES) -u RUSTC_WORKSPACE_WRAPPER nice -n 19 scripts/jar
	$(ALL_CORES) nice -n 19 scripts/wheel --profile dev

test-rust: test-rust-quick test-rust-patient

# The suites of HBase and of object stores, which mostly wait, are those whose names begin with h and o.
test-rust-quick:
	$(ALL_CORES) cargo test --workspace --locked --lib --bins --examples --test '[!ho]*'

test-rust-patient: test-rust-h test-rust-o

test-rust-h test-rust-o: test-rust-%:
	$(ALL_CORES) cargo test --workspace --locked --test '$**'

# What is built gives way to tests.
test-products-and-patience: test-products
	$(ALL_CORES) $(TOGETHER) test-rust-patient

test-beside-spark:
	$(ALL_CORES) $(MAKE) --no-print-directory $(BESIDE_SPARK)

# Those that want a newer Java; the others' suite is one of test-rust.
SEARCH_SERVERS = elasticsearch-9.5.3 opensearch-3.8.0
test-search:
	for server in $(SEARCH_SERVERS); do \
	  ES_JAVA_HOME=$$(scripts/elasticsearch java) ARBLAST_TEST_SEARCH=$$server cargo test --workspace --locked --test suite -- --skip faults || exit 1; \
	done

test-spark:
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
