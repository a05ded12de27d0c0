# `make demo` and `make test` create .venv if it is missing. `make help` lists all targets.
# The newest Python from 3.11 on. To use another one: make PYTHON=/path/to/python.
PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
BIN := .venv/bin
# uv installs in seconds, pip in about a minute.
ifneq ($(shell command -v uv 2>/dev/null),)
VENV := uv venv --allow-existing --python $(PYTHON) .venv
INSTALL := uv pip install --python $(BIN)/python
else
VENV := $(PYTHON) -m venv .venv
INSTALL := $(BIN)/pip install --disable-pip-version-check
endif

.DEFAULT_GOAL := help
.PHONY: help demo check test test-slow gestures metrics docs dbt ducklake orchestrators soak fuzz benchmark record record-live lowest dist-check container-check licences clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS='|' read -r name text; do printf '%-24s %s\n' "$$name" "$$text"; done

.venv/.python:
	@test -n "$(PYTHON)" || { echo "No Python from 3.11 on was found. Install one, or give its path: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Creating .venv with $(PYTHON) ..."
	$(VENV)
	@touch $@

.venv/.demo: pyproject.toml constraints.txt | .venv/.python
	@echo "Installing tower-etl and its simulator into .venv (about 500 MB) ..."
	$(INSTALL) --constraint constraints.txt --editable ".[simulator]"
	@touch $@

.venv/.ready: pyproject.toml constraints.txt | .venv/.python
	@echo "Installing the requirements of the checks and tests into .venv (about 1.4 GB) ..."
	$(INSTALL) --constraint constraints.txt --editable ".[dev]"
	@touch $@ .venv/.demo

demo: .venv/.demo  ## sync a simulated platform twice, a day apart, and show results
	$(BIN)/tower-etl demo

check: .venv/.ready  ## lint, format, types, import contracts, retired words
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.prose.words

test: .venv/.ready  ## the test suite: all quick tests, and the first slow test of each file
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

test-slow: .venv/.ready  ## all slow tests: kills at every point, every destination, every page
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --slow -m slow

gestures: .venv/.ready  ## COUNT (500) random sequences of actions with the dlt source
	$(BIN)/python -m tests.dlt_destinations.gestures $(or $(COUNT),500)

metrics: .venv/.ready  ## figures on the code: lines, modules, functions, comments, docstrings, retired words
	$(BIN)/python -m tests.prose.metrics

docs: .venv/.ready  ## write the generated parts of the pages: data dictionary, command line, marts, settings, dlt destinations
	$(BIN)/python -m tower_etl.schema.docs > docs/data-dictionary.md
	$(BIN)/python -m tower_etl.cli.docs > docs/command-line.md
	$(BIN)/python -m tower_etl.views.model_page docs/questions.md
	$(BIN)/python -m tower_etl.config.catalog README.md
	$(BIN)/python -m tests.dlt_destinations.page

soak: .venv/.ready  ## random histories for MINUTES (20), more than in the suite
	$(BIN)/python -m tests.semantics.soak $(or $(MINUTES),20)

fuzz: .venv/.ready  ## corrupted responses for MINUTES (5), more than in the suite; SEED repeats a run
	NO_PROXY=* $(BIN)/python -m tests.fuzz.long $(or $(MINUTES),5) $(SEED)

benchmark: .venv/.ready  ## compare with other tools and write docs/performance-figures.md; SIZE=million for the largest size
	$(BIN)/python -m benchmarks $(SIZE)

record: .venv/.ready  ## record the cassettes again from the simulator; the files are identical if nothing changed
	find cassettes -name '*.json' -not -path 'cassettes/live/*' -delete
	$(BIN)/pytest tests/cassettes --record --ignore=tests/cassettes/test_files.py
	$(BIN)/pytest tests/cassettes
	git status --short cassettes && git diff --stat -- cassettes

record-live: .venv/.ready  ## record about 20 GET requests to TOWER_API_ENDPOINT into cassettes/live
	$(BIN)/python -m tests.cassettes.live

lowest: .venv/.ready  ## the test suite with the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv --clear .venv-lowest
	$(BIN)/python -m tests.supply.floors > .venv-lowest/floors.txt
	.venv-lowest/bin/pip install --quiet --constraint .venv-lowest/floors.txt --editable ".[dev]"
	.venv-lowest/bin/pytest -n 3 --dist loadfile --no-loadscope-reorder $(TESTS)

ducklake: .venv/.ready  ## the tests of dlt's destination DuckLake, with the DuckDB version that its extension on PyPI requires
	$(PYTHON) -m venv --clear .venv-ducklake
	grep -v '^duckdb==' constraints.txt > .venv-ducklake/constraints.txt
	.venv-ducklake/bin/pip install --quiet --constraint .venv-ducklake/constraints.txt \
		--editable ".[dev]" duckdb==1.5.5 duckdb-extension-ducklake==1.5.5
	.venv-ducklake/bin/pytest tests/dlt_destinations -k ducklake

dbt: .venv/.ready  ## run the views as a dbt package in DuckDB and PostgreSQL
	test -x .venv-dbt/bin/dbt || $(PYTHON) -m venv .venv-dbt
	.venv-dbt/bin/pip install --quiet --requirement tests/dbt/requirements.txt
	$(BIN)/pytest --slow tests/sql/test_dbt_package.py

ORCHESTRATORS := dagster airflow prefect

orchestrators: $(ORCHESTRATORS:%=.venv-orchestrators/%/.ready)  ## test the examples for Dagster, Airflow and Prefect, with the newest version of each
	set -e; for name in $(ORCHESTRATORS); do \
		.venv-orchestrators/$$name/bin/pytest -o faulthandler_timeout=600 tests/orchestrators/test_$$name.py; done

.venv-orchestrators/%/.ready: pyproject.toml tests/orchestrators/%.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --editable ".[simulator]" --requirement tests/orchestrators/$*.txt \
		hypothesis pytest pytest-socket
	@touch $@

dist-check: .venv/.ready  ## build wheel and sdist, install each in an empty environment, and run the demo
	rm -rf dist
	$(BIN)/python -m build --quiet
	$(BIN)/python -m tests.supply.installed dist

container-check: .venv/.ready  ## run the build steps of the Containerfile, in a folder instead of a container
	$(BIN)/python -m tests.supply.container

licences: .venv/.ready  ## list the installed dependencies with their licences
	$(BIN)/python -m tests.supply.licences

clean:
	rm -rf .venv .venv-ducklake .venv-lowest .venv-orchestrators build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
