"""Data files of the simulator: API fields, pipelines, accounts, and templates of API objects."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from typing import Any


def load_toml(name: str) -> dict[str, Any]:
    """Return the content of a TOML file of this package."""
    return tomllib.loads(files(__name__).joinpath(name).read_text("utf-8"))


def load_json(name: str) -> dict[str, Any]:
    """Return the content of a JSON file of this package, an object."""
    content: dict[str, Any] = json.loads(files(__name__).joinpath(name).read_text("utf-8"))
    return content
