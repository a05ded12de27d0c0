"""Dependencies: licences that are compatible with Apache-2.0, and lowest versions."""

from __future__ import annotations

import pytest

from tests.supply.floors import find_floor, list_direct
from tests.supply.licences import is_copyleft, list_installed


def test_no_dependency_has_a_copyleft_or_unknown_licence() -> None:
    """MPL-2.0 is compatible: it covers its own files only."""
    licences = list_installed()
    assert {name: text for name, text in licences.items() if is_copyleft(text)} == {}
    assert {name for name, text in licences.items() if text == "unknown"} == set()
    assert {"dlt", "duckdb", "pyarrow", "urllib3", "keyring", "uvicorn"} <= licences.keys()


@pytest.mark.parametrize(
    ("licence", "copyleft"),
    [
        *((text, True) for text in ("GPL-3.0-only", "GNU General Public License v3 (GPLv3)")),
        *((text, True) for text in ("AGPL-3.0", "GNU Affero General Public License v3")),
        *((text, True) for text in ("SSPL-1.0", "MIT AND GPL-2.0-or-later", "Proprietary")),
        *((text, False) for text in ("MIT", "Apache-2.0", "MPL-2.0", "LGPL-3.0-only", "PSF-2.0")),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
    ],
)
def test_copyleft_licences_are_recognized_by_name(licence: str, *, copyleft: bool) -> None:
    assert is_copyleft(licence) is copyleft


def test_every_dependency_has_a_lowest_version() -> None:
    """`make lowest` tests these versions; without one, older versions would be untested."""
    assert [direct.name for direct in list_direct() if find_floor(direct) is None] == []
