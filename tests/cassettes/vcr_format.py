"""File format of the cassettes, and the matching of requests with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vcr

from tests.cassettes.scrubber import KEPT_REQUEST_HEADERS, KEPT_RESPONSE_HEADERS

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.cassettes.scrubber import Scrubber

CASSETTES = Path(__file__).parents[2] / "cassettes"

_LINE = 100


def format_json_text(value: object, indent: str = "") -> str:
    """Return JSON with one field per line, but short values on one line, and keys in order."""
    flat = json.dumps(value)
    if not isinstance(value, dict | list) or len(indent) + len(flat) <= _LINE:
        return flat
    deeper = indent + " "
    if isinstance(value, dict):
        inner = [
            f"{json.dumps(key)}: {format_json_text(item, deeper)}" for key, item in value.items()
        ]
    else:
        inner = [format_json_text(item, deeper) for item in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    return f"{first}\n{deeper}" + f",\n{deeper}".join(inner) + f"\n{indent}{last}"


@dataclass(frozen=True)
class Format:
    """The file format as a vcr serializer: bodies as JSON, and everything scrubbed.

    Attributes:
        scrubber: Removes secrets and personal data.
    """

    scrubber: Scrubber

    def serialize(self, recorded: dict[str, Any]) -> str:
        """Return the text of the file for vcr's recorded exchanges."""
        pairs = [(pair["request"], pair["response"]) for pair in recorded["interactions"]]
        bodies = self.scrubber.scrub_bodies([_read_body(response) for _, response in pairs])
        written = [
            {"request": self._write_request(request), "response": self._write(response, body)}
            for (request, response), body in zip(pairs, bodies, strict=True)
        ]
        return format_json_text({"version": recorded["version"], "interactions": written}) + "\n"

    def deserialize(self, text: str) -> dict[str, Any]:
        """Return vcr's recorded exchanges from the text of the file."""
        stored = json.loads(text)
        pairs = [
            {"request": pair["request"] | {"body": None}, "response": _restore(pair["response"])}
            for pair in stored["interactions"]
        ]
        return {"version": stored["version"], "interactions": pairs}

    def _write_request(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["body"]:
            msg = "Only reading calls are recorded; this one has a body."
            raise ValueError(msg)
        headers = {name: values[0] for name, values in request["headers"].items()}
        return {
            "method": request["method"],
            "uri": self.scrubber.scrub_uri(request["uri"]),
            "headers": self.scrubber.scrub_headers(headers, KEPT_REQUEST_HEADERS),
        }

    def _write(self, response: dict[str, Any], body: Any) -> dict[str, Any]:
        headers = {name: values[0] for name, values in response["headers"].items()}
        kind = "text" if isinstance(body, str) else "json"
        return {
            "status": response["status"]["code"],
            "headers": self.scrubber.scrub_headers(headers, KEPT_RESPONSE_HEADERS),
            kind: body,
        }

    def normalize(self, request: vcr.request.Request) -> vcr.request.Request:
        """Return the request as the file would store it, so that the two can be compared."""
        headers = self.scrubber.scrub_headers(request.headers, KEPT_REQUEST_HEADERS)
        uri = self.scrubber.scrub_uri(request.uri)
        return vcr.request.Request(request.method, uri, request.body, headers)


def _read_body(response: dict[str, Any]) -> Any:
    """Return the body as JSON, or as text if it is not JSON; vcr passes other bodies as bytes."""
    body = response["body"]["string"]
    if not isinstance(body, str):
        msg = "A body that is no text cannot be scrubbed, so it is not recorded."
        raise TypeError(msg)
    try:
        parsed = json.loads(body)
    except json.JSONDecodeError:
        return body
    return parsed if isinstance(parsed, dict | list) else body


def _restore(response: dict[str, Any]) -> dict[str, Any]:
    body = response["text"] if "text" in response else json.dumps(response["json"])
    return {
        "status": {"code": response["status"], "message": ""},
        "headers": {name: [value] for name, value in response["headers"].items()},
        "body": {"string": body},
    }


def open_cassette(
    path: Path, scrubber: Scrubber, *, record: bool
) -> AbstractContextManager[vcr.cassette.Cassette]:
    """Replay a cassette, or record it again.

    Calls are matched by method, path, query and headers, not by host. In a replay, a call that
    was not recorded fails.
    """
    shape = Format(scrubber)
    recorder = vcr.VCR(
        record_mode=vcr.mode.ALL if record else vcr.mode.NONE,
        drop_unused_requests=record,
        record_on_exception=False,
        decode_compressed_response=True,
        match_on=("method", "path", "query", "headers"),
        before_record_request=shape.normalize,
        serializer="tape",
    )
    recorder.register_serializer("tape", shape)
    opened: AbstractContextManager[vcr.cassette.Cassette] = recorder.use_cassette(str(path))
    return opened
