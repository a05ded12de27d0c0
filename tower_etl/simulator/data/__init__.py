"""Data files of the simulator: API fields, pipelines, accounts, and templates of API objects."""

from __future__ import annotations

import json
import re
import tomllib
from functools import reduce
from importlib.resources import files
from typing import Any

_PLACEHOLDER = re.compile(r"\$([A-Za-z_]+(?:\.[A-Za-z_]+)*)")


def load_toml(name: str) -> dict[str, Any]:
    """Return the content of a TOML file of this package."""
    return tomllib.loads(files(__name__).joinpath(name).read_text("utf-8"))


def load_json(name: str) -> dict[str, Any]:
    """Return the content of a JSON file of this package, an object."""
    content: dict[str, Any] = json.loads(files(__name__).joinpath(name).read_text("utf-8"))
    return content


def fill(template: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return a template with each `$name` replaced by a value, `$name.attribute` by its attribute.

    A text that is a placeholder gets the type of the value.
    """
    return {name: _fill_value(value, values) for name, value in template.items()}


def _fill_value(template: Any, values: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(template, dict):
        return fill(template, values)
    if isinstance(template, list):
        return [_fill_value(value, values) for value in template]
    if not isinstance(template, str) or "$" not in template:
        return template
    if whole := _PLACEHOLDER.fullmatch(template):
        return _find_value(whole, values)
    return _PLACEHOLDER.sub(lambda match: str(_find_value(match, values)), template)


def _find_value(match: re.Match[str], values: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    name, *attributes = match[1].split(".")
    return reduce(getattr, attributes, values[name])
