# Two commands are enough: `make demo` and `make test`. Both make .venv themselves.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: demo check test docs soak fuzz benchmark record record-live clean

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

demo: .venv/.ready  ## sync a simulated platform into tower.duckdb, twice, and show the answers
	$(BIN)/tower-etl demo

check: .venv/.ready  ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: .venv/.ready  ## the whole suite
	$(BIN)/pytest -n 2 --dist worksteal

docs: .venv/.ready  ## write the data dictionary from the specs of the tables
	$(BIN)/python -m tower_etl.tables.dictionary > docs/data-dictionary.md

soak: .venv/.ready  ## random histories for MINUTES (20), beyond those of the suite
	$(BIN)/python -m tests.semantics.soak $(or $(MINUTES),20)

fuzz: .venv/.ready  ## spoilt answers for MINUTES (5), beyond those of the suite; SEED repeats one run
	NO_PROXY=* $(BIN)/python -m tests.fuzz.long $(or $(MINUTES),5) $(SEED)

benchmark: .venv/.ready  ## measure against peers and write docs/performance-figures.md; SIZE=million for the largest
	$(BIN)/python -m benchmarks $(SIZE)

record: .venv/.ready  ## record the cassettes anew against the simulator: the same bytes if nothing changed
	find cassettes -name '*.json' -not -path 'cassettes/live/*' -delete
	$(BIN)/pytest tests/cassettes --record --ignore=tests/cassettes/test_files.py
	$(BIN)/pytest tests/cassettes
	git status --short cassettes && git diff --stat -- cassettes

record-live: .venv/.ready  ## record a few reading calls to TOWER_API_ENDPOINT into cassettes/live
	$(BIN)/python -m tests.cassettes.live

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
