"""The table of dlt destinations in the documentation is complete and up to date."""

from __future__ import annotations

from tests.dlt_destinations.kinds import KINDS, REFUSED
from tests.dlt_destinations.page import PAGE, UNTRIED, list_destinations, update


def test_the_documented_table_is_up_to_date() -> None:
    """If this test fails, run `make docs`."""
    page = PAGE.read_text(encoding="utf-8")
    assert update(page) == page


def test_every_dlt_destination_is_tested_or_listed_with_a_reason() -> None:
    """Destinations that a later dlt release adds make this test fail."""
    tried = {kind.name for kind in (KINDS | REFUSED).values()}
    assert list_destinations() == tried | set(UNTRIED)
    assert not tried & set(UNTRIED)
