# The targets are listed by `make help`.

GO ?= $(shell command -v go || echo /usr/local/go/bin/go)
PREFIX ?= /usr/local
DESTDIR ?=
FUZZTIME ?= 10s

tools := md-pull md-rootfs md-cgroup md-net md-spawn md-ps mydocker
export GO
export CGO_ENABLED = 0
# Git refuses to show the version of another user's checkout, which makes go build fail.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

.DEFAULT_GOAL := build
.PHONY: build docs help demo test setup-test check unit kernel e2e test-v2 soak fuzz validate sample mutations bench install clean

build: ## build the programs into bin/ (default)
	$(GO) build -trimpath -buildvcs=false -ldflags '-s -w' -o bin/ $(tools:%=./cmd/%)

# The programs generate everything in build/share from their command tables.
man := build/share/man
completions := bash-completion/completions zsh/site-functions fish/vendor_completions.d

docs: build ## generate man pages and completion scripts in build/share
	rm -rf build/share
	install -d $(man)/man1 $(man)/man7 $(completions:%=build/share/%)
	set -e; for tool in $(tools); do \
	  bin/$$tool --man >$(man)/man1/$$tool.1; \
	  bin/$$tool --completion bash >build/share/bash-completion/completions/$$tool; \
	  bin/$$tool --completion zsh >build/share/zsh/site-functions/_$$tool; \
	  bin/$$tool --completion fish >build/share/fish/vendor_completions.d/$$tool.fish; \
	done
	bin/mydocker --man md-pipeline >$(man)/man7/md-pipeline.7

help: ## list the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## show a session, on a fresh Debian 12 (root)
	scripts/demo

test: ## run all tests, as CI does (root)
	scripts/test/all

setup-test:
	scripts/setup test

check: docs ## check format, vet, shellcheck, dependencies, man pages and completion
	scripts/test/check
	scripts/test/docs

unit: ## run go test as an ordinary user
	scripts/test/unit

kernel: ## run go test without skips, and check for leaks (root)
	scripts/test/kernel

e2e: build ## run the end-to-end tests in shells, with a local registry (root)
	scripts/test/e2e

test-v2: build ## run kernel tests and the README's session in a VM with cgroup v2 (root)
	scripts/test/v2

soak: build ## inject faults into every command, about an hour (root)
	scripts/faults/all

fuzz: ## fuzz each parser for FUZZTIME (10s)
	scripts/test/fuzz $(FUZZTIME)

validate: build ## run the OCI's validation programs on md-spawn and runc, 5 minutes (root)
	scripts/validate

# The validation programs that check the most in the least time.
sample: build
	scripts/validate $(patsubst %,-p %,create default linux_devices linux_ns_itype linux_ns_path linux_sysctl linux_uid_mappings mounts \
	  poststop_fail process_capabilities_fail process_user state) bin/md-spawn

mutations: build ## remove each defence and check that its test fails (root)
	scripts/test/mutate

bench: ## compare speed with crun, runc, podman and docker, five minutes (root)
	scripts/bench

install: docs ## install programs, man pages, completion and systemd unit to DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(tools:%=bin/%) $(DESTDIR)$(PREFIX)/bin
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's,/usr/local/bin,$(PREFIX)/bin,' scripts/mydocker.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/mydocker.service
	cd build/share && find . -type f -exec install -D -m 644 {} '$(abspath $(DESTDIR)$(PREFIX))/share/{}' \;

clean: ## remove build results; keep the cache of the test bed
	rm -rf bin build
