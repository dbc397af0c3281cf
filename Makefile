# Every command a person or CI types. Two do all the set-up: `make up` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install tools up test test-engine check format matrix soak fairness scan bench bench-model bench-worker transcripts browser screenshot diagram cost locks clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: .venv/.compiled .venv-localcloud/.packages ## the two virtualenvs: .venv and .venv-localcloud

# --clear: a virtualenv that an interrupted install left half done is made again.
.venv/.packages: locks/development.txt
	@$(PYTHON) retainwise/preflight.py
	@echo "installing the packages into .venv (about a minute, once)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/development.txt
	@touch $@

.venv/.product: .venv/.packages pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.compiled: .venv/.product model/scoring/kernel.py model/scoring/compiled.py
	@$(BIN)/python -m model.scoring.warm_up
	@touch $@

# Virtualenvs of their own. localcloud: the emulator pins botocore, and the product must not be held to
# that. scan: checkov pins boto3 and much else. bench: the workers that ours is measured beside drag in much.
.venv-%/.packages: locks/%.txt
	@$(PYTHON) retainwise/preflight.py
	@echo "installing the packages of locks/$*.txt into .venv-$*"
	@$(PYTHON) -m venv --clear .venv-$*
	@.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

tools: install ## the Pulumi CLI, built from source where the PATH has none of the pinned version
	@$(BIN)/python -m operations.toolchain

up: install ## run the whole product on this machine (PORT=8123 make up: elsewhere)
	@exec $(BIN)/retainwise up --port $(PORT)

check: install ## format, lint, types, import contracts
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: install ## put the code into the common form
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

test: check browser scan ## everything CI asks for
	@$(BIN)/python -m operations.toolchain || echo "without it the tests of the engine are skipped"
	@$(BIN)/python -m pytest -n logical --dist loadfile

matrix: install ## the failure matrix of docs/reliability.md: over 1,000 runs in which things go wrong
	@PYTHONPATH=tests/support:platform $(BIN)/python -m failures.matrix $(MATRIX)

test-engine: tools ## 130 trials of deploys that are killed, raced or stalled; a few in each `make test`
	@PYTHONPATH=tests/support:platform $(BIN)/python -m engine.healing.many $(ENGINE)

soak: install ## 10,000 predictions while workers are killed
	@$(BIN)/python tests/support/soak.py $(SOAK)

fairness: install ## in docs/reliability.md, what one account's flood does to another, by a model
	@PYTHONPATH=tests/support $(BIN)/python -m fair_queue

# Under the guard of the tests, which refuses every connection off this machine.
scan: install .venv-scan/.packages ## checkov judges what the stacks declare
	@PYTHONPATH=tests/support/loopback $(BIN)/python -m operations.scan

bench: bench-model ## speed and memory, measured on this machine: the model, then the whole product
	@$(BIN)/python tests/support/bench.py

bench-model: install .venv-bench/.packages ## the model beside MLflow, the usual script and a pass in C
	@$(BIN)/python tests/support/bench_model.py

bench-worker: install .venv-bench/.packages ## the worker beside other SQS workers, and at rest
	@$(BIN)/python tests/support/bench_worker.py

transcripts: tools ## the outputs of commands in docs/infrastructure.md, from a run of each
	@PYTHONPATH=tests/support $(BIN)/python -m engine.transcript

browser: install ## a Chromium for the tests of the pages, the distribution's where there is none
	@$(BIN)/python tests/support/browser.py

screenshot: browser ## the pictures in docs/images, from the running product
	@$(BIN)/python tests/support/screenshot.py

diagram: install ## the diagram in docs/architecture.md, from the program's graph
	@$(BIN)/python -m operations.diagram

cost: install ## docs/cost.md, from the program's graph and the price table
	@$(BIN)/python -m operations.cost_document

# The constraint keeps one version of a package across all locks. No address of an index goes in.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate
locks: install ## make the locks again from pyproject.toml
	@$(LOCK) pyproject.toml --extra web --extra worker --extra training --extra operations --extra dev \
		-o locks/development.txt
	@for extra in web worker operations bench; do \
		$(LOCK) pyproject.toml --extra $$extra -c locks/development.txt -o locks/$$extra.txt; done
	@for own in localcloud scan; do $(LOCK) locks/$$own.in -o locks/$$own.txt; done

clean: ## remove what install and up made, with the local predictions and files
	rm -rf .venv .venv-localcloud .venv-scan .venv-bench .local .mypy_cache .ruff_cache .pytest_cache .hypothesis
