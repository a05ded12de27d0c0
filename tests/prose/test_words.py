"""The check of retired words finds them in names and in prose."""

from __future__ import annotations

import pytest

from tests.prose.words import check_names, check_path, check_prose, find_retired


def test_a_retired_word_is_found_in_a_name_of_any_spelling() -> None:
    text = "def fetch(next_visit): ...\nclass VisitQueue: ...\n_VISITS = visitor = 1\n"
    found = [(retired.line, retired.word) for retired in check_names("x.py", text)]
    assert found == [(1, "next_visit"), (2, "VisitQueue"), (3, "_VISITS")]


def test_a_retired_word_is_found_in_the_name_of_a_file() -> None:
    (found,) = check_path("tests/source/test_visits.py")
    assert str(found) == "tests/source/test_visits.py:0: 'visits' is retired: write 'fetches'"


def test_a_retired_phrase_is_reported_with_its_replacement() -> None:
    (found,) = check_prose("x.md", "Fine.\nA Haul of files.\n")
    assert str(found) == "x.md:2: 'Haul' is retired: write 'partition result'"


@pytest.mark.slow
def test_no_file_of_the_project_has_a_retired_word() -> None:
    assert list(map(str, find_retired())) == []
