"""`python -m benchmarks [PART]...`: measure, print, and write the page and chart of figures."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.candidates import CANDIDATES
from benchmarks.comparison import prepare_scenario, run_comparison
from benchmarks.figures import add_figures, describe_machine, read_figures
from benchmarks.growth import measure_growth
from benchmarks.picture import draw_picture
from benchmarks.probes import measure_probes
from benchmarks.report import format_part, write_report
from benchmarks.sizes import SIZES

if TYPE_CHECKING:
    from benchmarks.figures import Figures

_DEFAULT = ("idle", "thousand", "growth", "probes")
_PARTS = (*SIZES, "growth", "probes", "report")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(_PARTS))
def main(parts: tuple[str, ...]) -> None:
    """Measure the given PARTS, by default all except the large ones; `report` measures nothing.

    Measurements are added to benchmarks/figures.json. The page and the chart in docs/ are made from
    all figures in this file.
    """
    for part in parts or _DEFAULT:
        if part == "report":
            continue
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            add_figures(part, _measure(part, Path(folder)))
        click.echo(format_part(part, read_figures()[part]))
    figures = read_figures()
    write_report(figures)
    draw_picture(figures)


def _measure(part: str, folder: Path) -> Figures:
    # Whole seconds, as on the platform; today, because old open runs are abandoned.
    now = datetime.now(UTC).replace(microsecond=0)
    place = {"measured_on": f"{now:%Y-%m-%d}", **describe_machine()}
    if part == "growth":
        measured = measure_growth(now, folder, _say)
    elif part == "probes":
        measured = measure_probes(folder, _say)
    else:
        measured = _measure_size(part, now, folder)
    return measured | place


def _measure_size(name: str, now: datetime, folder: Path) -> Figures:
    scenario = prepare_scenario(SIZES[name], now, folder / name)
    chosen = [CANDIDATES[candidate] for candidate in SIZES[name].candidates]
    outcomes = run_comparison(scenario, chosen, _say)
    return {"outcomes": {who: asdict(sync_result) for who, sync_result in outcomes.items()}}


def _say(text: str) -> None:
    click.echo(text, file=sys.stderr)


if __name__ == "__main__":
    main()
