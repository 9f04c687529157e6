# Needs nothing but make and Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help venv check test faults bench demo format clean

# The wheel as it is installed, with compiled modules, and everything else beside it.
COMPILED := build/compiled
BESIDE := $(filter-out build dist jv_session_mw,$(wildcard *))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

venv: $(VENV)/.dev ## make .venv with everything that development needs

check: $(VENV)/.dev ## lint, formatting, types (mypy and pyright, both strict)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright

test: $(VENV)/.dev $(if $(WHEEL),$(COMPILED)/.built) ## run every test against real servers; ARGS="tests/cli -x" narrows it, WHEEL=1 tests what is installed
	$(if $(WHEEL),cd $(COMPILED) && JV_SESSION_COMPILED=1 )$(abspath $(BIN))/python -m pytest $(ARGS)

faults: $(VENV)/.dev ## break Redis in every way, for twenty minutes; QUICK=1 for one, ARGS="--seed 7"
	@$(BIN)/python -m tests.faults $(if $(QUICK),--quick) $(ARGS)

bench: $(VENV)/.bench $(COMPILED)/.built ## measure beside the peers; QUICK=1 in a minute, DOCS=1 for the pictures of docs/
	@cd $(COMPILED) && $(abspath $(BIN))/python -m tests.benchmarks $(if $(QUICK),--quick) \
		--json $(abspath build/benchmarks/results.json) \
		--plots $(if $(DOCS),docs/pictures,$(abspath build/benchmarks)) $(ARGS)

demo: $(VENV)/.demo ## serve the example chat, with a Valkey of its own unless REDIS_URL is set
	@$(BIN)/python -m examples.chat

format: $(VENV)/.dev ## sort imports, fix what can be fixed, format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove .venv, caches and built files
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

SOURCES := $(shell find jv_session_mw integrations -name '*.py' -o -name '*.lua' -o -name '*.sql')

# In an environment where nothing is yet, as a new user has it: what is not declared is not found.
$(COMPILED)/.built: $(VENV)/pyvenv.cfg $(SOURCES) pyproject.toml hatch_build.py
	@echo "Building the wheel into $(COMPILED) ..."
	@rm -rf $(COMPILED)
	@$(BIN)/python -m venv --clear build/bare
	@build/bare/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --target $(COMPILED) .
	@ln -s $(addprefix ../../,$(BESIDE)) $(COMPILED)
	@touch $@

# Stamps of their own, because the demo needs a tenth of what development needs.
$(VENV)/.demo: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	@echo "Installing what the demo needs into $(VENV) ..."
	@$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	@echo "Installing what development needs into $(VENV) ..."
	@$(PIP) -e '.[dev]'
	@touch $(VENV)/.demo $@

$(VENV)/.bench: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	@echo "Installing what the benchmark needs into $(VENV) ..."
	@$(PIP) -e '.[bench]'
	@touch $@

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
