"""Translation of the views to the SQL of other engines with sqlglot.

The files of `sql/` are written for DuckDB with functions that all engines have. sqlglot translates
some of them incorrectly without an error: `epoch_ms` of a timestamp becomes a timestamp, Spark's
exact percentile an approximate one, its conversions of timestamps depend on the session's time
zone, and PostgreSQL cannot round doubles. These are rewritten in the syntax tree.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from tower_etl.errors import ConfigurationError
from tower_etl.views.definitions import iter_view_comments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tower_etl.views.definitions import View

DIALECTS = ("duckdb", "postgres", "spark")

_READ = "duckdb"
_MILLISECONDS = "3"  # scale that sqlglot uses for `epoch_ms`


def translate(sql: str, dialect: str) -> str:
    """Return a SELECT of `sql/` in the SQL of another engine, without its comments.

    Raises:
        ConfigurationError: The dialect is not supported.
    """
    check_dialect(dialect)
    tree = sqlglot.parse_one(sql, read=_READ)
    for rewrite in _REWRITES.get(dialect, ()):
        tree = tree.transform(rewrite)
    return tree.sql(dialect=dialect, pretty=True, comments=False)


def select_schema(name: str, dialect: str) -> str:
    """Return the statement that selects the schema of unqualified names.

    Raises:
        ConfigurationError: The dialect is not supported.
    """
    check_dialect(dialect)
    quoted = exp.to_identifier(name, quoted=True).sql(dialect=dialect)
    return f"SET search_path = {quoted}" if dialect == "postgres" else f"USE {quoted}"


def check_dialect(dialect: str) -> None:
    """Reject an unknown dialect.

    Raises:
        ConfigurationError: The dialect is not supported.
    """
    if dialect not in DIALECTS:
        msg = f"Unknown dialect {dialect!r}: expected one of {', '.join(DIALECTS)}."
        raise ConfigurationError(msg)


def iter_statements(views: Iterable[View], dialect: str) -> Iterator[str]:
    """Yield the statements that create or replace views in the current schema.

    Args:
        views: Views in order of dependency.
        dialect: One of `DIALECTS`.

    Yields:
        Statements without a semicolon: each view, followed by the comments on it and its columns.
    """
    for view in views:
        body = view.sql if dialect == _READ else translate(view.sql, dialect)
        yield f"CREATE OR REPLACE VIEW {view.name} AS\n{body.strip()}"
        if dialect == "spark":  # which accepts comments on columns only in CREATE VIEW
            literal = exp.Literal.string(view.comment).sql(dialect=dialect)
            yield f"ALTER VIEW {view.name} SET TBLPROPERTIES ('comment' = {literal})"
        else:
            yield from iter_view_comments(view)


def _is_epoch_ms(node: exp.Expression) -> bool:
    return isinstance(node, exp.UnixToTime) and node.text("scale") == _MILLISECONDS


def _postgres_epoch(node: exp.Expression) -> exp.Expression:
    """Rewrite `epoch_ms` to rounded milliseconds, as in DuckDB 2.

    DuckDB 1.5 truncates, which differs only in microseconds; the API sends none.
    """
    if not _is_epoch_ms(node):
        return node
    seconds = exp.Extract(this=exp.var("epoch"), expression=node.this)
    thousands = exp.Mul(this=seconds, expression=exp.Literal.number(1000))
    return exp.cast(exp.Round(this=thousands), "BIGINT")


def _postgres_round(node: exp.Expression) -> exp.Expression:
    """Cast to numeric before rounding, because PostgreSQL cannot round doubles to decimals."""
    decimals = node.args.get("decimals")
    if not isinstance(node, exp.Round) or decimals is None or isinstance(node.this, exp.Cast):
        return node
    exact = exp.Round(this=exp.cast(node.this, "DECIMAL"), decimals=decimals)
    return exp.cast(exact, "DOUBLE")


def _postgres_split(node: exp.Expression) -> exp.Expression:
    if not isinstance(node, exp.Split):
        return node
    return exp.Anonymous(this="STRING_TO_ARRAY", expressions=[node.this, node.expression])


def _spark_epoch(node: exp.Expression) -> exp.Expression:
    if not _is_epoch_ms(node):
        return node
    micros = exp.Anonymous(this="UNIX_MICROS", expressions=[node.this])
    thousandths = exp.Div(this=micros, expression=exp.Literal.number(1000))
    return exp.cast(exp.Round(this=thousandths), "BIGINT")


def _spark_timestamp(node: exp.Expression) -> exp.Expression:
    """Rewrite seconds since 1970 to a timestamp; sqlglot uses text in the session's time zone."""
    if not isinstance(node, exp.UnixToTime) or node.args.get("scale") is not None:
        return node
    return exp.Anonymous(this="TIMESTAMP_SECONDS", expressions=[node.this])


def _spark_wall_clock(node: exp.Expression) -> exp.Expression:
    """Rewrite `AT TIME ZONE`: shift a local time to the session's time zone, as Spark expects."""
    if not isinstance(node, exp.AtTimeZone):
        return node
    here = exp.Anonymous(this="CURRENT_TIMEZONE")
    there = exp.Anonymous(this="FROM_UTC_TIMESTAMP", expressions=[node.this, node.args["zone"]])
    return exp.Anonymous(this="TO_UTC_TIMESTAMP", expressions=[there, here])


def _spark_groups(node: exp.Expression) -> exp.Expression:
    """Write groups in the replacement of a regular expression as `$1`, not with a backslash."""
    replacement = node.args.get("replacement") if isinstance(node, exp.RegexpReplace) else None
    if isinstance(replacement, exp.Literal):
        text = re.sub(r"\\([0-9])", r"$\1", replacement.this)
        node.set("replacement", exp.Literal.string(text))
    return node


def _spark_percentile(node: exp.Expression) -> exp.Expression:
    """Rewrite `percentile_cont` to Spark's exact and interpolating `percentile(x, share)`."""
    if not (isinstance(node, exp.WithinGroup) and isinstance(node.this, exp.PercentileCont)):
        return node
    ordered = node.expression.expressions[0].this
    return exp.Anonymous(this="PERCENTILE", expressions=[ordered, node.this.this])


_REWRITES: Mapping[str, tuple[Callable[[exp.Expression], exp.Expression], ...]] = {
    "postgres": (_postgres_epoch, _postgres_round, _postgres_split),
    "spark": (_spark_epoch, _spark_timestamp, _spark_wall_clock, _spark_percentile, _spark_groups),
}
