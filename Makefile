# make app    the lab in the browser          make test   everything, browser included where Chromium is found
# make setup  only install                    make check  format, lint, types, layers, fast tests (before each commit)
# make bench-plans  plan solvers beside POT, ott-jax and geomloss, which it installs into .venv-bench (an hour, by hand)
# make bench-neural  a training step beside torchcfm and ott-jax, on one core (a quarter of an hour, by hand)
# make bench-cells  growth, genes and fates against the truth, real cells, memory and time (an hour, by hand)
# make bench-barycenters  learned barycenters beside the paper's table and a plain loop (an hour; goes on where it was stopped)
# make app PORT=8502 for another port; PYTHON=/path/to/python3.11 for an interpreter that is not found by itself

PORT ?= 8501
HOST ?= 127.0.0.1
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
BENCH := .venv-bench
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet
FAST := not slow and not browser
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help app setup dev bench-plans bench-neural bench-cells bench-barycenters test check format lint types clean

help:
	@sed -n 's/^# //p' $(firstword $(MAKEFILE_LIST))

app: $(RUNTIME)
	@$(BIN)/python -c 'import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("$(HOST)", $(PORT)))' 2>/dev/null || { \
	  echo "Port $(PORT) is taken, perhaps by a lab that is already open at http://$(HOST):$(PORT). Take another one: make app PORT=$$(( $(PORT) + 1 ))" >&2; exit 1; }
	@echo "uotlab: http://$(HOST):$(PORT)    (Ctrl+C ends it)"
	@$(BIN)/python -m streamlit run app.py --server.address $(HOST) --server.port $(PORT) --server.headless true

setup: $(RUNTIME)
	@echo "Ready: make app starts the lab."

dev: $(DEV)

# The stamps are younger than the files they depend on, so a second start installs nothing.
$(RUNTIME): requirements.txt pyproject.toml | $(BIN)/python
	@echo "Installing uotlab into $(VENV) (a few minutes the first time) ..."
	@$(PIP) -r requirements.txt && $(PIP) --no-deps --no-build-isolation -e . && touch $@

$(DEV): requirements-dev.txt requirements-cluster.txt $(RUNTIME)
	@echo "Installing what the tests need ..."
	@$(PIP) -r requirements-dev.txt && touch $@

# Sees the packages of .venv and adds its own: nothing there changes.
$(BENCH)/.installed: requirements-bench.txt $(RUNTIME)
	@$(BIN)/python -m venv --without-pip $(BENCH)
	@echo "import site; site.addsitedir('$(CURDIR)/$(VENV)/lib/python3.11/site-packages')" > $(BENCH)/lib/python3.11/site-packages/uotlab.pth
	@$(BENCH)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps -r requirements-bench.txt && touch $@

bench-plans: $(BENCH)/.installed
	@for part in plans plans_lazy plans_ipot; do \
	  $$(command -v taskset >/dev/null && echo taskset -c 0) $(BENCH)/bin/python -u benchmarks/$$part.py || exit 1; \
	done

bench-neural: $(BENCH)/.installed
	@OMP_NUM_THREADS=1 $$(command -v taskset >/dev/null && echo taskset -c 0) $(BENCH)/bin/python -u benchmarks/neural_steps.py
bench-cells: $(RUNTIME)
	@for part in cells cells_genes cells_fates "cells_fates uoticnn --set rho1=0.283 rho2=0.283"; do \
	  set -- $$part; script=$$1; shift; $(BIN)/python -u benchmarks/$$script.py "$$@" || exit 1; \
	done

bench-barycenters: $(DEV)
	@$(BIN)/python -u benchmarks/barycenters.py --results barycenters.jsonl
	@$(BIN)/python -u benchmarks/barycenters_steps.py
	@$(BIN)/python -u benchmarks/barycenters_digits.py

$(BIN)/python:
	@for p in "$(PYTHON)" python3.11 python3 python; do \
	  [ -n "$$p" ] && "$$p" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && { found=$$p; break; }; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "uotlab needs Python 3.11 and found none on this machine." >&2; \
	  echo "Install it (Debian, Ubuntu: apt install python3.11 python3.11-venv; macOS: brew install python@3.11; Windows: use WSL)," >&2; \
	  echo "then run make again, or name it: make $(or $(MAKECMDGOALS),app) PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	"$$found" -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python 3.11 is here, but its venv module is not: apt install python3.11-venv, then run make again." >&2; exit 1; }

# Browser tests run by themselves: they watch the clock. Both parts run, and either one fails the whole.
test: $(DEV)
	@$(BIN)/python -m pytest -n $(JOBS) -m "not browser"; rest=$$?; \
	$(BIN)/python -m pytest -m browser; browser=$$?; exit $$(( rest ? rest : browser ))

check: $(DEV) lint types
	@$(BIN)/python -m pytest -q -n $(JOBS) -m "$(FAST)"

lint: $(DEV)
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: $(DEV)
	@$(BIN)/mypy

format: $(DEV)
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(BENCH) .pytest_cache .mypy_cache .ruff_cache .hypothesis
