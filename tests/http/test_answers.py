"""From an HTTP answer to an object, or to the error that it stands for."""

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
def test_json_that_is_no_object_is_named_for_what_it_is(body: bytes, kind: str) -> None:
    with pytest.raises(MalformedResponseError, match=f"no JSON object but {kind}"):
        parse_object(200, {}, body, WHERE)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"params":' * 3000 + b"1" + b"}" * 3000, "nested too deeply"),
        (b'{"workflows": [', "line 1 column"),
    ],
)
def test_json_that_cannot_be_read_says_why(body: bytes, reason: str) -> None:
    """No login page sends what begins like an object."""
    with pytest.raises(ServerError, match=reason) as caught:
        parse_object(200, {}, body, WHERE)
    assert "login page" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 201, 206, 299])
def test_a_success_carries_its_object(status: int) -> None:
    """Any status of success will do."""
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
def test_every_other_status_is_an_error(status: int, kind: type[ApiError]) -> None:
    """Of the kind that says what the sync must do, and with the status at hand."""
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
def test_a_success_without_an_object_is_a_fault(body: bytes) -> None:
    """A failure never becomes an empty page; the same call may succeed later."""
    headers = {"Content-Type": "text/html; charset=utf-8"}

    with pytest.raises(ServerError, match="no JSON object") as caught:
        parse_object(200, headers, body, WHERE)

    assert (caught.value.retryable, caught.value.status_code) == (True, 200)
    assert f"{len(body)} bytes of text/html that are" in str(caught.value)


@given(body=st.binary(max_size=40), status=st.integers(100, 599))
def test_any_answer_is_an_object_or_an_api_error(body: bytes, status: int) -> None:
    """Nothing that a server sends ends in another kind of error."""
    try:
        parsed = parse_object(status, {}, body, WHERE)
    except ApiError as error:
        assert error.status_code == status  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(parsed, dict)


def test_a_refusal_says_what_the_server_said() -> None:
    """On one line."""
    with pytest.raises(BadRequestError) as caught:
        parse_object(400, {}, b'{"message": "Invalid max:\\n 101"}', WHERE)

    assert str(caught.value) == "GET /workflow: the server answered 400 (Invalid max: 101)."


def test_a_long_refusal_is_cut() -> None:
    """A stack trace is no message."""
    with pytest.raises(ServerError) as caught:
        parse_object(500, {}, b'{"message": "' + b"x" * 5000 + b'"}', WHERE)

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"", b"[1]", b'{"message": null}'])
def test_a_refusal_without_a_message_stays_short(body: bytes) -> None:
    """Pages of HTML are not shown."""
    with pytest.raises(ServerError, match=r"^GET /workflow: the server answered 502\.$"):
        parse_object(502, {}, body, WHERE)


def test_a_refusal_carries_the_wait_that_was_asked_for() -> None:
    """In seconds."""
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
def test_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    """Seconds or a date; a moment that is over means now; garbage means nothing."""
    assert parse_retry_after(value, NOW) == seconds


@given(value=st.text(max_size=40))
def test_no_retry_after_breaks_the_client(value: str) -> None:
    """Whatever stands in the header, it is a wait or it is nothing."""
    seconds = parse_retry_after(value, NOW)

    assert seconds is None or seconds >= 0.0


@pytest.mark.parametrize(
    "value",
    [
        "Wed, 21 Oct 2015 07:28:00 +99999999999999999999",
        "Wed, 21 Oct 99999999999 07:28:00 GMT",
    ],
)
def test_a_retry_after_beyond_the_calendar_is_nothing(value: str) -> None:
    """Numbers that no date can hold."""
    assert parse_retry_after(value, NOW) is None
