# Commands for users and contributors. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
node_bin := $(CURDIR)/node_modules/.bin
export PATH := $(node_bin):$(PATH)
export NODE_COMPILE_CACHE ?= $(or $(GREEDY_INFOMAX_CACHE),$(HOME)/.cache/greedy-infomax)/compiled

##@ Use

.PHONY: demo
demo: setup ## Train three modules on handwritten digits on this machine; results in runs/digits
	rm -rf runs/digits
	bin/gim run examples/digits.yaml --out runs/digits

.PHONY: demo-speech
demo-speech: setup ## Train six modules on synthetic speech and classify speakers and phones (10 minutes); results in runs/synthetic-speech
	@mkdir -p runs && folder=$$(setup/speech/speech.sh) && ln -sfn "$$folder" runs/speech-data
	rm -rf runs/synthetic-speech
	bin/gim run examples/synthetic-speech.yaml --out runs/synthetic-speech

.PHONY: paper-small
paper-small: setup ## Train every method of the paper's table on digits and print the table (30 minutes); SAMPLES=N trains on fewer samples
	node --disable-warning=ExperimentalWarning bench/paper-small.ts $(if $(SAMPLES),--samples $(SAMPLES))

.PHONY: setup
setup: ## Install everything that the project needs (cached in ~/.cache/greedy-infomax)
	@bash setup/setup.sh

.PHONY: images
images: ## Build the operator's and the trainer's images (CUDA, and trainer:TAG-cpu): REGISTRY=…, TAG=…, PUSH=yes
	@REGISTRY=$(REGISTRY) TAG=$(TAG) PUSH=$(PUSH) BUILD_OPTIONS="$(BUILD_OPTIONS)" setup/images.sh

##@ Develop

.PHONY: test
test: setup-test generate-check lint types cluster-setup ## Lint, check types and run all tests
	vitest run

.PHONY: check
check: setup-test generate-check lint types ## Check format, lint, types and unit tests (90 s)
	vitest run --project unit

.PHONY: test-unit
test-unit: setup-test ## Run the unit tests: no server, no TensorFlow
	vitest run --project unit

.PHONY: test-integration
test-integration: setup-test ## Run the tests that start servers or load TensorFlow
	vitest run --project integration

.PHONY: test-e2e
test-e2e: setup-test cluster-setup ## Run the system tests on a Kubernetes cluster on this machine (needs root)
	vitest run --project e2e

.PHONY: faults
faults: setup ## Train through one fault after another and write docs/reliability.md (10 minutes; needs root)
	rm -rf runs/faults
	node --disable-warning=ExperimentalWarning test/faults/training/main.ts

.PHONY: soak
soak: setup ## Train under random faults, fail if anything grows or leaks, and write docs/soak.md: SOAK_MINUTES=30
	SOAK_MINUTES=$(or $(SOAK_MINUTES),30) node --disable-warning=ExperimentalWarning bench/soak.ts

.PHONY: bench-asynchrony
bench-asynchrony: setup ## Train with a slow module, by buffer depth and policy, and write docs/asynchrony.md (12 minutes)
	rm -rf runs/asynchrony
	node --disable-warning=ExperimentalWarning bench/asynchrony.ts

.PHONY: e2e
e2e: setup cluster-setup ## Install with Helm on a two-node cluster on this machine, train, upgrade, remove (needs root)
	vitest run test/e2e/helm.test.ts

.PHONY: test-kills
test-kills: setup ## Kill a checkpoint writer 200 times and check that the newest one is intact (30 s)
	KILLS=200 vitest run trainer/src/checkpoint/store.test.ts

.PHONY: mutation
mutation: setup ## Create mutants of the pure parts and fail if tests miss more than 10 %: PART="frames plan"
	node --disable-warning=ExperimentalWarning test/mutation/main.ts $(PART)

.PHONY: bench
bench: setup cluster-setup ## Run all benchmarks and write bench/RESULTS.md (2 hours; installs PyTorch)
	node --disable-warning=ExperimentalWarning bench/main.ts

.PHONY: bench-quick
bench-quick: setup ## Measure a few ratios and fail if one is worse than the committed one (2 minutes; installs PyTorch)
	node --disable-warning=ExperimentalWarning bench/quick.ts

.PHONY: bench-pipeline
bench-pipeline: setup ## Train three modules in three processes, in one, and in PyTorch; check the simulator (30 minutes)
	node --disable-warning=ExperimentalWarning bench/main.ts pipeline

.PHONY: bench-accuracy
bench-accuracy: setup ## Train digits until a linear probe reaches 90 %, in three processes and in one (20 minutes)
	node --disable-warning=ExperimentalWarning bench/main.ts accuracy

.PHONY: bench-operator
bench-operator: setup cluster-setup ## Compare the operator with JobSet's controller on 2,000 runs and a real API server (10 minutes; needs Go)
	node --disable-warning=ExperimentalWarning bench/main.ts operator

.PHONY: bench-hostile
bench-hostile: setup ## Print how long the most expensive runs block the operator's event loop
	node --disable-warning=ExperimentalWarning bench/hostile-run.ts

.PHONY: bench-startup
bench-startup: setup ## Measure the time from a trainer's start to its first step, and sizes of images and packages
	node --disable-warning=ExperimentalWarning bench/main.ts startup

.PHONY: bench-growth
bench-growth: setup cluster-setup ## Fit the growth of costs: step by batch, bytes by channels, NATS by depth, operator by runs
	node --disable-warning=ExperimentalWarning bench/main.ts growth

.PHONY: bench-step
bench-step: setup ## Compare the training step of each module with PyTorch (12 minutes; installs 5.5 GB)
	node --disable-warning=ExperimentalWarning bench/main.ts step

.PHONY: bench-edge
bench-edge: setup ## Compare the edge between two processes with a plain NATS client and raw TCP (4 minutes)
	node --disable-warning=ExperimentalWarning bench/main.ts edge

.PHONY: bench-memory
bench-memory: setup ## Measure the memory of a training process for several networks (3 minutes)
	node --disable-warning=ExperimentalWarning bench/main.ts memory

.PHONY: bench-precision
bench-precision: setup ## Train digits in float32 and bfloat16, with activations of 8 and 4 bits; measure accuracy and time (10 minutes)
	node --disable-warning=ExperimentalWarning bench/main.ts precision

.PHONY: bench-averaging
bench-averaging: setup ## Train digits with one and two trainers per module, by averaging rule (10 minutes)
	node --disable-warning=ExperimentalWarning bench/main.ts averaging

.PHONY: setup-test
setup-test:
	@bash setup/setup.sh --with-test-tools

.PHONY: lint
lint: setup ## Check format, lint rules and plain English, and that no shipped package has a known vulnerability
	biome check --error-on-warnings .
	node --disable-warning=ExperimentalWarning setup/plain-english.ts --check
	@setup/audit.sh

.PHONY: format
format: setup ## Format all files
	biome check --write .

.PHONY: types
types: setup ## Check types
	tsc -p .

.PHONY: generate
generate: setup ## Write the CRD YAML from the schemas, and the chart's table of values
	node --disable-warning=ExperimentalWarning crds/src/generate/main.ts
	node --disable-warning=ExperimentalWarning charts/readme.ts

.PHONY: generate-check
generate-check: setup
	node --disable-warning=ExperimentalWarning crds/src/generate/main.ts --check
	node --disable-warning=ExperimentalWarning charts/readme.ts --check

.PHONY: cluster-setup
cluster-setup: setup ## Build or find the binaries of the test cluster (10 minutes, once)
	@test/cluster/build.sh >/dev/null && test/cluster/tools.sh >/dev/null && test/cluster/helm.sh 3 >/dev/null && test/cluster/helm.sh 4 >/dev/null && test/cluster/foreign-crds.sh >/dev/null
	@test/cluster/images.sh "$$(test/cluster/debs.sh)" "$$(command -v node)" >/dev/null

.PHONY: cluster-up
cluster-up: cluster-setup ## Start a Kubernetes cluster with one node on this machine
	@node --disable-warning=ExperimentalWarning test/cluster/main.ts up --nodes 1

.PHONY: cluster-down
cluster-down: ## Stop and remove that cluster
	@node --disable-warning=ExperimentalWarning test/cluster/main.ts down

.PHONY: clean
clean: ## Remove installed packages and runs; the cache stays
	rm -rf node_modules runs

##@ Help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*##/ {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
