"""The table of dlt's destinations in the documentation: complete, and up to date."""

from __future__ import annotations

from tests.dlt_destinations.kinds import KINDS, REFUSED
from tests.dlt_destinations.page import PAGE, UNTRIED, list_destinations, update


def test_the_written_table_is_that_of_the_matrix() -> None:
    """Where it is stale: `make docs`."""
    page = PAGE.read_text(encoding="utf-8")
    assert update(page) == page


def test_every_destination_of_dlt_is_tried_or_has_a_reason() -> None:
    """Also those that a later version brings."""
    tried = {kind.name for kind in (KINDS | REFUSED).values()}
    assert list_destinations() == tried | set(UNTRIED)
    assert not tried & set(UNTRIED)
