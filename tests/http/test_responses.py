"""Conversion of an HTTP response to a JSON object, or to the error class of its status."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower_etl.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ForbiddenError,
    MalformedResponseError,
    NotFoundError,
    RateLimitError,
    ServerError,
)
from tower_etl.http.responses import parse_object, parse_retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
WHERE = "GET /workflow"


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"[1]", "a list"), (b'"x"', "a text"), (b"null", "null"), (b"1e400", "a number")],
)
def test_the_error_for_non_object_json_names_its_type(body: bytes, kind: str) -> None:
    with pytest.raises(MalformedResponseError, match=f"no JSON object but {kind}"):
        parse_object(200, {}, body, WHERE)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"params":' * 3000 + b"1" + b"}" * 3000, "nested too deeply"),
        (b'{"workflows": [', "line 1 column"),
    ],
)
def test_the_error_for_unreadable_json_states_the_reason(body: bytes, reason: str) -> None:
    """A body that begins like a JSON object is not reported as a login page."""
    with pytest.raises(ServerError, match=reason) as caught:
        parse_object(200, {}, body, WHERE)
    assert "login page" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 201, 206, 299])
def test_any_2xx_response_returns_its_json_object(status: int) -> None:
    assert parse_object(status, {}, b'{"a": [1, null]}', WHERE) == {"a": [1, None]}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (199, BadRequestError),
        (300, BadRequestError),
        (304, BadRequestError),
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (405, BadRequestError),
        (408, ServerError),
        (409, BadRequestError),
        (422, BadRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (501, BadRequestError),
        (502, ServerError),
        (503, ServerError),
        (504, ServerError),
        (599, ServerError),
    ],
)
def test_every_other_status_raises_its_error_class(status: int, kind: type[ApiError]) -> None:
    """The class tells the sync how to react: retry, skip or stop."""
    with pytest.raises(ApiError) as caught:
        parse_object(status, {}, b"{}", WHERE)

    assert (kind, status) == (type(caught.value), caught.value.status_code)
    assert str(caught.value) == f"GET /workflow: the server answered {status}."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<html><body>Sign in</body></html>",
        b'{"workflows": [{"workflow": {"id"',
        b"[]",
        b'[{"workflow": {}}]',
        b"null",
        b"0",
        b'"ok"',
        b'{"a": NaN',
        b'{"a": 1} {"b": 2}',
        b'{"a": "\xff',
    ],
)
def test_a_2xx_response_without_a_json_object_is_a_retryable_error(body: bytes) -> None:
    """It must not become an empty page, and the same call may succeed later."""
    headers = {"Content-Type": "text/html; charset=utf-8"}

    with pytest.raises(ServerError, match="no JSON object") as caught:
        parse_object(200, headers, body, WHERE)

    assert (caught.value.retryable, caught.value.status_code) == (True, 200)
    assert f"{len(body)} bytes of text/html that are" in str(caught.value)


@given(body=st.binary(max_size=40), status=st.integers(100, 599))
def test_any_response_gives_an_object_or_an_api_error(body: bytes, status: int) -> None:
    try:
        parsed = parse_object(status, {}, body, WHERE)
    except ApiError as error:
        assert error.status_code == status  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(parsed, dict)


def test_an_error_quotes_the_server_message_on_one_line() -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_object(400, {}, b'{"message": "Invalid max:\\n 101"}', WHERE)

    assert str(caught.value) == "GET /workflow: the server answered 400 (Invalid max: 101)."


def test_a_long_server_message_is_truncated() -> None:
    """Some servers send a stack trace as the message."""
    with pytest.raises(ServerError) as caught:
        parse_object(500, {}, b'{"message": "' + b"x" * 5000 + b'"}', WHERE)

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"", b"[1]", b'{"message": null}'])
def test_an_error_without_a_server_message_omits_the_body(body: bytes) -> None:
    """An HTML page of a gateway does not belong in a message."""
    with pytest.raises(ServerError, match=r"^GET /workflow: the server answered 502\.$"):
        parse_object(502, {}, body, WHERE)


def test_a_429_error_carries_retry_after_in_seconds() -> None:
    with pytest.raises(RateLimitError) as caught:
        parse_object(429, {"Retry-After": "3"}, b"", WHERE)

    assert caught.value.retry_after == 3.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("1", 1.0),
        (" 120 ", 120.0),
        ("0.5", 0.5),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30.0),
        ("Sun, 01 Mar 2026 13:00:30 +0100", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1e3", None),
        ("0\x1f", None),
        ("\u0663", None),
        ("inf", None),
        ("Sun, 99 Mar 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_parsed_as_seconds_or_as_a_date(
    value: str | None, seconds: float | None
) -> None:
    """A date in the past gives 0, an invalid value gives None."""
    assert parse_retry_after(value, NOW) == seconds


@given(value=st.text(max_size=40))
def test_any_retry_after_value_gives_a_delay_or_none(value: str) -> None:
    seconds = parse_retry_after(value, NOW)

    assert seconds is None or seconds >= 0.0


@pytest.mark.parametrize(
    "value",
    [
        "Wed, 21 Oct 2015 07:28:00 +99999999999999999999",
        "Wed, 21 Oct 99999999999 07:28:00 GMT",
    ],
)
def test_a_retry_after_date_out_of_range_is_ignored(value: str) -> None:
    assert parse_retry_after(value, NOW) is None
