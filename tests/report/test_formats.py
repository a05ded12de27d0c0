"""Formatting of amounts, durations, dates and names for readers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from tower_etl.report import formats
from tower_etl.text import pluralize

if TYPE_CHECKING:
    from collections.abc import Callable


def plain(text: str) -> str:
    """Replace narrow spaces by normal ones."""
    return text.replace(formats.NARROW, " ")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(1094.2, "$1,094"), (12.4, "$12.40"), (0.004, "< $0.01"), (0, "$0"), (None, "\u2013")],
)
def test_usd_has_cents_below_100_and_a_dash_if_unknown(amount: float | None, shown: str) -> None:
    """A small amount is not shown as zero."""
    assert shown == plain(formats.format_usd(amount))


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
def test_durations_have_at_most_two_units(hours: float | None, shown: str) -> None:
    """Rounding never gives 60 minutes or 24 hours."""
    assert shown == plain(formats.format_hours(hours))


@pytest.mark.parametrize(
    ("share", "shown"), [(0.824, "82 %"), (0.004, "< 1 %"), (0, "0 %"), (None, "\u2013")]
)
def test_shares_are_whole_percents_and_small_ones_are_not_zero(
    share: float | None, shown: str
) -> None:
    assert shown == plain(formats.format_share(share))


@pytest.mark.parametrize(
    ("count", "shown"), [(5632, "5,632"), (0.44, "0.4"), (0.04, "0.04"), (99.6, "100"), (0, "0")]
)
def test_counts_are_whole_and_small_measures_keep_a_fraction(count: float, shown: str) -> None:
    assert shown == formats.format_count(count)


def test_days_have_no_leading_zero_and_precede_the_time() -> None:
    assert formats.format_day(date(2026, 3, 8)) == "8 Mar 2026"
    assert formats.format_moment(datetime(2026, 3, 8, 9, 5, tzinfo=UTC)) == "8 Mar 2026, 09:05"


@pytest.mark.parametrize(
    "text", ["a/b_c:d.e-f", "", "__/::", "no breaks", "two\nlines/here", "x" * 99]
)
def test_line_break_marks_do_not_change_the_text(text: str) -> None:
    assert text == formats.mark_breaks(text).replace("<wbr>", "")


def test_line_break_marks_escape_html() -> None:
    assert str(formats.mark_breaks("<b/x")) == "&lt;b/<wbr>x"


def test_process_names_are_shortened_to_a_unique_suffix() -> None:
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


def test_long_process_names_are_cut_in_the_middle_and_stay_unique() -> None:
    names = formats.name_processes(REAL)
    assert len(set(names.values())) == len(REAL)
    assert names[REAL[2]] == "METHYLSEQ:TRIMGALORE"
    assert all(len(name) <= 60 for name in names.values())
    assert all(name.endswith(full.split(":")[-1][-20:]) for full, name in names.items())
    assert "\u2026" in names[REAL[0]]


@pytest.mark.parametrize("longest", [12, 20, 38])
def test_cut_middle_keeps_the_end_and_returns_short_texts_unchanged(longest: int) -> None:
    text = "FASTQ_ALIGN_DEDUP_BISMARK:SAMTOOLS_SORT"
    assert len(formats.cut_middle(text, longest)) == longest
    assert formats.cut_middle(text, longest).endswith("SORT")
    assert formats.cut_middle(text, len(text)) == text


@pytest.mark.parametrize(("count", "shown"), [(1, "1 run"), (2, "2 runs"), (0, "0 runs")])
def test_a_noun_is_singular_only_after_one(count: int, shown: str) -> None:
    assert shown == pluralize(count, "run")


SHOWS = (
    formats.format_usd,
    formats.format_count,
    formats.format_share,
    formats.format_gib,
    formats.format_times,
    formats.format_hours,
    formats.format_ratio,
)


@pytest.mark.parametrize("show", SHOWS, ids=lambda show: show.__name__)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinity_are_shown_as_unknown(show: Callable[[float], str], value: float) -> None:
    assert show(value) == formats.UNKNOWN


@pytest.mark.parametrize("show", SHOWS, ids=lambda show: show.__name__)
@pytest.mark.parametrize("value", [1e308, -1e308, 1e15, 10**38, -(10**18), 5e-324, -5e-324])
def test_extreme_figures_have_fewer_than_25_characters(
    show: Callable[[float], str], value: float
) -> None:
    """Figures beyond a quadrillion are shown with a power of ten."""
    assert 0 < len(show(value)) < 25


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formats.format_usd(-12.4), "-$12.40"),
        (formats.format_count(-5632), "-5,632"),
        (formats.format_hours(-3.2), "-3 h 12 min"),
        (formats.format_share(-0.5), "-50 %"),
        (formats.format_usd(1e20), "$1.0e+20"),
        (formats.format_times(2.54), "2.5 \u00d7"),
        (formats.format_times(None), "\u2013"),
    ],
)
def test_negative_huge_and_unknown_figures_are_formatted(shown: str, expected: str) -> None:
    """The sign precedes the unit."""
    assert plain(shown) == expected
