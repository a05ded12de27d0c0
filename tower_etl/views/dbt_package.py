"""Views as a dbt package: models with `ref` and `source`, tests, freshness and descriptions."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import yaml

from tower_etl.errors import ConfigurationError
from tower_etl.schema import LOCAL_TABLES, TABLES
from tower_etl.views.definitions import iter_views
from tower_etl.views.dialects import check_dialect, translate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tower_etl.schema import TableSpec
    from tower_etl.views.definitions import View

NAME = "tower_etl"
_READ = re.compile(r"\b(FROM|JOIN)(\s+)(\w+)")
_MARKER = "dbt_project.yml"
_README = """# tower_etl

Made by `tower-etl views --dbt` for {dialect}; edits are lost when it is made again.

Add it to the `packages.yml` of a project, and run it against the database that `tower-etl sync`
fills:

```yaml
packages:
  - local: path/to/this/folder
```

The tables are expected in the schema `tower`; `vars: {{tower_etl_schema: other}}` names another.
"""


def write_dbt_package(folder: Path, dialect: str) -> int:
    """Write the package into a folder, and return the number of its models.

    Args:
        folder: New or empty folder, or one with an earlier version of the package.
        dialect: SQL dialect of the models, one of `DIALECTS`.

    Raises:
        ConfigurationError: The dialect is not supported, or the folder has other contents.
    """
    check_dialect(dialect)
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARKER).exists():
        msg = f"{folder} is not empty, and not a dbt project. Choose a new folder for --dbt."
        raise ConfigurationError(msg)
    files = dict(_iter_files(dialect))
    for old in (folder / "models").rglob("*.*"):
        old.unlink()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return sum(name.endswith(".sql") for name in files)


def _iter_files(dialect: str) -> Iterator[tuple[str, str]]:
    views = {view.name: view for view in iter_views()}
    yield _MARKER, _dump(_make_project())
    yield "README.md", _README.format(dialect=dialect)
    yield "models/sources.yml", _dump({"version": 2, "sources": [_make_source()]})
    for view in views.values():
        yield f"models/{view.kind}/{view.name}.sql", _make_model(view, dialect, views)
        yield f"models/{view.kind}/{view.name}.yml", _dump(_describe_model(view))


def _make_project() -> dict[str, Any]:
    return {
        "name": NAME,
        "version": version("tower-etl"),
        "config-version": 2,
        "require-dbt-version": ">=1.8.0",
        "model-paths": ["models"],
        "models": {NAME: {"+materialized": "view"}},
    }


def _make_model(view: View, dialect: str, views: Mapping[str, View]) -> str:
    """Return the SELECT of a view with `ref` and `source` instead of names."""
    sql = view.sql if dialect == "duckdb" else translate(view.sql, dialect)

    def name(match: re.Match[str]) -> str:
        word, space, read = match.groups()
        if read in views and read != view.name:
            return f"{word}{space}{{{{ ref('{read}') }}}}"
        if read in TABLES or read in LOCAL_TABLES:
            return f"{word}{space}{{{{ source('tower', '{read}') }}}}"
        return match[0]

    return _READ.sub(name, sql).strip() + "\n"


def _describe_model(view: View) -> dict[str, Any]:
    columns = [
        {"name": column, "description": text} for column, text in view.docs.column_comments.items()
    ]
    return {
        "version": 2,
        "models": [{"name": view.name, "description": view.comment, "columns": columns}],
    }


def _make_source() -> dict[str, Any]:
    tables = [_describe_table(table) for table in (*TABLES.values(), *LOCAL_TABLES.values())]
    return {
        "name": "tower",
        "description": "Run history of Seqera Platform, loaded by tower-etl.",
        "schema": "{{ var('tower_etl_schema', 'tower') }}",
        "tables": tables,
    }


def _describe_table(table: TableSpec) -> dict[str, Any]:
    tests = ["not_null", "unique"] if len(table.key) == 1 else ["not_null"]
    columns = [
        {"name": column.name, "description": column.description}
        | ({"data_tests": tests} if column.name in table.key else {})
        for column in table.columns
    ]
    described: dict[str, Any] = {
        "name": table.name,
        "description": table.description,
        "columns": columns,
    }
    if table.name == "sync_runs":
        described["config"] = {
            "loaded_at_field": "finished_at",
            "freshness": {
                "warn_after": {"count": 1, "period": "day"},
                "error_after": {"count": 3, "period": "day"},
            },
        }
    return described


def _dump(value: Any) -> str:  # noqa: ANN401 JSON values
    """Return YAML; texts with braces are quoted, because dbt reads them as templates."""
    plain = json.loads(json.dumps(value))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
