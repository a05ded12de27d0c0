"""The search of the listing: `after:`, `before:`, `status:`, `label:` and the like, and words."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tower_etl.simulator.timeline import parse_text

if TYPE_CHECKING:
    from collections.abc import Collection

    from tower_etl.simulator.runs import Run

    Row = dict[str, Any]


@dataclass(frozen=True)
class Search:
    """What a run must be to be listed; all parts must hold.

    Attributes:
        after_s: Earliest submission, epoch seconds, inclusive.
        before_s: Latest submission, epoch seconds, inclusive.
        filters: Pairs of keyword (lower case) and value.
        words: Text to find in the run's name, lower case.
    """

    after_s: float = float("-inf")
    before_s: float = float("inf")
    filters: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()


_KEYWORDS = frozenset({"status", "label", "workflowid", "username", "projectname"})
_BOUNDS = frozenset({"after", "before"})


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as fault:
        msg = f"Unbalanced quotes in search: {text}"
        raise ValueError(msg) from fault


def _parse_time(keyword: str, value: str) -> float:
    try:
        return parse_text(value)
    except ValueError as fault:
        msg = f"Invalid date in search: {keyword}:{value}"
        raise ValueError(msg) from fault


def parse_search(text: str) -> Search:
    """Read a search text.

    Raises:
        ValueError: A date does not parse, or a quote is left open.
    """
    bounds = {"after": float("-inf"), "before": float("inf")}
    filters, words = [], []
    for token in _split(text):
        keyword, colon, value = token.partition(":")
        if colon and keyword.lower() in _BOUNDS:
            bounds[keyword.lower()] = _parse_time(keyword, value)
        elif colon and keyword.lower() in _KEYWORDS:
            filters.append((keyword.lower(), value))
        else:
            words.append(token.lower())
    return Search(bounds["after"], bounds["before"], tuple(filters), tuple(words))


def _has_label(labels: Collection[Row], value: str) -> bool:
    name, equals, wanted = value.partition("=")
    return any(
        label["name"] == name and (not equals or label["value"] == wanted) for label in labels
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
    """Whether the run, as it stands now and with these labels, is what is searched for."""
    if not search.after_s <= run.submit_s <= search.before_s:
        return False
    if not search.filters and not search.words:
        return True
    workflow = run.summary(now_s)
    name = str(workflow["runName"]).lower()
    return all(word in name for word in search.words) and all(
        _holds(keyword, value, workflow, labels) for keyword, value in search.filters
    )
