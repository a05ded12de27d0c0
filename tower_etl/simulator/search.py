"""Search of the run listing: `after:`, `before:`, `status:`, `label:` and the like, and words."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tower_etl.simulator.clock import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Collection

    from tower_etl.simulator.aggregates import Row
    from tower_etl.simulator.runs import Run

_KEYWORDS = frozenset({"status", "label", "workflowid", "username", "projectname"})


@dataclass(frozen=True)
class Search:
    """Conditions on a run, all of which must hold.

    Attributes:
        after_s: Earliest submission, epoch seconds, inclusive.
        before_s: Latest submission, epoch seconds, inclusive.
        filters: Pairs of keyword (lower case) and value.
        words: Texts that the run's name contains, lower case.
    """

    after_s: float = float("-inf")
    before_s: float = float("inf")
    filters: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        msg = f"Unbalanced quotes in search: {text}"
        raise ValueError(msg) from error


def _parse_time(keyword: str, value: str) -> float:
    try:
        return parse_timestamp(value)
    except ValueError as error:
        msg = f"Invalid date in search: {keyword}:{value}"
        raise ValueError(msg) from error


def parse_search(text: str) -> Search:
    """Parse a search text.

    Raises:
        ValueError: A date is invalid, or a quote is not closed.
    """
    bounds = {"after": float("-inf"), "before": float("inf")}
    filters, words = [], []
    for token in _split(text):
        keyword, colon, value = token.partition(":")
        if colon and keyword.lower() in bounds:
            bounds[keyword.lower()] = _parse_time(keyword, value)
        elif colon and keyword.lower() in _KEYWORDS:
            filters.append((keyword.lower(), value))
        else:
            words.append(token.lower())
    return Search(bounds["after"], bounds["before"], tuple(filters), tuple(words))


def _has_label(labels: Collection[Row], value: str) -> bool:
    name, equals, expected = value.partition("=")
    return any(
        label["name"] == name and (not equals or label["value"] == expected) for label in labels
    )


def _holds(keyword: str, value: str, workflow: Row, labels: Collection[Row]) -> bool:
    match keyword:
        case "status":
            return str(workflow["status"]).lower() == value.lower()
        case "label":
            return _has_label(labels, value)
        case "workflowid":
            return bool(workflow["id"] == value)
        case "username":
            return bool(workflow["userName"] == value)
        case _:
            return value.lower() in str(workflow["projectName"]).lower()


def matches(search: Search, run: Run, labels: Collection[Row], now_s: int) -> bool:
    """Return whether the current state of a run and its labels meet all conditions."""
    if not search.after_s <= run.submit_s <= search.before_s:
        return False
    if not search.filters and not search.words:
        return True
    workflow = run.at(now_s).fields
    name = str(workflow["runName"]).lower()
    return all(word in name for word in search.words) and all(
        _holds(keyword, value, workflow, labels) for keyword, value in search.filters
    )
