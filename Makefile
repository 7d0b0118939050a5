# Every command that a person needs. `make help` lists them.
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
demo-speech: setup ## Train six modules on synthesised speech, evaluate speakers and phones (10 minutes); results in runs/synthetic-speech
	@mkdir -p runs && folder=$$(setup/speech/speech.sh) && ln -sfn "$$folder" runs/speech-data
	rm -rf runs/synthetic-speech
	bin/gim run examples/synthetic-speech.yaml --out runs/synthetic-speech

.PHONY: paper-small
paper-small: setup ## Train every method of the paper's table on digits and print the table (30 minutes); SAMPLES=… for less
	node --disable-warning=ExperimentalWarning bench/paper-small.ts $(if $(SAMPLES),--samples $(SAMPLES))

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
test-e2e: setup-test cluster-setup ## Run the tests of the whole system on a Kubernetes of this machine (needs root)
	vitest run --project e2e

.PHONY: faults
faults: setup ## Train through one fault after another and write docs/reliability.md (10 minutes; needs root)
	rm -rf runs/faults
	node --disable-warning=ExperimentalWarning test/faults/training/main.ts

.PHONY: soak
soak: setup ## Train under random faults and fail when anything grows or leaks; writes docs/soak.md: SOAK_MINUTES=30
	SOAK_MINUTES=$(or $(SOAK_MINUTES),30) node --disable-warning=ExperimentalWarning bench/soak.ts

.PHONY: bench-asynchrony
bench-asynchrony: setup ## Train with a slow module, by depth of the buffers and policy; writes docs/asynchrony.md (12 minutes)
	rm -rf runs/asynchrony
	node --disable-warning=ExperimentalWarning bench/asynchrony.ts

.PHONY: e2e
e2e: setup cluster-setup ## Install by Helm on a cluster of two nodes on this machine, train, upgrade, remove (needs root)
	vitest run test/e2e/helm.test.ts

.PHONY: test-kills
test-kills: setup ## Kill a writer of checkpoints 200 times: the newest one is always whole (half a minute)
	KILLS=200 vitest run trainer/src/checkpoint/store.test.ts

.PHONY: mutation
mutation: setup ## Make mutants of the pure parts and fail where tests miss more than 10 %: PART="frames plan"
	node --disable-warning=ExperimentalWarning test/mutation/main.ts $(PART)

.PHONY: bench
bench: setup cluster-setup ## Run all benchmarks and write bench/RESULTS.md (2 hours; installs PyTorch)
	node --disable-warning=ExperimentalWarning bench/main.ts

.PHONY: bench-quick
bench-quick: setup ## Measure a few ratios again and fail when one is worse than the committed one (2 minutes; installs PyTorch)
	node --disable-warning=ExperimentalWarning bench/quick.ts

.PHONY: bench-pipeline
bench-pipeline: setup ## Train three modules in three processes, in turn in one, in PyTorch; check the simulator (30 minutes)
	node --disable-warning=ExperimentalWarning bench/main.ts pipeline

.PHONY: bench-accuracy
bench-accuracy: setup ## Train digits until a linear probe reaches 90 %, in three processes and in one (20 minutes)
	node --disable-warning=ExperimentalWarning bench/main.ts accuracy

.PHONY: bench-operator
bench-operator: setup cluster-setup ## Put the operator and JobSet's controller through 2,000 runs on a real API server (10 minutes; needs Go)
	node --disable-warning=ExperimentalWarning bench/main.ts operator

.PHONY: bench-hostile
bench-hostile: setup ## Print for how long the costliest runs hold the event loop of the operator
	node --disable-warning=ExperimentalWarning bench/hostile-run.ts

.PHONY: bench-startup
bench-startup: setup ## Time a trainer from its start to its first step; sizes of images and packages
	node --disable-warning=ExperimentalWarning bench/main.ts startup

.PHONY: bench-growth
bench-growth: setup cluster-setup ## Fit how costs grow: step over batch, bytes over channels, NATS over depth, operator over runs
	node --disable-warning=ExperimentalWarning bench/main.ts growth

.PHONY: bench-step
bench-step: setup ## Time the training step of each module against PyTorch's, which it installs (5.5 GB; 12 minutes)
	node --disable-warning=ExperimentalWarning bench/main.ts step

.PHONY: bench-edge
bench-edge: setup ## Time the edge between two processes against a bare NATS client and raw TCP (4 minutes)
	node --disable-warning=ExperimentalWarning bench/main.ts edge

.PHONY: bench-memory
bench-memory: setup ## Measure the memory of a training process, by what it trains (3 minutes)
	node --disable-warning=ExperimentalWarning bench/main.ts memory

.PHONY: bench-precision
bench-precision: setup ## Train digits in float32 and bfloat16, with activations of 8 and 4 bits: accuracy and time (10 minutes)
	node --disable-warning=ExperimentalWarning bench/main.ts precision

.PHONY: bench-averaging
bench-averaging: setup ## Train digits with one and two trainers a module, by rule of averaging (10 minutes)
	node --disable-warning=ExperimentalWarning bench/main.ts averaging

.PHONY: setup-test
setup-test:
	@bash setup/setup.sh --with-test-tools

.PHONY: lint
lint: setup ## Check format and lint rules, and that no shipped package has a known vulnerability
	biome check --error-on-warnings .
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
cluster-down: ## Take it down
	@node --disable-warning=ExperimentalWarning test/cluster/main.ts down

.PHONY: clean
clean: ## Remove installed packages and runs; the cache stays
	rm -rf node_modules runs

##@ Help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*##/ {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
