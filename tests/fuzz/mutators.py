"""Corrupted responses: recorded ones with a few random changes."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

CASSETTES = Path(__file__).parents[2] / "cassettes"
_MOST_CHANGES = 4


_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2.5, -0.0, 1e308, 5e-324, 2**31, 2**53 + 1),
    *(2**63 - 1, 2**63, 2**64 - 1, -(2**63), 1.8446744073709552e19),
    *(
        "",
        " ",
        ".",
        "..",
        "../user-info",
        "a/b?c#d",
        "%2e%2e",
        "personal",
        "null",
        "NaN",
        "1",
        "0x1",
    ),
    *(
        "'; DROP TABLE workflows; --",
        '"',
        "\\",
        "a\nb\r\nX: 1",
        "\x00",
        "\x1b[2J",
        "\u202e",
        "é𝄞\ufeff",
    ),
    *("0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"),
    *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z", "now"),
    *("2026-03-01T08:00:00", "2026-03-01", "1e400", "9" * 400, "x" * 70_000),
    *([], {}, [None], [[]], [{}], {"": {}}, {"a.b": 1, "a": {"b": 2}}, {"id": 1}, {"id": "r"}),
    *("SUCCEEDED", "RUNNING", "UNKNOWN", "CACHED", "DREAMING"),
)
_DEEP = tuple('[{"a":' * levels + "1" + "}]" * levels for levels in (10, 150, 490))
ODD_TEXTS = (*map(json.dumps, _VALUES), *_DEEP)


@cache
def load_bodies() -> dict[str, list[dict[str, Any]]]:
    """Return recorded successful responses by kind: `workflow`, `tasks`, `run` and so on."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(CASSETTES.rglob("*.json")):
        if path.parent.name == "live":
            continue
        for pair in json.loads(path.read_text())["interactions"]:
            body = pair["response"].get("json")
            if pair["response"]["status"] == 200 and isinstance(body, dict):
                found.setdefault(name_kind(urlsplit(pair["request"]["uri"]).path), []).append(body)
    return found


def name_kind(path: str) -> str:
    """Return the kind of a response by its path: the last segment, or `run` for one run."""
    parts = path.removeprefix("/api").strip("/").split("/")
    return "run" if parts[0] == "workflow" and len(parts) == 2 else parts[-1]


def corrupt(value: Any, rng: Random) -> Any:
    """Return a copy of a JSON value with one to a few random changes."""
    box = [copy.deepcopy(value)]
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        holder, key = rng.choice(_list_places(box))
        rng.choice(_CHANGES)(holder, key, rng)
        box = box or [None]
    return box[0]


def corrupt_bytes(body: bytes, rng: Random) -> bytes:
    """Return a copy of a body with bytes changed, cut and repeated."""
    raw = bytearray(body)
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        at = rng.randrange(len(raw) + 1)
        how = rng.randrange(4)
        if how == 0:
            raw[at : at + 1] = rng.randbytes(1)
        elif how == 1:
            del raw[at : at + rng.randrange(1, 50)]
        elif how == 2:
            raw[at:at] = raw[: rng.randrange(200)]
        else:
            raw[at:at] = rng.choice([b"NaN", b"\xff\xfe", b"\\ud800", b"[" * 2000, b"1e999", b","])
    return bytes(raw)


def _list_places(value: Any) -> list[tuple[Any, Any]]:
    """Return every position in a JSON value as its container and key."""
    places, waiting = [], [value]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        places += [(holder, key) for key in keys]
        waiting += [holder[key] for key in keys if isinstance(holder[key], dict | list)]
    return places


def _draw(rng: Random) -> Any:
    return orjson.loads(rng.choice(ODD_TEXTS))


def _replace(holder: Any, key: Any, rng: Random) -> None:
    holder[key] = _draw(rng)


def _drop(holder: Any, key: Any, rng: Random) -> None:
    del rng, holder[key]


def _repeat(holder: Any, key: Any, rng: Random) -> None:
    if isinstance(holder, list):
        holder[key:key] = [holder[key]] * rng.choice([1, 2, 150])


def _wrap(holder: Any, key: Any, rng: Random) -> None:
    holder[key] = rng.choice([[holder[key]], {"value": holder[key]}, str(holder[key])])


def _add(holder: Any, key: Any, rng: Random) -> None:
    del key
    if isinstance(holder, dict):
        holder[rng.choice(["brandNew", "", "a.b", "id", "workflow"])] = _draw(rng)


def _shuffle(holder: Any, key: Any, rng: Random) -> None:
    if isinstance(holder[key], list):
        rng.shuffle(holder[key])


_CHANGES: tuple[Callable[[Any, Any, Random], None], ...] = (
    *(_replace, _replace, _replace, _replace),
    *(_drop, _repeat, _wrap, _add, _shuffle),
)
