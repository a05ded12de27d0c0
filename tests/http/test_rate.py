"""When the next call may go out: properties of the pure ledger."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tower_etl.http.rate import Ledger, pause, reserve_slot

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS = st.floats(0, 100)
# Time that passes first, then a pause of that many seconds, or a call (None).
STEPS = st.lists(st.tuples(SECONDS, st.none() | SECONDS), max_size=40)


def play(steps: Sequence[tuple[float, float | None]], spacing: float) -> list[tuple[float, float]]:
    """Carry the steps out; for each call its slot, and the earliest moment that is allowed."""
    ledger, now, held_until = Ledger(), 0.0, 0.0
    slots: list[tuple[float, float]] = []
    for passed, held in steps:
        now += passed
        if held is None:
            slot, ledger = reserve_slot(ledger, now, spacing)
            slots.append((slot, max(now, held_until)))
        else:
            ledger = pause(ledger, now + held)
            held_until = max(held_until, now + held)
    return slots


@given(steps=STEPS, spacing=st.floats(0, 10))
def test_slots_are_never_closer_than_the_spacing(
    steps: list[tuple[float, float | None]], spacing: float
) -> None:
    """Whatever the order of calls and pauses."""
    slots = [slot for slot, _ in play(steps, spacing)]

    assert all(later >= earlier + spacing for earlier, later in pairwise(slots))


@given(steps=STEPS, spacing=st.floats(0, 10))
def test_no_slot_lies_in_the_past_or_before_the_end_of_a_pause(
    steps: list[tuple[float, float | None]], spacing: float
) -> None:
    """A pause holds back all calls that are reserved after it."""
    assert all(slot >= earliest for slot, earliest in play(steps, spacing))


@given(steps=STEPS, spacing=st.floats(0, 10))
def test_no_slot_is_later_than_it_must_be(
    steps: list[tuple[float, float | None]], spacing: float
) -> None:
    """Either the moment allows it, or the slot before is one spacing away."""
    slots = play(steps, spacing)
    before = [None, *(slot for slot, _ in slots)]

    for (slot, earliest), previous in zip(slots, before, strict=False):
        assert slot == earliest or (previous is not None and slot == previous + spacing)


@given(first=SECONDS, second=SECONDS)
def test_a_pause_is_never_shortened(first: float, second: float) -> None:
    """Two answers of 429: the longer one counts."""
    ledger = pause(pause(Ledger(), first), second)

    assert max(first, second) == ledger.paused_until


def test_an_idle_budget_saves_nothing_up() -> None:
    """After an hour without calls the next two are spaced like any others."""
    _, ledger = reserve_slot(Ledger(), 0.0, 0.05)

    first, ledger = reserve_slot(ledger, 3600.0, 0.05)
    second, _ = reserve_slot(ledger, 3600.0, 0.05)

    assert (first, second) == (3600.0, 3600.05)
