"""Price lists: prices of CPUs, memory and GPUs that the platform does not price, as on clusters.

`TOWER_ETL_PRICES`, or `prices` in dlt's configuration, names the CSV file. It becomes the view
`price_list`, which `stg_list_prices` applies to tasks.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.config.dlt_config import dlt_config_value
from tower_etl.config.resolver import SettingSources
from tower_etl.errors import ConfigurationError
from tower_etl.text import quote_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MATCHED = ("executor", "queue", "machine_type", "workspace")
PRICES = ("cpu_hour", "gib_hour", "gpu_hour")
COLUMNS = (*MATCHED, "valid_from", *PRICES, "currency", "clock", "combine")
CLOCKS = ("ran", "run")
COMBINATIONS = ("sum", "max")

_ESCAPE = "^"
_TYPES = {"rank": "BIGINT", "valid_from_ms": "BIGINT", **dict.fromkeys(PRICES, "DOUBLE")}


@dataclass(frozen=True)
class Price:
    """Line of a price list.

    Attributes:
        line: Number of the line in the file.
        patterns: Patterns with `*` and `?` for the task's values of `MATCHED`, in that order; `*`
            matches any value.
        valid_from: Earliest start (UTC) of the tasks that the line applies to; None for no bound.
        prices: Price of a CPU, of a GiB and of a GPU for an hour, in the currency.
        currency: Code of the currency, such as USD.
        clock: `ran` for the time from start to end, `run` for the time of the command.
        combine: `sum` of the prices of CPUs and memory, or `max`, the larger of the two, as clouds
            bill.
    """

    line: int
    patterns: tuple[str, ...]
    valid_from: datetime | None
    prices: tuple[float, ...]
    currency: str
    clock: str
    combine: str


def read_price_list(path: Path) -> list[Price]:
    """Read a price list.

    Raises:
        ConfigurationError: The file cannot be read, or a line is invalid; the message names it.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(_iter_prices(path, file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"The price list {path} cannot be read as a CSV file in UTF-8 ({error})."
        raise ConfigurationError(msg) from None


def _iter_prices(path: Path, lines: Iterable[str]) -> Iterator[Price]:
    """Yield the prices below the header; blank lines and comments may be anywhere."""
    rows = (
        (number, [cell.strip() for cell in next(csv.reader([line]))])
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    )
    number, names = next(rows, (1, []))
    _check_header(path, number, names)
    for number, cells in rows:
        yield _read_line(path, number, dict(zip(names, cells, strict=False)))


def _check_header(path: Path, line: int, names: Sequence[str]) -> None:
    if unknown := ", ".join(name for name in names if name not in COLUMNS):
        msg = (
            f"{path}, line {line}: unknown column {unknown}. Expected some of {', '.join(COLUMNS)}."
        )
        raise ConfigurationError(msg)
    if not set(PRICES) & set(names):
        msg = f"{path}, line {line}: no price. Expected at least one of {', '.join(PRICES)}."
        raise ConfigurationError(msg)


def _read_line(path: Path, line: int, row: Mapping[str, str]) -> Price:
    prices = tuple(_read_price(path, line, name, row.get(name, "")) for name in PRICES)
    return Price(
        line=line,
        patterns=tuple(row.get(name, "").lower() or "*" for name in MATCHED),
        valid_from=_read_date(path, line, row.get("valid_from", "")),
        prices=prices,
        currency=(row.get("currency") or "USD").upper(),
        clock=_read_choice(path, line, "clock", row.get("clock", ""), CLOCKS),
        combine=_read_choice(path, line, "combine", row.get("combine", ""), COMBINATIONS),
    )


def _read_price(path: Path, line: int, name: str, text: str) -> float:
    try:
        price = float(text or 0)
    except ValueError:
        price = -1.0
    if not 0 <= price < float("inf"):
        msg = f"{path}, line {line}: invalid {name} {text!r}. Expected a price, for example 0.04."
        raise ConfigurationError(msg)
    return price


def _read_date(path: Path, line: int, text: str) -> datetime | None:
    if not text:
        return None
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        msg = f"{path}, line {line}: invalid valid_from {text!r}. Expected a date like 2026-01-31."
        raise ConfigurationError(msg) from None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _read_choice(path: Path, line: int, name: str, text: str, choices: Sequence[str]) -> str:
    if text and text.lower() not in choices:
        msg = f"{path}, line {line}: invalid {name} {text!r}. Expected {' or '.join(choices)}."
        raise ConfigurationError(msg)
    return text.lower() or choices[0]


def find_price_list() -> Path | None:
    """Return the path of the configured price list, None if there is none."""
    path = SettingSources(lookup=dlt_config_value).get("prices")
    return Path(path).expanduser() if path else None


def select_prices(path: Path | None) -> str:
    """Return a price list as a SELECT of its lines, in SQL that every engine supports.

    The first line that matches a task sets its price. Among lines with the same patterns, it is the
    line that became valid last before the task started.

    Args:
        path: CSV file; None for a price list without lines.

    Raises:
        ConfigurationError: The price list is invalid.
    """
    lines = _rank(read_price_list(path)) if path else []
    rows = [_write(rank, price) for rank, price in enumerate(lines, 1)]
    names = ("rank", *MATCHED, "valid_from_ms", *PRICES, "currency", "clock", "combine")
    casts = ",\n  ".join(f"CAST({n} AS {_TYPES.get(n, 'TEXT')}) AS {n}" for n in names)
    values = ",\n  ".join(rows or [f"({', '.join(['NULL'] * len(names))})"])
    nothing = "" if rows else "WHERE FALSE\n"
    return (
        f"SELECT\n  {casts}\nFROM (VALUES\n  {values}\n) AS prices ({', '.join(names)})\n{nothing}"
    )


def _rank(lines: Sequence[Price]) -> list[Price]:
    first: dict[tuple[str, ...], int] = {}
    for price in lines:
        first.setdefault(price.patterns, price.line)
    always = datetime.min.replace(tzinfo=UTC)
    newest_first = sorted(lines, key=lambda price: price.valid_from or always, reverse=True)
    return sorted(newest_first, key=lambda price: first[price.patterns])


def _write(rank: int, price: Price) -> str:
    since = int(price.valid_from.timestamp() * 1000) if price.valid_from else None
    patterns = [_as_like(pattern) for pattern in price.patterns]
    values = (rank, *patterns, since, *price.prices, price.currency, price.clock, price.combine)
    return "(" + ", ".join("NULL" if v is None else quote_text(str(v)) for v in values) + ")"


def _as_like(glob: str) -> str:
    for sign in (_ESCAPE, "%", "_"):
        glob = glob.replace(sign, _ESCAPE + sign)
    return glob.replace("*", "%").replace("?", "_")
