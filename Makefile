# RunCVM on Debian 12. Everything here runs as root but build, check and lint.

PREFIX  ?= /opt/runcvm
CACHE   ?= /var/cache/runcvm
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# What `make test` must not skip: capabilities by name, or all.
REQUIRE ?= all
GOTEST  ?= go test -count=1
# What `make test` runs on KVM, in the lab where the host has none: a part of `make test-kvm`.
KVMTESTS ?= ^(TestVerdict|TestRun|TestNetwork|TestVsockCollision)$$
# How many containers `make soak` runs in a row, and for how long it runs execs.
SOAK_RUNS  ?= 1000
SOAK_CHURN ?= 10m
# How long each fuzz test runs.
FUZZTIME ?= 5s
export RUNCVM_PREFIX = $(PREFIX)
export RUNCVM_ROOTFS = $(CACHE)/rootfs/bookworm.tar
export RUNCVM_GENERIC_KERNEL = $(CACHE)/kernels/generic.deb

LDFLAGS  := -s -w -X main.version=$(VERSION)
GO_BUILD := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'

DEMO_PACKAGES := ca-certificates debootstrap kmod runc
TEST_PACKAGES := $(DEMO_PACKAGES) containerd docker.io iproute2 iptables netavark podman qemu-user

GOLANGCI_LINT_VERSION := v2.15.0

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build install uninstall rootfs inits generic-kernel demo check fuzz test test-kvm bench bench-data bench-kvm soak validation docs lint clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install the Debian packages that the other targets need
	@scripts/packages $(TEST_PACKAGES)

build: bin/hardlinks.so ## both binaries, static, and the library for virtiofsd, to bin/
	@echo "==> Building runcvm $(VERSION) (half a minute the first time)"
	@$(GO_BUILD) -o bin/ ./cmd/runcvm ./cmd/runcvm-guest

bin/hardlinks.so: runtime/hardlinks/hardlinks.c Makefile
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -Wl,-z,defs,-z,now,-z,relro -s -o $@ $<

install: build ## install to /opt/runcvm and register with Docker where it is there
	@bin/runcvm --prefix $(PREFIX) install

uninstall: build ## take back what install did
	@bin/runcvm --prefix $(PREFIX) uninstall

rootfs: ## a Debian root file system for the demo and the tests, cached
	@scripts/packages $(DEMO_PACKAGES)
	@scripts/rootfs $(CACHE)/rootfs

inits: rootfs ## what makes images with an init or a server of that root, for the tests, cached
	@scripts/inits $(CACHE)/rootfs

generic-kernel: ## the package of Debian's generic kernel for the tests, cached
	@scripts/generic-kernel $(RUNCVM_GENERIC_KERNEL)

demo: rootfs install ## boot Debian as a VM, without a container engine
	@scripts/demo $(PREFIX) $(CACHE)/rootfs/bookworm

check: ## unit and golden tests alone: no root, no engine
	@$(GOTEST) ./...

fuzz: ## each fuzz test for FUZZTIME
	@scripts/fuzz $(FUZZTIME)

test: setup rootfs inits generic-kernel install ## everything that this machine can test, on a Docker engine of its own
	@echo "==> Testing; the conformance suite boots machines for some minutes before it prints a line"
	RUNCVM_REQUIRE=$(REQUIRE) $(GOTEST) -p 1 -timeout 80m ./...
	@scripts/fuzz $(FUZZTIME)
	go run ./conformance/kvmlab -packages conformance/kvmlab/suite -run '$(KVMTESTS)'

test-kvm: setup rootfs install ## the tests that need KVM, in a lab that has it where this machine has none
	go run ./conformance/kvmlab

bench: setup rootfs install ## run and exec latency, boot timeline and memory, next to runc and a bare QEMU
	@RUNCVM_REQUIRE=$(REQUIRE) go run ./conformance/bench
	@echo "==> The engine alone: time and allocations of one compilation, and of loading a thousand profiles"
	@go test -run '^$$' -bench . -benchmem ./engine ./profiles | grep '^Benchmark'

bench-data: setup rootfs install ## file systems and networks next to runc, for each cache policy; takes minutes
	@RUNCVM_REQUIRE=$(REQUIRE) go run ./conformance/bench -parts network,filesystem

bench-kvm: setup rootfs install ## on KVM: the agent's transports, vhost-net, boot paths; a table
	@go run ./conformance/kvmlab -bench -timeout 25m -- -samples 3 -mib 16

soak: setup rootfs inits install ## containers in a row and at once, and execs for a while, leave nothing behind; a swarm, many files
	SOAK_RUNS=$(SOAK_RUNS) SOAK_PARALLEL=20 SOAK_CHURN=$(SOAK_CHURN) SOAK_FILES=100000 SWARM_NODES=3 RUNCVM_REQUIRE=$(REQUIRE) $(GOTEST) -v -timeout 6h -run '^(TestSoak|TestExecChurn|TestDiskSurvivesDeaths|TestManyFiles|TestSwarm)$$' ./conformance

validation: setup install ## the OCI runtime-tools' validation suite under runc and under RunCVM; UPDATE=-update keeps the figures
	go run ./conformance/validation/validate $(UPDATE)

docs: ## docs/reference, docs/conformance.md and docs/man, from the tables, the cases and the commands
	go test ./cmd/runcvm ./profiles/reference ./conformance/differential -run 'Current$$' -update

lint: build/tools/golangci-lint-$(GOLANGCI_LINT_VERSION) ## golangci-lint; the first run compiles it, which takes minutes
	$< run ./...

build/tools/golangci-lint-$(GOLANGCI_LINT_VERSION):
	@echo "==> Building golangci-lint $(GOLANGCI_LINT_VERSION)"
	@GOBIN=$(CURDIR)/build/tools go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	@mv build/tools/golangci-lint $@

clean: ## remove what build made here; the installation and the caches stay
	rm -rf bin build
