"""The views in the SQL of other engines: sqlglot, and what it would change the meaning of.

The files of `sql/` are written for DuckDB in what all engines have. Some things sqlglot turns into
something else, without a word: `epoch_ms` of a time becomes a time, Spark's exact percentile an
approximate one, its times of day and of numbers ones of the session's time zone, and PostgreSQL
rounds no doubles. They are put right in the tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tower_etl.views.definitions import View

DIALECTS = ("duckdb", "postgres", "spark")

_READ = "duckdb"
_MILLISECONDS = "3"  # the scale that sqlglot gives `epoch_ms`


def translate(sql: str, dialect: str) -> str:
    """One SELECT of `sql/` in the SQL of another engine, without its comments.

    Raises:
        ConfigurationError: No such dialect.
    """
    if dialect not in DIALECTS:
        msg = f"No dialect {dialect!r}: give one of {', '.join(DIALECTS)}."
        raise ConfigurationError(msg)
    tree = sqlglot.parse_one(sql, read=_READ)
    for rewrite in _REWRITES.get(dialect, ()):
        tree = tree.transform(rewrite)
    return tree.sql(dialect=dialect, pretty=True, comments=False)


def iter_statements(views: Iterable[View], dialect: str) -> Iterator[str]:
    """What creates or replaces the views, in the schema that unqualified names are looked up in.

    Args:
        views: In the order in which they can be created.
        dialect: One of `DIALECTS`.

    Yields:
        Statements without a semicolon; those that set a comment follow the view.
    """
    for view in views:
        body = view.sql if dialect == _READ else translate(view.sql, dialect)
        name = exp.to_identifier(view.name).sql(dialect=dialect)
        yield f"CREATE OR REPLACE VIEW {name} AS\n{body.strip()}"
        yield _comment(name, view.comment, dialect)


def _comment(name: str, text: str, dialect: str) -> str:
    literal = exp.Literal.string(text).sql(dialect=dialect)
    if dialect == "spark":
        return f"ALTER VIEW {name} SET TBLPROPERTIES ('comment' = {literal})"
    return f"COMMENT ON VIEW {name} IS {literal}"


def _is_epoch_ms(node: exp.Expression) -> bool:
    return isinstance(node, exp.UnixToTime) and node.text("scale") == _MILLISECONDS


def _postgres_epoch(node: exp.Expression) -> exp.Expression:
    """Whole milliseconds, rounded as DuckDB 2 does; 1.5 cuts off what the API does not send."""
    if not _is_epoch_ms(node):
        return node
    seconds = exp.Extract(this=exp.var("epoch"), expression=node.this)
    thousands = exp.Mul(this=seconds, expression=exp.Literal.number(1000))
    return exp.cast(exp.Round(this=thousands), "BIGINT")


def _postgres_round(node: exp.Expression) -> exp.Expression:
    """PostgreSQL rounds numerics to decimals, and no doubles."""
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


def _spark_moment(node: exp.Expression) -> exp.Expression:
    """Seconds since 1970 as a moment: sqlglot goes by a text in the session's time zone."""
    if not isinstance(node, exp.UnixToTime) or node.args.get("scale") is not None:
        return node
    return exp.Anonymous(this="TIMESTAMP_SECONDS", expressions=[node.this])


def _spark_wall_clock(node: exp.Expression) -> exp.Expression:
    """What a clock in another zone shows, as the moment at which the session's shows the same."""
    if not isinstance(node, exp.AtTimeZone):
        return node
    here = exp.Anonymous(this="CURRENT_TIMEZONE")
    there = exp.Anonymous(this="FROM_UTC_TIMESTAMP", expressions=[node.this, node.args["zone"]])
    return exp.Anonymous(this="TO_UTC_TIMESTAMP", expressions=[there, here])


def _spark_percentile(node: exp.Expression) -> exp.Expression:
    """`percentile(x, share)` is Spark's exact and interpolating one."""
    if not (isinstance(node, exp.WithinGroup) and isinstance(node.this, exp.PercentileCont)):
        return node
    ordered = node.expression.expressions[0].this
    return exp.Anonymous(this="PERCENTILE", expressions=[ordered, node.this.this])


_REWRITES: Mapping[str, tuple[Callable[[exp.Expression], exp.Expression], ...]] = {
    "postgres": (_postgres_epoch, _postgres_round, _postgres_split),
    "spark": (_spark_epoch, _spark_moment, _spark_wall_clock, _spark_percentile),
}
