# The targets are listed by `make help`.

GO ?= $(shell command -v go || echo /usr/local/go/bin/go)
PREFIX ?= /usr/local
DESTDIR ?=
FUZZTIME ?= 10s
# Where the programs are built, and installed from.
BIN ?= bin

tools := md-pull md-rootfs md-cgroup md-net md-spawn md-ps mydocker
export GO
export CGO_ENABLED = 0
# Git refuses to show the version of another user's checkout, which makes go build fail.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

# The version is the last tag's; 0.0.0 where there is none.
git := git --no-optional-locks -c 'safe.directory=*'
VERSION := $(or $(patsubst v%,%,$(shell $(git) describe --tags --abbrev=12 2>/dev/null)),0.0.0)
COMMIT := $(shell $(git) describe --always --abbrev=40 --match= --dirty 2>/dev/null)
cli := github.com/weikeit/mydocker/lib/cli
ldflags := -s -w -X $(cli).Version=$(VERSION) -X $(cli).Commit=$(COMMIT)

.DEFAULT_GOAL := build
.PHONY: build docs help demo test setup-test check unit kernel e2e test-v2 soak fuzz validate sample mutations bench \
  dist test-dist fresh-deb install stage uninstall check-go clean

build: check-go ## build the programs into bin/ (default)
	$(GO) build -trimpath -buildvcs=false -ldflags '$(ldflags)' -o $(BIN)/ $(tools:%=./cmd/%)

check-go:
	@scripts/check-go

# The programs generate everything in build/share from their command tables.
man := build/share/man
completions := bash-completion/completions zsh/site-functions fish/vendor_completions.d

docs: build ## generate man pages and completion scripts in build/share
	rm -rf build/share
	install -d $(man)/man1 $(man)/man7 $(completions:%=build/share/%)
	set -e; for tool in $(tools); do \
	  $(BIN)/$$tool --man >$(man)/man1/$$tool.1; \
	  $(BIN)/$$tool --completion bash >build/share/bash-completion/completions/$$tool; \
	  $(BIN)/$$tool --completion zsh >build/share/zsh/site-functions/_$$tool; \
	  $(BIN)/$$tool --completion fish >build/share/fish/vendor_completions.d/$$tool.fish; \
	done
	$(BIN)/mydocker --man md-pipeline >$(man)/man7/md-pipeline.7

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

dist: docs ## build reproducible tarballs and Debian packages for amd64 and arm64 in build/dist
	VERSION='$(VERSION)' COMMIT='$(COMMIT)' scripts/dist

test-dist: ## test make dist, install and uninstall
	scripts/test/dist

fresh-deb: docs ## install, run and remove the Debian package on a fresh Debian 12 without Go (root)
	ARCHITECTURES=$$($(GO) env GOARCH) VERSION='$(VERSION)' COMMIT='$(COMMIT)' scripts/dist
	scripts/test/fresh-deb

# What is installed, below PREFIX.
installed := $(tools:%=bin/%) lib/systemd/system/mydocker.service $(tools:%=share/man/man1/%.1) share/man/man7/md-pipeline.7 \
  $(tools:%=share/bash-completion/completions/%) $(tools:%=share/zsh/site-functions/_%) $(tools:%=share/fish/vendor_completions.d/%.fish)

install: docs stage ## install programs, man pages, completion and systemd unit to DESTDIR and PREFIX

# The files of install, as they are.
stage:
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/lib/systemd/system'
	install -m 755 $(tools:%=$(BIN)/%) '$(DESTDIR)$(PREFIX)/bin'
	sed 's,/usr/local/bin,$(PREFIX)/bin,' scripts/mydocker.service >'$(DESTDIR)$(PREFIX)/lib/systemd/system/mydocker.service'
	chmod 644 '$(DESTDIR)$(PREFIX)/lib/systemd/system/mydocker.service'
	cd build/share && find . -type f -exec install -D -m 644 {} '$(abspath $(DESTDIR)$(PREFIX))/share/{}' \;

uninstall: ## remove the installed files; keep containers and images
	rm -f $(installed:%='$(DESTDIR)$(PREFIX)/%')

clean: ## remove build results; keep the cache of the test bed
	rm -rf $(BIN) build
