"""Fixtures for the public test data of the tests of tables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parents[2]
RUNS = ("10Sj9ejvKktHWg", "15dvxY1LnZYrYe", "wELtvsveirfd9")
VERSIONS = ("1.140.0", "1.181.0", "1.187.0")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of public test data; skip if it does not exist."""
    folder = Path(os.environ.get("TOWER_ETL_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "api").is_dir():
        pytest.skip(f"no public test data at {folder}: set TOWER_ETL_SHARED")
    return folder


@pytest.fixture(scope="session")
def response(shared: Path) -> Callable[[str], Any]:
    """Return a function that reads a response of an older server by its file name."""
    return lambda name: orjson.loads((shared / "responses" / f"{name}.json").read_bytes())


@pytest.fixture(scope="session", params=RUNS)
def run(shared: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return a real run: `workflow`, `tasks`, `metrics`, `progress`."""
    content: dict[str, Any] = orjson.loads((shared / "runs" / f"{request.param}.json").read_bytes())
    return content


def load_description(shared: Path, version: str) -> dict[str, Any]:
    """Read one version of the API description, which is published as YAML or JSON."""
    (path,) = (shared / "api").glob(f"seqera-api-{version}.*")
    content = path.read_bytes()
    description: dict[str, Any] = (
        orjson.loads(content) if path.suffix == ".json" else yaml.load(content, yaml.CSafeLoader)
    )
    return description


def load_schemas(shared: Path, version: str) -> dict[str, Any]:
    """Read the schemas of one version of the API description."""
    schemas: dict[str, Any] = load_description(shared, version)["components"]["schemas"]
    return schemas


@pytest.fixture(scope="session", params=VERSIONS)
def schemas(shared: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the schemas of each version of the API description in turn."""
    return load_schemas(shared, request.param)


@pytest.fixture(scope="session")
def all_schemas(shared: Path) -> list[dict[str, Any]]:
    """Return the schemas of every version of the API description."""
    return [load_schemas(shared, version) for version in VERSIONS]
