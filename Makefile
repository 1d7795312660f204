# Two commands: `make quickstart` and `make test`. Each installs what it needs, from hashed pins.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= runs/quickstart
GPU ?= --out runs/gpu.md
PROCESSES ?= 3
SEEDS ?= 0-4999 d0-d4999
export VIRTUAL_ENV := $(CURDIR)/.venv
unexport PYTHONPATH
# Without them each of many processes would compile the same modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help quickstart test test-all nights docs page loopback bench gpu lint types format lock install clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

quickstart: install ## run the main job on bundled data into $(OUT)
	$(BIN)/stitchpipe quickstart --out $(OUT)

test: .venv/.compiled ## the tests, in PROCESSES processes: many tests wait for disks and servers
	$(BIN)/python -m pytest -n $(PROCESSES) --durations=20 --durations-min=5

test-all: .venv/.compiled ## all tests: fault campaigns, coverage of intervals, the scheduled deployment too (half an hour)
	$(BIN)/python -m pytest -n $(PROCESSES) -m "not benchmark" --hypothesis-profile thorough

nights: install ## ten thousand simulated nights of faults, by their seeds (an hour on two cores); SEEDS=0-99 for fewer
	$(BIN)/python -m tests.nights --seeds $(SEEDS) --processes 2

docs: install ## the documentation, into docs/_build/html; warnings are errors, nothing is fetched
	$(BIN)/sphinx-build -q -n -W --keep-going -b html docs docs/_build/html

page: ## the report's script and style, from their sources (node and npm); the built files are checked in
	cd stitchpipe/report/page && npm ci && node --test tests/ && node build.js

loopback: install ## servers, workers, a Dask cluster and one scheduled run in a bucket, without containers
	$(BIN)/python -m flows.loopback $(LOOPBACK)

bench: install ## measurements, as ratios against baselines in the same run
	$(BIN)/python -m pytest -m benchmark -s tests/benchmarks $(BENCH)

gpu: install ## each step on one GPU beside the CPU's numbers (10 minutes); says so where there is none
	$(BIN)/python -m pytest -q -m gpu tests/engine tests/stitching
	$(BIN)/python -m tests.benchmarks.gpu $(GPU)

lint: install ## ruff, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: install ## mypy, strict
	$(BIN)/mypy

format: install ## rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: .venv/.installed ## the virtual environment, from requirements.lock

.venv/.installed: requirements.lock .ci/installer.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement .ci/installer.lock
	$(BIN)/uv pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation \
		--config-setting editable_mode=compat --editable .
	touch $@

# What the tests import is compiled once, here, and not by each of their processes; to compile all that is installed
# would take twice as long. What cannot be collected is said by the tests.
.venv/.compiled: .venv/.installed
	$(BIN)/python -m pytest --collect-only -qq >/dev/null 2>&1 || true
	touch $@

lock: ## renew requirements.lock, and after it those of docker/ (network)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement .ci/installer.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --fork-strategy fewest --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --extra timm --extra hf \
		--extra servers --constraints requirements.lock pyproject.toml -o docker/requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header docker/tools.in -o docker/tools.lock

clean: ## remove the virtual environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build docs/_build docs/generated *.egg-info
