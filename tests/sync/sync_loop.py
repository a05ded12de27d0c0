"""Random changes of a workspace between two syncs, and random failures of syncs."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Arguments = dict[str, Any]
Round = tuple[list[tuple[str, Arguments]], list[Arguments], Arguments, bool]

PICK = st.integers(0, 10_000)
HAPPENINGS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "submit": {"count": st.integers(1, 30), "gap_s": st.sampled_from([0, 1, 60, 600])},
    "pass_time": {"hours": st.sampled_from([0.1, 1, 5, 25, 60])},
    "move_on": {"picks": st.lists(PICK, min_size=1, max_size=20), "way": PICK},
    "relabel": {"pick": PICK, "labels": st.frozensets(st.integers(1, 4), max_size=3)},
    "star": {"pick": PICK},
    "touch": {"pick": PICK},
    "delete_or_restore": {"pick": st.integers(0, 3)},
}
# Most syncs are incremental; the others reconcile, or extend the history by some days.
REQUEST = {
    "reconcile": st.sampled_from([False, False, False, True]),
    "days_back": st.sampled_from([None, None, 0, 1, 3, 10]),
}
# Number of fetches before a kill, and the fetches that fail, by their number modulo ten.
TROUBLE = {
    "loaded": st.none() | st.integers(0, 12),
    "failing": st.frozensets(st.integers(0, 9), max_size=10),
}
ROUNDS = st.tuples(
    st.lists(
        st.one_of(
            *(
                st.tuples(st.just(name), st.fixed_dictionaries(arguments))
                for name, arguments in HAPPENINGS.items()
            )
        ),
        min_size=1,
        max_size=5,
    ),
    st.lists(st.fixed_dictionaries(REQUEST | TROUBLE), max_size=2),
    st.fixed_dictionaries(REQUEST),
    st.sampled_from([*[False] * 9, True]),
)
