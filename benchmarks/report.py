"""The page of all figures, as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.accuracy import KEYS
from benchmarks.remote import ROOT
from benchmarks.sizes import EVERYONE, SIZES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from benchmarks.figures import Figures

PAGE = ROOT / "docs" / "performance-figures.md"

_HEAD = """<!-- Made by `make benchmark`; edits are lost. -->
# Figures

Measured by `make benchmark` and `make benchmark SIZE=million`: see [performance](performance.md)
for the candidates and the method. Seconds and megabytes depend on the machine; calls and rows do
not, and ratios little.

![Processor time, time, calls in the worst second, and rows that are not right](performance.png)
"""
_COSTS = ("calls", "wall s", "CPU s", "peak MB", "worst second", "refused")
_COST_NAMES = {"calls": "calls", "cpu_s": "CPU ms", "wall_s": "wall ms"}
_UNIT_NAMES = {
    "runs": "run",
    "tasks": "task",
    "open_runs": "open run",
    "stored_runs": "run stored before",
}
_LEAST, _LARGE = 0.001, 100
_EXTRAPOLATED = ("declarative", "tasks", "million")


def write_report(figures: Figures, page: Path = PAGE) -> None:
    """Write the page of all measured figures."""
    order = [name for name in (*SIZES, "growth", "probes") if name in figures]
    parts = [format_part(name, figures[name]) for name in order]
    parts[len(SIZES.keys() & figures.keys()) : 0] = _extrapolate(figures)
    page.write_text("\n".join([_HEAD, *parts]), encoding="utf-8")


def format_part(name: str, measured: Figures) -> str:
    """Format a size or probe with the machine on which it was measured."""
    text = {"growth": _format_growth, "probes": _format_probes}.get(name)
    body = text(measured) if text else _format_size(name, _sort(measured["outcomes"]))
    place = f"{measured['machine']}, load average {measured['load']} before"
    versions = f"Python {measured['python']}, {measured['libraries']}"
    return f"{body}\nMeasured on {measured['measured_on']}: {place}; {versions}.\n"


def _sort(outcomes: Figures) -> Figures:
    """Sort the outcomes: tower-etl first, then the other candidates."""
    return {name: outcomes[name] for name in EVERYONE if name in outcomes}


def _format_size(name: str, outcomes: Figures) -> str:
    size = SIZES[name]
    ways = "20 calls per second, " if size.limited else "no limit, "
    later = "Second sync, no changes" if size.quiet else "Second sync, a day later"
    return "\n".join(
        [
            f"## {size.title[0].upper()}{size.title[1:]}\n",
            f"{size.runs:,} runs; {ways}{1000 * size.latency_s:.0f} ms per response.\n",
            _make_table(("First sync", *_COSTS), _list_costs(outcomes, "first")),
            _make_table((later, *_COSTS), _list_costs(outcomes, "second")),
            "Rows after the second sync: right / wrong / missing / doubled.\n",
            _make_table(("table", *outcomes), _list_accuracy(outcomes)),
            _compare(outcomes),
        ]
    )


def _make_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    lines = (f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
    return "\n".join(lines) + "\n"


def _list_costs(outcomes: Figures, sync: str) -> list[list[str]]:
    rows = []
    for name, sync_result in outcomes.items():
        usage, traffic = sync_result[sync], sync_result[f"{sync}_traffic"]
        ended = "" if usage["exit_code"] == 0 else f" (failed, exit code {usage['exit_code']})"
        figures = (
            f"{traffic['calls']:,}",
            *(f"{usage[cost]:,.1f}" for cost in ("wall_s", "cpu_s")),
            f"{usage['peak_mb']:,.0f}",
            *(f"{traffic[count]:,}" for count in ("worst_second", "refused")),
        )
        rows.append([name + ended, *figures])
    return rows


def _list_accuracy(outcomes: Figures) -> list[list[str]]:
    return [
        [
            table,
            *(
                _format_accuracy(sync_result["accuracy"].get(table))
                for sync_result in outcomes.values()
            ),
        ]
        for table in KEYS
    ]


def _format_accuracy(rows: dict[str, int] | None) -> str:
    if rows is None:
        return "-"
    return " / ".join(f"{rows[kind]:,}" for kind in ("right", "wrong", "missing", "doubled"))


def _compare(outcomes: Figures) -> str:
    """Return the ratio of the seconds of each other candidate to those of tower-etl."""
    ours = outcomes[EVERYONE[0]]
    if len(outcomes) == 1:
        return ""
    rows = [
        [name, *(_divide(sync_result, ours, sync, cost) for sync, cost in _RATIOS)]
        for name, sync_result in outcomes.items()
        if sync_result is not ours
    ]
    heads = ("relative to tower-etl", *(f"{sync} sync: {name}" for sync, name in _RATIO_NAMES))
    return _make_table(heads, rows)


_RATIOS = (("first", "cpu_s"), ("first", "wall_s"), ("second", "cpu_s"), ("second", "wall_s"))
_RATIO_NAMES = (("first", "CPU"), ("first", "wall"), ("second", "CPU"), ("second", "wall"))


def _divide(theirs: Figures, ours: Figures, sync: str, cost: str) -> str:
    if theirs[sync]["exit_code"] or ours[sync]["exit_code"]:
        return "failed"
    return f"{theirs[sync][cost] / ours[sync][cost]:.1f}"


def _extrapolate(figures: Figures) -> list[str]:
    """Extrapolate the costs of the candidate that is not run at the largest size."""
    name, small, large = _EXTRAPOLATED
    if small not in figures or large not in figures or name in figures[large]["outcomes"]:
        return []
    known = figures[small]["outcomes"]
    share = _count_tasks(figures[large]) / _count_tasks(figures[small])
    cpu_s = known[name]["first"]["cpu_s"] * share
    text = (
        f"`{name}` was not run at {SIZES[large].title}. Extrapolated from its CPU time at "
        f"{SIZES[small].title}, its first sync would take {cpu_s:,.0f} s of CPU time.\n"
    )
    return [text]


def _count_tasks(measured: Figures) -> int:
    tasks = measured["outcomes"][EVERYONE[0]]["accuracy"]["tasks"]
    return int(tasks["right"])


def _format_growth(measured: Figures) -> str:
    worlds = len(measured["worlds"])
    return "\n".join(
        [
            "## How the cost of a sync grows\n",
            (
                f"Least-squares line through {worlds} simulated platforms, without rate limit and "
                "latency.\n"
            ),
            "R² is the share of the variance that it explains.\n",
            "A first sync:\n",
            _tabulate_lines(measured["first"]),
            "A sync without changes:\n",
            _tabulate_lines(measured["again"]),
        ]
    )


def _tabulate_lines(lines: Figures) -> str:
    units = list(lines["calls"]["slopes"])
    rows = []
    for cost, name in _COST_NAMES.items():
        line, scale = lines[cost], 1 if cost == "calls" else 1000
        figures = (line["base"], *(line["slopes"][unit] for unit in units))
        cells = [_round(scale * figure) for figure in figures]
        rows.append([name, *cells, f"{line['explained']:.3f}"])
    heads = (f"each {_UNIT_NAMES[unit]}" for unit in units)
    return _make_table(("", "fixed", *heads, "R²"), rows)


def _round(figure: float) -> str:
    """Format a number with three digits, at least 0.001."""
    if abs(figure) < _LEAST:
        return "0"
    return f"{figure:,.0f}" if abs(figure) >= _LARGE else f"{figure:.3g}"


def _format_probes(measured: dict[str, Any]) -> str:
    starts, copy, merge = measured["starts"], measured["copy"], measured["merge"]
    bare = starts["python"]
    rows = [
        [
            "`tower-etl --help`, relative to the start of a bare interpreter",
            f"{starts['tower_etl_help']['wall_s'] / bare['wall_s']:.1f} ({bare['wall_s']:.3f} s)",
        ],
        [
            "`import dlt`, which every sync needs, likewise",
            f"{starts['import_dlt']['wall_s'] / bare['wall_s']:.1f}",
        ],
        [
            "making the staging copy, s per GB",
            f"{copy['copy_s'] / copy['gigabytes']:.2f}",
        ],
        ["publishing the copy (fsync), s per GB", f"{copy['publish_s'] / copy['gigabytes']:.2f}"],
        [
            f"dlt merging one run into {merge['rows']:,} rows by key, s",
            f"{merge['by_key_s']:.2f}",
        ],
        [
            "the same by `key OR run`, relative to that",
            f"{merge['by_key_or_run_s'] / merge['by_key_s']:.1f}",
        ],
    ]
    return "## Other measurements\n\n" + _make_table(("", "measured"), rows)
