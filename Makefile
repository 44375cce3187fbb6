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

test:               ## all tests, then the quickstart against the same program, unoptimized
	scripts/setup browser jvm python stores
	cargo build --workspace --bins --tests --locked
	cargo test --workspace --locked
	ARBLAST=$${CARGO_TARGET_DIR:-target}/debug/arblast tests/clients/run
	ARBLAST=$${CARGO_TARGET_DIR:-target}/debug/arblast tests/deploy/run
	ARBLAST=$${CARGO_TARGET_DIR:-target}/debug/arblast tests/flight/run
	ARBLAST=$${CARGO_TARGET_DIR:-target}/debug/arblast scripts/quickstart
	ARBLAST=$$(realpath $${CARGO_TARGET_DIR:-target}/debug/arblast) scripts/jar
	scripts/library-size
	ARBLAST=$${CARGO_TARGET_DIR:-target}/debug/arblast tests/spark/run
	ARBLAST=$${CARGO_TARGET_DIR:-target}/debug/arblast tests/python/run
	ARBLAST=$${CARGO_TARGET_DIR:-target}/debug/arblast tests/ballista/run

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
