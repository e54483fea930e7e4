# The first two are all that a new user needs: each does the whole set-up, once.
.PHONY: run test test-fast lint docs proto ui serve container reproduce reliability lock upgrade clean help
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
RECIPE ?= digits
export PATH := $(CURDIR)/$(BIN):$(PATH)

run: $(INSTALLED) ## Set up, then run the main job on the default recipe (RECIPE=NAME for another)
	thresher run $(RECIPE)

test: $(INSTALLED) ## Set up, then run all tests, two files at a time
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

test-fast: $(INSTALLED) ## The tests that take seconds
	$(BIN)/pytest -m "not slow and not end_to_end"

lint: $(INSTALLED) ## Style, types and the layers
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

docs: $(INSTALLED) ## Build the documentation site, in site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

proto: $(INSTALLED) ## Compile the gRPC messages, after a change to their .proto
	cd src/thresher/serving/grpc && $(CURDIR)/$(BIN)/python -m grpc_tools.protoc -I. \
		--descriptor_set_out=open_inference_grpc.binpb open_inference_grpc.proto

ui: $(INSTALLED) ## Open MLflow on the runs of this project
	thresher ui

serve: $(INSTALLED) ## Serve the champion of RECIPE on port 3000
	thresher serve $(RECIPE)

container: $(INSTALLED) ## Build the image of RECIPE's Bento
	thresher containerize $(RECIPE)

reproduce: $(INSTALLED) ## Train with three seeds, compress, and write docs/results.md (hours; goes on where it was)
	$(BIN)/python benchmarks/reproduce.py $(if $(FROM),--from $(FROM))
	$(BIN)/python benchmarks/compressed.py $(if $(FROM),--from $(FROM))

reliability: $(INSTALLED) ## Run the tests of odd input, and write what comes of each into docs/reliability.md
	$(BIN)/python scripts/reliability.py

lock: $(INSTALLED) ## Choose all versions anew, by scripts/pins.txt
	scripts/lock.sh

upgrade: ## Try the newest versions in an environment of its own: first the tests of what they may have changed
	PYTHON=$(PYTHON) scripts/upgrade.sh

clean: ## Delete everything that runs have made in this project, but not the raw data
	rm -rf data/0[2-8]_*/*/ mlflow.db mlartifacts .thresher

$(INSTALLED): pyproject.toml constraints.txt scripts/install.sh scripts/no_telemetry.pth
	PYTHON=$(PYTHON) scripts/install.sh
	touch $@

help: ## Show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20
