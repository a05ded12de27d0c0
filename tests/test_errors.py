"""The error hierarchy: exit codes, retryable errors, and the tree in the module's docstring."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tower_etl import errors
from tower_etl.errors import ApiError, TowerEtlError

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTRACT = {
    "TowerEtlError": 1,
    "ConfigurationError": 2,
    "FileAccessError": 2,
    "AuthenticationError": 3,
    "DestinationLockedError": 6,
}
API_CONTRACT = dict.fromkeys(("ForbiddenError", "NotFoundError", "BadRequestError"), 4)
RETRYABLE = {
    *("ApiConnectionError", "RateLimitError"),
    *("ServerError", "AbsentListError", "MalformedResponseError"),
}


def iter_kinds(root: type[TowerEtlError] = TowerEtlError) -> Iterator[type[TowerEtlError]]:
    """Yield an error class of the package and all its subclasses."""
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from iter_kinds(kind)


KINDS = list(iter_kinds())
API_KINDS = [kind for kind in KINDS if issubclass(kind, ApiError)]


def test_the_docstring_lists_every_error_with_its_exit_code() -> None:
    drawn = re.findall(r"^[ │├└─]+(\w+Error) +(\d)", errors.__doc__ or "", re.MULTILINE)

    assert sorted((name, int(code)) for name, code in drawn) == sorted(
        (kind.__name__, kind.exit_code) for kind in KINDS
    )


def test_exit_codes_match_the_documented_contract() -> None:
    """Scheduled jobs depend on the codes; errors that the contract does not list exit with 5."""
    expected = CONTRACT | API_CONTRACT

    assert {kind.__name__: kind.exit_code for kind in KINDS} == {
        kind.__name__: expected.get(kind.__name__, 5) for kind in KINDS
    }


def test_only_transient_api_errors_are_retryable() -> None:
    assert {kind.__name__ for kind in API_KINDS if kind.retryable} == RETRYABLE


@pytest.mark.parametrize("kind", API_KINDS)
def test_an_api_error_has_message_status_code_and_retry_after(kind: type[ApiError]) -> None:
    error = kind("GET /x: no.", status_code=429, retry_after=2.0)

    assert (str(error), error.status_code, error.retry_after) == ("GET /x: no.", 429, 2.0)
    assert (kind("no").status_code, kind("no").retry_after) == (None, None)
