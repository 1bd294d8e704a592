# The targets are listed by `make help`.

GO ?= $(shell command -v go || echo /usr/local/go/bin/go)
PREFIX ?= /usr/local
DESTDIR ?=
FUZZTIME ?= 10s

tools := md-pull md-rootfs md-cgroup md-net md-spawn md-ps mydocker
export GO
export CGO_ENABLED = 0

.DEFAULT_GOAL := build
.PHONY: build help demo test setup-test check unit kernel e2e fuzz install clean

build: ## build the seven programs into bin/ (the default)
	$(GO) build -trimpath -buildvcs=false -ldflags '-s -w' -o bin/ $(tools:%=./cmd/%)

help: ## list the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## show what it does, on a fresh Debian 12: as root
	scripts/demo

test: setup-test build check unit kernel e2e ## everything, as CI runs it: as root

setup-test:
	scripts/setup test

check: build ## gofmt, vet, shellcheck, what is linked: quick, no root
	scripts/test/check

unit: ## go test as an ordinary user
	scripts/test/unit

kernel: ## go test as root, where nothing may be skipped, and nothing left behind
	scripts/test/kernel

e2e: build ## the README's session and the rest, in real shells on a real registry: as root
	scripts/test/e2e

fuzz: ## fuzz each parser for FUZZTIME (10s)
	scripts/test/fuzz $(FUZZTIME)

install: build ## put the programs into DESTDIR and PREFIX/bin
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(tools:%=bin/%) $(DESTDIR)$(PREFIX)/bin

clean: ## remove what was built; the cache of the test bed stays
	rm -rf bin build
