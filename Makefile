# Two commands do everything on a machine with Go and a Docker engine:
#   make test-matrix   build the images, provision, try and judge the cells (every combination of three axes, the attacks whole; FULL=1: every cell)
#   make test          every test of this repository, with the race detector
SHELL := /bin/bash
.DEFAULT_GOAL := help

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.5.0
STATIC := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w"
RUN ?=
FULL ?=
QUICK ?=
SHARD ?=
COSTS ?=
REPEAT ?=
RESUME ?=
BASELINE ?=
HISTORY ?=
TAG ?= pgauthmatrix
BASE ?= debian:trixie-slim
FUZZTIME ?= 10m
LIVE_FUZZTIME := $(if $(filter quick,$(LIVE_DEPTH)),20x,100x)
TARGET ?=
IMAGE ?=

.PHONY: help compliance build driver-pgx511 tool-image images doctor test-matrix repro check test fuzz prove mutants bench lint vet fmt format clean

help: ## this list
	@awk -F ':.*## ' '/^##@/ {print substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ The matrix
test-matrix: build ## build images, provision, attempt, judge: QUICK=1 a first run, FULL=1 every cell, RUN='negotiation/**' these cells, SHARD=i/n a part; REPEAT=n, RESUME=runs/ID, BASELINE=runs/ID, HISTORY=FILE, COSTS=runs/ID: docs/nightly.md
	@go test -c -o bin/matrix.test ./suites
	@GOMEMLIMIT=$${GOMEMLIMIT:-1500MiB} bin/matrix.test -runs runs $(if $(RESUME),-resume $(RESUME)) $(if $(REPEAT),-repeat $(REPEAT)) $(if $(COSTS),-costs $(COSTS)) $(if $(BASELINE),-baseline $(BASELINE)) $(if $(HISTORY),-history $(HISTORY)) $(if $(QUICK),-quick,-strength $(if $(FULL)$(RUN),0,3)) $(if $(RUN),-cells '$(RUN)') $(if $(SHARD),-shard $(SHARD))

repro: build ## a customer's case, CASE=FOLDER: reproduce it, try what is advised, say who else gets in then (docs/cases.md)
	@bin/pgauthmatrix repro $(if $(CASE),'$(CASE)',$(error CASE is not set: make repro CASE=FOLDER))

images: build ## build or find every image, with a line for each
	@bin/pgauthmatrix images

doctor: build ## ask whether this machine can carry out a run; each thing that is wrong comes with the command that mends it
	@bin/pgauthmatrix doctor

compliance: build ## what controls of CIS, STIG, NIST and PCI a server's own files satisfy: TARGET=FOLDER with pg_hba.conf, IMAGE=REFERENCE of your own server's image, BASELINE=FOLDER of an earlier statement
	@bin/pgauthmatrix compliance $(if $(IMAGE),--image '$(IMAGE)') $(if $(TARGET),'$(TARGET)') $(if $(BASELINE),--baseline '$(BASELINE)')

##@ Tests of this repository
check: format vet lint ## format, vet, lint, and the tests that need no container, with the race detector; exhaustive ones are left to make test
	@go test -race -short ./...
	@cd deploy/lint && go test -count=1 ./...

test: build format vet ## every test, with the race detector; LIVE_DEPTH=quick|normal|full says how deep those with containers sample
	@bin/pgauthmatrix images
	@go build -race ./... # on every core; -p 1, which is for the tests with containers, compiles on one
	@go test -race -timeout 60m -p 1 ./...
	@cd deploy/lint && go test -count=1 ./... # a module of its own: the workflow and the manifests
	@.ci/fuzz $(LIVE_FUZZTIME)

fuzz: ## every fuzz target, FUZZTIME=10m each
	@.ci/fuzz $(FUZZTIME)

prove: build ## plant faults one at a time, then change the oracle and the judge at 40 places each; every one must be caught
	@bin/pgauthmatrix prove
	@go run ./mutants -rooms oracle,verdict -sample 40

mutants: build ## change oracle, classifier and judge at one place at a time, RUN=runs/ID: who notices (docs/mutation.md)
	@go run ./mutants $(if $(RUN),-run $(RUN),$(error RUN is not set: make mutants RUN=runs/ID))

bench: build ## cells and worlds per second, beside pgbench -C, and a bulk transfer by each transport, in one run
	@bin/pgauthmatrix bench

##@ Single steps
build: ## the program and its agent, into bin/
	@mkdir -p bin
	@GOOS=js GOARCH=wasm go build -trimpath -ldflags "-s -w" -o playground/assets/oracle.wasm ./playground/wasm
	@cp "$$(go env GOROOT)/lib/wasm/wasm_exec.js" playground/assets/
	@$(STATIC) -o bin/pgauthmatrix ./cmd/pgauthmatrix
	@GOOS=linux $(STATIC) -o bin/pgauthmatrix-agent ./agent/pgauthmatrix-agent

driver-pgx511: ## the driver program of pgx 5.11.0, into bin/; then: bin/pgauthmatrix run --client agent/drivers/pgx511/pgx511.yaml
	@mkdir -p bin
	@cd agent/drivers/pgx511 && GOOS=linux $(STATIC) -o ../../../bin/driver-pgx511 .

tool-image: build ## an image of the tool, which talks to the engine of DOCKER_HOST: docs/nightly.md; TAG=pgauthmatrix, BASE=debian:trixie-slim
	@docker build --file deploy/Dockerfile --build-arg BASE=$(BASE) --tag $(TAG) bin

format: ## fail if a file is not formatted
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo 'gofmt: the files above are not formatted: run make fmt'; exit 1; }

vet: ## go vet
	@go vet ./...

lint: ## golangci-lint, pinned
	@go run $(GOLANGCI_LINT) run ./...

fmt: ## format every file
	@gofmt -w .

clean: ## remove binaries and run folders
	@rm -rf bin runs
