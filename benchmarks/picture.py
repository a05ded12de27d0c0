"""The chart of the figures for the documentation."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.remote import ROOT
from benchmarks.sizes import EVERYONE, SIZES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.figures import Figures
    from benchmarks.sizes import Size

    _Reader = Callable[[Size, Figures], float | None]

PICTURE = ROOT / "docs" / "performance.png"

# Colours by Okabe and Ito for all kinds of colour vision; hatches for prints without colour.
_COLOURS = dict(zip(EVERYONE, ("#0072B2", "#E69F00", "#D55E00", "#999999"), strict=True))
_HATCHES = dict(zip(EVERYONE, ("", "//", "xx", ".."), strict=True))
_BAR = 0.2
_LIMIT = 20
_WHOLE = 100
_LOWEST_S = 0.5
_LABEL_LETTERS = 16


def draw_picture(figures: Figures, path: Path = PICTURE) -> None:
    """Draw the costs and the accuracy of the candidates, for each size that has several."""
    sizes = [name for name in SIZES if name in figures and len(SIZES[name].candidates) > 1]
    limited = [name for name in sizes if SIZES[name].limited]
    if not limited:
        return
    picture = Figure(figsize=(13, 9), layout="constrained")
    (cpu, wall), (worst, faults) = picture.subplots(2, 2)
    _draw(cpu, figures, sizes, "Processor time of a sync, s", _read_cost("cpu_s"))
    _draw(wall, figures, sizes, "Time of a sync, s", _read_cost("wall_s"))
    _draw(worst, figures, limited, "Most calls in any second", _read_worst)
    worst.axhline(_LIMIT, color="black", linestyle="--", linewidth=1)
    worst.annotate(f"limit: {_LIMIT}", (len(limited) - 0.5, _LIMIT + 0.3), ha="right", fontsize=9)
    _draw(faults, figures, sizes, "Rows not right after the second sync", _count_faults)
    for axes, scale in ((cpu, "log"), (wall, "log"), (faults, "symlog")):
        axes.set_yscale(scale)
        axes.set_ylim(bottom=_LOWEST_S if scale == "log" else 0)
        axes.yaxis.set_major_formatter(_write_number)
        axes.yaxis.set_minor_formatter(NullFormatter())
    handles, labels = cpu.get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside upper center", ncols=len(EVERYONE))
    picture.savefig(path, dpi=110, metadata={"Software": None})


def _draw(
    axes: Axes,
    figures: Figures,
    sizes: list[str],
    title: str,
    read: _Reader,
) -> None:
    for place, name in enumerate(EVERYONE):
        found = [
            (number + (place - 1.5) * _BAR, read(SIZES[size], figures[size]["outcomes"][name]))
            for number, size in enumerate(sizes)
            if name in figures[size]["outcomes"]
        ]
        known = [(where, value) for where, value in found if value is not None]
        bars = axes.bar(
            [where for where, _ in known],
            [value for _, value in known],
            _BAR,
            label=name,
            color=_COLOURS[name],
            hatch=_HATCHES[name],
            edgecolor="white",
        )
        axes.bar_label(bars, [_say(value) for _, value in known], fontsize=7, padding=1)
    axes.set_title(title, loc="left", fontsize=11)
    labels = [fill(SIZES[size].title, _LABEL_LETTERS) for size in sizes]
    axes.set_xticks(range(len(sizes)), labels, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _write_number(value: float, _: int) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _read_cost(cost: str) -> _Reader:
    """Return a function that reads a cost: of the first sync, or of the second at a quiet size.

    A failed sync has no bar.
    """

    def read(size: Size, sync_result: Figures) -> float | None:
        usage = sync_result["second" if size.quiet else "first"]
        return None if usage["exit_code"] else float(usage[cost])

    return read


def _read_worst(_: Size, sync_result: Figures) -> float:
    return float(
        max(sync_result[f"{sync}_traffic"]["worst_second"] for sync in ("first", "second"))
    )


def _count_faults(_: Size, sync_result: Figures) -> float:
    kinds = ("wrong", "missing", "doubled")
    return float(sum(table[kind] for table in sync_result["accuracy"].values() for kind in kinds))


def _say(value: float) -> str:
    """Format a number with three digits, or with all digits before the decimal point."""
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:.3g}"
