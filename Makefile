# `make help` lists the targets: every line `target: …  ## what it does` below.
SHELL := /bin/bash
BIN := .venv/bin
# That of the environment there is, so that a later installation does not mix two; else the first that is found.
PYTHON ?= $(shell $(BIN)/python -c '' 2>/dev/null && echo $(BIN)/python || command -v python3.11 || command -v python3)
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONUNBUFFERED := 1
LOCK := flock --nonblock --conflict-exit-code 75 .repro.lock
BUSY := (code=$$?; [ $$code -ne 75 ] || echo "another make is already at work in this folder; wait for it to end" >&2; exit $$code)
MIRROR := $(BIN)/python -m hmu_tasks mirror >/dev/null

.PHONY: help repro demo review test test-fast check table hashes sbom clean-side server deploy worker
.DEFAULT_GOAL := repro

PIP := $(BIN)/python -m pip --disable-pip-version-check
UV := .uv/bin/uv
IDENTITY := import sys; print(sys.base_prefix, sys.version_info[:2])

$(BIN)/.installed: pyproject.toml constraints.txt constraints-torch.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) and "HMU needs Python 3.11 or 3.12 and this is %d.%d: make PYTHON=/path/to/python3.11" % sys.version_info[:2])'
	@[ "$$($(BIN)/python -c '$(IDENTITY)' 2>/dev/null)" = "$$($(PYTHON) -c '$(IDENTITY)')" ] || \
	  { [ ! -e .venv ] || echo "making .venv anew with $(PYTHON)" >&2; rm -rf .venv && $(PYTHON) -m venv .venv; }
	$(PIP) install --quiet --require-hashes --no-deps --requirement constraints.txt
	$(PIP) install --quiet --requirement constraints-torch.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	$(PIP) check
	@touch $@

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

repro: $(BIN)/.installed  ## run the whole pipeline and print the decision; JOBS=1: one stage at a time
	@$(LOCK) $(BIN)/python -m flows.repro $(if $(JOBS),--jobs $(JOBS)) || \
	  (code=$$?; [ $$code -eq 75 ] || $(MIRROR); exit $$code) || $(BUSY)
	@$(BIN)/python -m hmu_tasks table
	@$(MIRROR)

table: $(BIN)/.installed  ## print the decision and where the report is; ALL=1: every table
	@$(BIN)/python -m hmu_tasks table $(if $(ALL),--all)

demo: $(BIN)/.installed  ## type prompts and compare models on a page of this machine; PORT=8350
	@exec $(BIN)/python -m hmu_tasks demo $(if $(filter command line environment,$(origin PORT)),--port $(PORT))

review: $(BIN)/.installed  ## judge blind pairs of motions on a page of this machine; MODEL=prune, PORT=8350
	@exec $(BIN)/python -m hmu_tasks review $(if $(MODEL),--model $(MODEL)) \
	  $(if $(filter command line environment,$(origin PORT)),--port $(PORT))

test: $(BIN)/.installed  ## all tests, three processes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-fast: $(BIN)/.installed  ## tests without servers, whole pipelines, and what takes seconds
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --ignore tests/e2e --ignore tests/flows -m "not slow"

check: $(BIN)/.installed  ## ruff, formatting, mypy, import contracts, tests: what CI runs
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	$(MAKE) test

hashes:  ## fill in the hashes of constraints.txt from PyPI after a pin was changed
	$(PYTHON) -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	grep -oE '^[A-Za-z0-9][^ ;]*==[^ ;]+' constraints.txt > .uv/pins.txt
	$(UV) pip compile .uv/pins.txt --quiet --no-deps --generate-hashes --no-config --python-version 3.11 --no-header \
	  --no-annotate --output-file .uv/hashed.txt
	(grep '^#' constraints.txt; cat .uv/hashed.txt) > .uv/constraints.txt && mv .uv/constraints.txt constraints.txt

sbom: $(BIN)/.installed  ## list what is installed as sbom.json (CycloneDX), for the release notes of an image
	$(PYTHON) -m venv .sbom && .sbom/bin/pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
	.sbom/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible \
	  --output-format JSON --output-file sbom.json

POOL ?= cpu
PORT ?= 4200

server: $(BIN)/.installed  ## start a Prefect server; PORT=4200
	@exec $(BIN)/python -m flows.server.operate server --port $(PORT)

deploy: $(BIN)/.installed  ## tell the server what there is to run
	@$(BIN)/python -m flows.server.operate deploy

worker: $(BIN)/.installed  ## start a worker; POOL=cpu|gpu, LIMIT=runs at once
	@exec $(BIN)/python -m flows.server.operate worker --pool $(POOL) $(if $(LIMIT),--limit $(LIMIT))

clean-side:  ## delete caches, resumable training state and the local stores
	rm -rf runs/side
