# `make run` and `make test` are all that a fresh machine needs: Python 3.11 or newer, make, git.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCH_INSTALLED := $(VENV)/.installed-bench

# Dagster reads $DAGSTER_HOME/dagster.yaml; what it keeps lies in .dagster, next to it.
export DAGSTER_HOME := $(CURDIR)

# Threads of torch that wait do so without burning the core that another one needs.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help run test tests ui check lint types fast fuzz bench lock clean
help: ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(INSTALLED) ## the whole graph on the starter data and data/custom
	$(BIN)/python -m pipelines.run

# A file's tests share what they set up; in the order of their names, the long files do not come last.
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder

# A worker has a core; with two threads each they would wait for each other.
tests fast: export OMP_NUM_THREADS := 1

# Tests wait now and then, for processes that start and end: types are checked meanwhile.
test: lint ## every check and every test
	@$(MAKE) --no-print-directory -j 2 types tests

tests: $(INSTALLED)
	$(BIN)/python -m pytest $(WORKERS)

fast: $(INSTALLED) ## the tests that take seconds
	$(BIN)/python -m pytest $(WORKERS) -m "not slow"

fuzz: $(INSTALLED) ## damaged MIDI files, a hundred times as many as in `make test`
	$(BIN)/python -m pytest -n 2 -o faulthandler_timeout=0 --hypothesis-profile=fuzz tests/midi/test_fuzz.py

check: lint types ## format, lint, types, structure

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(INSTALLED)
	$(BIN)/pyright

ui: $(INSTALLED) ## Dagster at http://127.0.0.1:3000
	@mkdir -p .dagster
	$(BIN)/dagster dev --host 127.0.0.1 --port 3000

bench: $(BENCH_INSTALLED) ## speed beside peers, see benchmarks/README.md
	$(BIN)/python -m benchmarks.ingest
	$(BIN)/python -m benchmarks.scale --files 16000
	$(BIN)/python -m benchmarks.duplicates
	$(BIN)/python -m benchmarks.judging
	$(BIN)/python -m benchmarks.dedupe_scale --pieces 8000
	$(BIN)/python -m benchmarks.edit_matrix --out data/benchmarks/edits.png
	$(BIN)/python -m benchmarks.statistics
	$(BIN)/python -m benchmarks.statistics_scale --notes 8000000
	$(BIN)/python -m benchmarks.lake_formats

# torch is named by hand: its newest build may bring gigabytes of CUDA that a CPU does not need.
TORCH := torch==2.13.0
COMPILE := $(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links \
	--no-emit-options --no-header --no-annotate

lock: $(INSTALLED) ## choose the newest versions that pyproject.toml allows
	echo "$(TORCH)" > $(VENV)/torch.txt
	$(COMPILE) --constraint $(VENV)/torch.txt --extra train --extra report --extra orchestration --extra dev \
		--output-file requirements.lock pyproject.toml
	$(COMPILE) --constraint requirements.lock --extra bench --output-file requirements-bench.lock pyproject.toml
	sed -i -e 's/^\(torch==[0-9.]*\)+.*/\1/' -e '/^pip==/d' -e '/^#/d' requirements.lock requirements-bench.lock

clean: ## remove .venv; data stays
	rm -rf $(VENV)

# Python compiles a module when it is first imported; pip would compile all there are, most of which never is.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "pianogen needs Python 3.11 or newer, and no python3 was found on PATH"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(f"pianogen needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}. Set PYTHON=/path/to/python3.11" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@echo "compiling what is compiled, once"
	@$(BIN)/python -m pianogen.precompile
	@touch $@

$(BENCH_INSTALLED): requirements-bench.lock $(INSTALLED)
	$(INSTALL) -r requirements-bench.lock
	@touch $@
