# Two commands do everything on a machine with Go and a Docker engine:
#   make test-matrix   build the images, provision, try and judge the cells (pairwise; FULL=1: every cell)
#   make test          every test of this repository, with the race detector
SHELL := /bin/bash
.DEFAULT_GOAL := help

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.5.0
STATIC := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w"
RUN ?=
FULL ?=
SHARD ?=
FUZZTIME ?= 10m

.PHONY: help build driver-pgx511 test-matrix test fuzz images prove bench lint fmt clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t16

build: ## the program and its agent, into bin/
	@mkdir -p bin
	@$(STATIC) -o bin/pgauthmatrix ./cmd/pgauthmatrix
	@GOOS=linux $(STATIC) -o bin/pgauthmatrix-agent ./agent/pgauthmatrix-agent

driver-pgx511: ## the driver program of pgx 5.11.0, into bin/; then: bin/pgauthmatrix run --client agent/drivers/pgx511/pgx511.yaml
	@mkdir -p bin
	@cd agent/drivers/pgx511 && GOOS=linux $(STATIC) -o ../../../bin/driver-pgx511 .

test-matrix: build ## the main job: build images, provision, attempt, judge (every combination of four axes; FULL=1: every cell; RUN: every cell of RUN='negotiation/**', SHARD=i/n)
	@go test -c -o bin/matrix.test ./suites
	@bin/matrix.test -runs runs -strength $(if $(FULL)$(RUN),0,4) $(if $(RUN),-cells '$(RUN)') $(if $(SHARD),-shard $(SHARD))

test: build ## every test, with -race
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo 'gofmt: the files above are not formatted: run make fmt'; exit 1; }
	@go vet ./...
	@bin/pgauthmatrix images
	@go build -race ./... # on every core; -p 1, which is for the live tests, compiles on one
	@go test -race -timeout 30m -p 1 ./...
	@$(MAKE) --no-print-directory fuzz FUZZTIME=100x

fuzz: ## every fuzz target, FUZZTIME=10m each
	@for room in gssenc wire; do for target in $$(grep -rhoE '^func Fuzz[A-Za-z]+' $$room/*_test.go | cut -c6-); do \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -parallel 1 ./$$room >/tmp/fuzz.$$$$ 2>&1 || { cat /tmp/fuzz.$$$$; exit 1; }; rm -f /tmp/fuzz.$$$$; echo "fuzz $$target: $(FUZZTIME)"; done; done

images: build ## build or find every image; a line each
	@bin/pgauthmatrix images

prove: build ## plant faults one at a time; every one must be caught
	@bin/pgauthmatrix prove

bench: build ## cells per second beside pgbench -C, in one run
	@bin/pgauthmatrix bench

lint: ## golangci-lint, pinned
	@go run $(GOLANGCI_LINT) run ./...

fmt: ## gofmt
	@gofmt -w .

clean: ## binaries and run folders
	@rm -rf bin runs
