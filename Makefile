# Two commands are enough: `make demo` and `make test`. Both make .venv themselves.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: demo check test record clean

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
	$(BIN)/pytest -n 2

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
