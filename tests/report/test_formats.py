"""Figures as people read them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from tower_etl.report import formats

if TYPE_CHECKING:
    from collections.abc import Callable


def plain(text: str) -> str:
    """The text with common spaces in the place of narrow ones."""
    return text.replace(formats.NARROW, " ")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(1094.2, "$1,094"), (12.4, "$12.40"), (0.004, "< $0.01"), (0, "$0"), (None, "\u2013")],
)
def test_dollars(amount: float | None, shown: str) -> None:
    """Cents matter below a hundred; a little is not nothing; unknown is not nothing."""
    assert shown == plain(formats.show_usd(amount))


@pytest.mark.parametrize(
    ("hours", "shown"),
    [
        (0.004, "14 s"),
        (0.2, "12 min"),
        (0.999, "1 h 00 min"),
        (3.2, "3 h 12 min"),
        (23.999, "1 d 0 h"),
        (53, "2 d 5 h"),
        (800, "33 d"),
        (None, "\u2013"),
    ],
)
def test_stretches_of_time(hours: float | None, shown: str) -> None:
    """Two units at most, and no 60 minutes or 24 hours."""
    assert shown == plain(formats.show_hours(hours))


@pytest.mark.parametrize(
    ("share", "shown"), [(0.824, "82 %"), (0.004, "< 1 %"), (0, "0 %"), (None, "\u2013")]
)
def test_shares(share: float | None, shown: str) -> None:
    """More than nothing is not shown as nothing."""
    assert shown == plain(formats.show_share(share))


@pytest.mark.parametrize(
    ("count", "shown"), [(5632, "5,632"), (0.44, "0.4"), (0.04, "0.04"), (99.6, "100"), (0, "0")]
)
def test_counts(count: float, shown: str) -> None:
    """Whole numbers have no fraction, small measures keep theirs."""
    assert shown == formats.show_count(count)


def test_days_and_minutes() -> None:
    """No leading zero, and the time after the day."""
    assert formats.show_day(date(2026, 3, 8)) == "8 Mar 2026"
    assert formats.show_moment(datetime(2026, 3, 8, 9, 5, tzinfo=UTC)) == "8 Mar 2026, 09:05"


@pytest.mark.parametrize(
    "text", ["a/b_c:d.e-f", "", "__/::", "no breaks", "two\nlines/here", "x" * 99]
)
def test_marks_of_breaks_change_no_text(text: str) -> None:
    """What is read is what was given."""
    assert text == formats.mark_breaks(text).replace("<wbr>", "")


def test_marks_of_breaks_escape() -> None:
    """A name is text, whatever is in it."""
    assert str(formats.mark_breaks("<b/x")) == "&lt;b/<wbr>x"


def test_processes_are_called_by_their_last_part() -> None:
    """Or by more of it, where that would be two of them."""
    names = ("A:B:ALIGN", "A:B:QC", "A:C:QC", "QC", "A:B:ALIGN")
    assert formats.name_processes(names) == {
        "A:B:ALIGN": "ALIGN",
        "A:B:QC": "B:QC",
        "A:C:QC": "C:QC",
        "QC": "QC",
    }


REAL = (
    "NFCORE_RNASEQ:RNASEQ:FASTQ_QC_TRIM_FILTER_SETSTRANDEDNESS:FASTQ_FASTQC_UMITOOLS_TRIMGALORE:TRIMGALORE",
    "NFCORE_RNASEQ:RNASEQ:FASTQ_QC_TRIM_FILTER_SETSTRANDEDNESS:FASTQ_FASTQC_UMITOOLS_TRIMMING:TRIMGALORE",
    "NFCORE_METHYLSEQ:METHYLSEQ:TRIMGALORE",
    "NFCORE_RNASEQ:RNASEQ:ALIGN_STAR:BAM_SORT_STATS_SAMTOOLS:BAM_STATS_SAMTOOLS:SAMTOOLS_FLAGSTAT",
    "NFCORE_RNASEQ:RNASEQ:ALIGN_HISAT:BAM_SORT_STATS_SAMTOOLS:BAM_STATS_SAMTOOLS:SAMTOOLS_FLAGSTAT",
    "X" * 80,
)


def test_long_processes_are_short_and_distinct() -> None:
    """Their end is kept, and their middle left out; none has the name of another."""
    names = formats.name_processes(REAL)
    assert len(set(names.values())) == len(REAL)
    assert names[REAL[2]] == "METHYLSEQ:TRIMGALORE"
    assert all(len(name) <= 60 for name in names.values())
    assert all(name.endswith(full.split(":")[-1][-20:]) for full, name in names.items())
    assert "\u2026" in names[REAL[0]]


@pytest.mark.parametrize("longest", [12, 20, 38])
def test_a_text_is_cut_in_its_middle(longest: int) -> None:
    """To what is allowed, and not at all where it fits."""
    text = "FASTQ_ALIGN_DEDUP_BISMARK:SAMTOOLS_SORT"
    assert len(formats.cut_middle(text, longest)) == longest
    assert formats.cut_middle(text, longest).endswith("SORT")
    assert formats.cut_middle(text, len(text)) == text


@pytest.mark.parametrize(("count", "shown"), [(1, "1 run"), (2, "2 runs"), (0, "0 runs")])
def test_numbers_with_their_noun(count: int, shown: str) -> None:
    """One is singular."""
    assert shown == formats.name_number(count, "run")


SHOWS = (
    formats.show_usd,
    formats.show_count,
    formats.show_share,
    formats.show_gib,
    formats.show_times,
    formats.show_hours,
    formats.show_ratio,
)


@pytest.mark.parametrize("show", SHOWS, ids=lambda show: show.__name__)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_finite_number_is_unknown(show: Callable[[float], str], value: float) -> None:
    """As what was not measured."""
    assert show(value) == formats.UNKNOWN


@pytest.mark.parametrize("show", SHOWS, ids=lambda show: show.__name__)
@pytest.mark.parametrize("value", [1e308, -1e308, 1e15, 10**38, -(10**18), 5e-324, -5e-324])
def test_no_figure_is_a_line_of_digits(show: Callable[[float], str], value: float) -> None:
    """Beyond a quadrillion, the power of ten is what counts."""
    assert 0 < len(show(value)) < 25


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formats.show_usd(-12.4), "-$12.40"),
        (formats.show_count(-5632), "-5,632"),
        (formats.show_hours(-3.2), "-3 h 12 min"),
        (formats.show_share(-0.5), "-50 %"),
        (formats.show_usd(1e20), "$1.0e+20"),
        (formats.show_times(2.54), "2.5 \u00d7"),
        (formats.show_times(None), "\u2013"),
    ],
)
def test_figures_below_nothing_and_beyond_all_others(shown: str, expected: str) -> None:
    """The sign stands before the unit."""
    assert plain(shown) == expected
