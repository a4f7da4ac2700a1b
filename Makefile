# datasync-bridge: every step from a fresh machine to a running bridge.
# What is needed beside Go is installed by the targets that need it; nothing here calls sudo.

SHELL      := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BINARY     := bin/datasync-bridge
# Static, so that it runs in an empty folder: no libc look-ups for users and
# names, no loadable SQLite extensions, time zones inside.
TAGS       := sqlite_omit_load_extension,osusergo,netgo,timetzdata
LDFLAGS    := -s -w -linkmode external -extldflags "-static" -X main.version=$(VERSION)
LINT       := .tools/golangci-lint-$(shell cksum < tools/go.sum | cut -d' ' -f1)
FUZZTIME   ?= 20s
FUZZ       ?= .
BENCHTIME  ?= 5s

export CGO_ENABLED := 1
# SQLite counts its memory under one lock for all threads unless told not to,
# which costs planning a quarter of its speed; and the statements that are kept
# use up its small default of memory that needs no lock.
export CGO_CFLAGS := -g -O2 -DSQLITE_DEFAULT_MEMSTATUS=0 -DSQLITE_DEFAULT_LOOKASIDE=1200,512

TORTURE    ?= 30m

.PHONY: help demo test build bench torture hostile lint alerts fuzz sbom reproduce tools

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-9s %s\n", $$1, $$2}'

demo: build ## play an operations story against stand-ins on loopback; ends by itself
	$(BINARY) demo --once

build: tools ## leave the static binary at bin/datasync-bridge
	@mkdir -p bin
	go build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o $(BINARY) ./cmd/datasync-bridge
	@echo "built $(BINARY) $(VERSION)"

test: tools build lint alerts ## vet, lint, and every test with the race detector; fuzz seeds included
	go vet ./...
	TEST_BINARY=$(CURDIR)/$(BINARY) go test -race -timeout 20m ./...

lint: $(LINT) ## golangci-lint with the repository's configuration
	$(LINT) run ./...

alerts: ## play the tests of docs/monitoring/alerts.yaml
	go -C tools/alerts run . ../../docs/monitoring/alerts_test.yaml

bench: build ## the ladder, in about eight minutes and 4 GB of disk, then each room's benchmarks
	go build -o bin/bench ./bench
	bin/bench $(BENCHFLAGS)
	go test -run '^$$' -bench . -benchtime $(BENCHTIME) -benchmem ./...
	go -C tools/matching run .

torture: ## real processes killed, starved and lied to for TORTURE (30m), then judged
	BRIDGE_TORTURE=$(TORTURE) go test -count=1 -timeout 0 -run '^TestTorture$$' -v ./cmd/datasync-bridge

hostile: build ## attack the built binary; print what each hostile input cost, renew docs/hostile.md
	HOSTILE_TABLE=1 TEST_BINARY=$(CURDIR)/$(BINARY) go test -count 1 -parallel 1 -timeout 15m -run '^TestHostile' ./cmd/datasync-bridge
	@grep '^|' docs/hostile.md

fuzz: ## every fuzz target (or FUZZ=pattern) for FUZZTIME each, then a table of what they did
	@./tools/fuzz '$(FUZZTIME)' '$(FUZZ)'

sbom: build ## list what the binary is made of in bin/sbom.cdx.json (CycloneDX)
	go -C tools/sbom tool cyclonedx-gomod bin -json -std -noserial -notimestamp -version '$(VERSION)' \
	  -output ../../bin/sbom.cdx.json ../../$(BINARY)
	@echo "wrote bin/sbom.cdx.json"

reproduce: tools ## build the newest commit twice, in two folders, and compare the bytes
	./tools/reproduce '$(VERSION)'

# The linter has a go.mod of its own, so that its hundreds of dependencies never
# touch the versions that the product is built with.
$(LINT): tools/go.mod tools/go.sum
	@echo "building the pinned golangci-lint into .tools (a few minutes, once)"
	@mkdir -p .tools
	go -C tools build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

tools: ## say what is missing; install it where this user may
	@./tools/require gcc git
