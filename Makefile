# Corral. Needs Python 3.11 or newer; everything else is installed by `make setup` into .venv.
# PYTHON chooses the interpreter, ARGS is passed on: make demo ARGS=--json, make test ARGS='-k policy'.

SHELL := /bin/bash
.DEFAULT_GOAL := help

BIN := .venv/bin
STAMP := .venv/.setup
PAGES := src/corral/dashboard/static/index.html
INTEROP := tests/interop/node_modules/.package-lock.json
DENO := examples/edge-function/node_modules/.package-lock.json
CODE := $(wildcard src tests bench tools examples)
CONFTESTS := $(wildcard tests/conftest.py tests/*/conftest.py)

# An environment whose folder has moved is made again.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(shell pwd -P))
$(STAMP): moved
endif

.PHONY: help setup demo up test ui-test bench soak lint docs moved
moved:

help:
	@echo "make demo    run every queue's jobs on an embedded server, show their results"
	@echo "make up      the same service, until Ctrl-C"
	@echo "make test    lint, types and every test"
	@echo "make bench   measure side by side with other libraries"
	@echo "make soak    break everything by a seed, count every job"
	@echo "make lint    ruff, mypy, dependencies"
	@echo "make docs    build the documentation"
	@echo "make setup   make .venv (the others do it by themselves)"

setup: $(STAMP) $(PAGES)
	@:

$(STAMP): pyproject.toml requirements.lock requirements-build.lock tools/setup.sh
	@tools/setup.sh

$(PAGES): $(shell find ui -name node_modules -prune -o -type f ! -name schema.d.ts -print) tools/ui.sh | $(STAMP)
	@tools/ui.sh
	@touch $@

# npm writes this file last.
$(INTEROP): tests/interop/package-lock.json tests/interop/package.json tests/interop/.npmrc | $(STAMP)
	@echo "setup: installing the Node packages of tests/interop"
	@tools/node.sh npm ci --prefix tests/interop --silent
	@touch $@

$(DENO): examples/edge-function/package-lock.json examples/edge-function/package.json examples/edge-function/.npmrc | $(STAMP)
	@echo "setup: installing Deno for examples/edge-function"
	@tools/node.sh npm ci --prefix examples/edge-function --silent
	@touch $@

demo: setup
	@$(BIN)/corral demo $(ARGS)

up: setup
	@$(BIN)/corral up $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/mypy $(addprefix -m ,$(subst /,.,$(basename $(CONFTESTS))))
	$(BIN)/python tools/audit.py

# Beside each other, as neither alone keeps two cores busy.
test: $(INTEROP) $(DENO) $(PAGES)
	@$(MAKE) --no-print-directory --jobs 2 lint ui-test
	tools/prometheus.sh tools/chromium.sh tools/node.sh tools/tests.sh $(ARGS)

ui-test: $(PAGES)
	tools/node.sh npm test --prefix ui --silent

bench: $(STAMP)
	@tools/node.sh $(BIN)/python -m bench $(ARGS)

soak: $(STAMP) $(INTEROP)
	@tools/node.sh $(BIN)/python -m bench soak $(ARGS)

docs: $(STAMP)
	@$(BIN)/python tools/check_links.py
	@$(BIN)/python -m tools.reference --check
	@$(BIN)/python tools/imports.py --check
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
