# Everything that a person or CI does with this checkout. `make demo` and `make test` need nothing installed by
# hand but Rust: `setup` gets the rest. Each target is a script or two, so that each can also be run alone.

.PHONY: demo test build lint unit-test e2e-test setup images man bench bench-peers clean help

help: ## what there is
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: setup build images ## builds, then walks through what containers do, with real output
	scripts/demo.sh

test: setup build lint unit-test e2e-test ## everything that CI runs

setup: ## installs the Debian packages that are missing
	scripts/setup.sh

build: ## the two static executables, in release mode
	scripts/build.sh

lint: ## rustfmt, clippy with warnings denied, licences and bans of dependencies
	scripts/lint.sh

unit-test: ## the tests of each crate
	scripts/test.sh --workspace --exclude bulkhead-tests

e2e-test: ## the tests of the built executables, each on a host of its own; needs `build`
	scripts/build.sh --fail-points
	scripts/clients.sh
	scripts/test.sh -p bulkhead-tests

images: ## the images that tests and demo use, made once from Debian's packages into target/test-images
	scripts/images.sh

man: ## a man page for each command, in target/man
	cargo run --quiet -p bulkhead-cli --example man-pages -- target/man

bench: setup build images ## one table: our times beside those of the peers that are installed
	scripts/bench.sh

bench-peers: ## installs the engines and runtimes that `bench` compares with
	scripts/setup.sh --peers

clean: ## removes what was built, and the test images
	cargo clean
