# make repro   run the whole pipeline (set-up included) and print the result table; JOBS=1: one stage at a time
# make test    set up and run the tests;  make test-fast  without servers and whole pipelines (some 3 min)
# make check   ruff, formatting, mypy, tests (what CI runs)
# make server  start a Prefect server;  make deploy  tell it what there is to run;  make worker POOL=cpu|gpu
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONUNBUFFERED := 1
LOCK := flock --nonblock --conflict-exit-code 75 .repro.lock
BUSY := (code=$$?; [ $$code -ne 75 ] || echo "another make is already at work in this folder; wait for it to end" >&2; exit $$code)
MIRROR := $(BIN)/python -m hmu_tasks mirror >/dev/null

.PHONY: repro test test-fast check table clean-side server deploy worker
.DEFAULT_GOAL := repro

$(BIN)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "HMU needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --constraint constraints.txt
	@touch $@

repro: $(BIN)/.installed
	@$(LOCK) $(BIN)/python -m flows.repro $(if $(JOBS),--jobs $(JOBS)) || \
	  (code=$$?; [ $$code -eq 75 ] || $(MIRROR); exit $$code) || $(BUSY)
	@$(BIN)/python -m hmu_tasks table
	@$(MIRROR)

table: $(BIN)/.installed
	@$(BIN)/python -m hmu_tasks table

test: $(BIN)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-fast: $(BIN)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --ignore tests/e2e --ignore tests/flows -m "not slow"

check: $(BIN)/.installed
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	$(MAKE) test

POOL ?= cpu
PORT ?= 4200

server: $(BIN)/.installed
	@exec $(BIN)/python -m flows.server.operate server --port $(PORT)

deploy: $(BIN)/.installed
	@$(BIN)/python -m flows.server.operate deploy

worker: $(BIN)/.installed
	@exec $(BIN)/python -m flows.server.operate worker --pool $(POOL) $(if $(LIMIT),--limit $(LIMIT))

clean-side:
	rm -rf runs/side
