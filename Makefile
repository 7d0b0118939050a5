# Every command that a person needs. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
node_bin := $(CURDIR)/node_modules/.bin
export PATH := $(node_bin):$(PATH)

##@ Use

.PHONY: demo
demo: setup ## Train three modules on handwritten digits on this machine; results in runs/digits
	rm -rf runs/digits
	bin/gim run examples/digits.yaml --out runs/digits

.PHONY: setup
setup: ## Install all that the project needs (cached in ~/.cache/greedy-infomax)
	@bash setup/setup.sh

.PHONY: images
images: ## Build the images of operator and trainer (CUDA, and trainer:TAG-cpu): REGISTRY=…, TAG=…, PUSH=yes
	@REGISTRY=$(REGISTRY) TAG=$(TAG) PUSH=$(PUSH) BUILD_OPTIONS="$(BUILD_OPTIONS)" setup/images.sh

##@ Develop

.PHONY: test
test: setup-test generate-check lint types cluster-setup ## Lint, check types and run all tests
	vitest run

.PHONY: setup-test
setup-test:
	@bash setup/setup.sh --with-test-tools

.PHONY: lint
lint: setup ## Check format and lint rules
	biome check --error-on-warnings .

.PHONY: format
format: setup ## Format all files
	biome check --write .

.PHONY: types
types: setup ## Check types
	tsc -p .

.PHONY: generate
generate: setup ## Write the CRD YAML from the schemas, and the chart's table of values
	node --disable-warning=ExperimentalWarning crds/src/generate.ts
	node --disable-warning=ExperimentalWarning charts/readme.ts

.PHONY: generate-check
generate-check: setup
	node --disable-warning=ExperimentalWarning crds/src/generate.ts --check
	node --disable-warning=ExperimentalWarning charts/readme.ts --check

.PHONY: cluster-setup
cluster-setup: setup ## Build or find the binaries of the test cluster (10 minutes, once)
	@test/cluster/build.sh >/dev/null && test/cluster/images.sh "$$(test/cluster/debs.sh)" "$$(command -v node)" >/dev/null

.PHONY: cluster-up
cluster-up: cluster-setup ## Start a Kubernetes cluster with one node on this machine
	@node --disable-warning=ExperimentalWarning test/cluster/main.ts up --nodes 1

.PHONY: cluster-down
cluster-down: ## Take it down
	@node --disable-warning=ExperimentalWarning test/cluster/main.ts down

.PHONY: clean
clean: ## Remove installed packages and runs; the cache stays
	rm -rf node_modules runs

##@ Help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*##/ {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
