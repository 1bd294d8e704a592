# The targets are listed by `make help`.

GO ?= $(shell command -v go || echo /usr/local/go/bin/go)
PREFIX ?= /usr/local
DESTDIR ?=
FUZZTIME ?= 10s

tools := md-pull md-rootfs md-cgroup md-net md-spawn md-ps mydocker
export GO
export CGO_ENABLED = 0
# git refuses to tell the version of a checkout that is another user's, and go then to build.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

.DEFAULT_GOAL := build
.PHONY: build docs help demo test setup-test check unit kernel e2e test-v2 soak fuzz validate sample mutations bench install clean

build: ## build the seven programs into bin/ (the default)
	$(GO) build -trimpath -buildvcs=false -ldflags '-s -w' -o bin/ $(tools:%=./cmd/%)

# Everything below build/share is made by the programs themselves, of their own tables.
man := build/share/man
completions := bash-completion/completions zsh/site-functions fish/vendor_completions.d

docs: build ## make the man pages and completion scripts in build/share
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

demo: ## show what it does, on a fresh Debian 12: as root
	scripts/demo

test: ## everything, as CI runs it: as root
	scripts/test/all

setup-test:
	scripts/setup test

check: docs ## gofmt, vet, shellcheck, what is linked, pages and completion against the help: quick, no root
	scripts/test/check
	scripts/test/docs

unit: ## go test as an ordinary user
	scripts/test/unit

kernel: ## go test as root, where nothing may be skipped, and nothing left behind
	scripts/test/kernel

e2e: build ## the README's session and the rest, in real shells on a real registry: as root
	scripts/test/e2e

test-v2: build ## the kernel tests and the README's session in a VM that has cgroup v2 alone: as root
	scripts/test/v2

soak: build ## the promises of reliability at length, about an hour: as root
	scripts/faults/all

fuzz: ## fuzz each parser for FUZZTIME (10s)
	scripts/test/fuzz $(FUZZTIME)

validate: build ## the OCI's own validation programs on md-spawn and runc: as root, 5 minutes
	scripts/validate

# Those that look at the most in the least time.
sample: build
	scripts/validate $(patsubst %,-p %,create default linux_devices linux_ns_itype linux_ns_path linux_sysctl linux_uid_mappings mounts \
	  poststop_fail process_capabilities_fail process_user state) bin/md-spawn

mutations: build ## each defence taken out, to see its test fail: as root
	scripts/test/mutate

bench: ## ourselves against crun, runc, podman and docker, in numbers: as root, five minutes
	scripts/bench

install: docs ## put the programs, man pages, completion and the systemd unit into DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(tools:%=bin/%) $(DESTDIR)$(PREFIX)/bin
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's,/usr/local/bin,$(PREFIX)/bin,' scripts/mydocker.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/mydocker.service
	cd build/share && find . -type f -exec install -D -m 644 {} '$(abspath $(DESTDIR)$(PREFIX))/share/{}' \;

clean: ## remove what was built; the cache of the test bed stays
	rm -rf bin build
