"""The conda-forge recipe in docs/releasing.md agrees with pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
NAMES = {"duckdb": "python-duckdb"}  # conda-forge's name, where it differs


def read_recipe() -> dict[str, Any]:
    """Return the recipe in the YAML block of the page."""
    page = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    recipe: dict[str, Any] = yaml.safe_load(text)
    return recipe


def read_project() -> dict[str, Any]:
    """Return the project table of pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)["project"]
    return project


def test_the_recipe_has_the_requirements_of_the_package() -> None:
    expected = {}
    for line in read_project()["dependencies"]:
        requirement = Requirement(line)
        expected[NAMES.get(requirement.name, requirement.name)] = set(
            str(requirement.specifier).split(",")
        )
    run = read_recipe()["requirements"]["run"]
    found = {name: set(bounds.split(",")) for name, bounds in (line.split(" ", 1) for line in run)}
    assert found.pop("python") == {">=${{ python_min }}"}
    assert found == expected


def test_the_recipe_has_the_version_and_command_of_the_package() -> None:
    recipe, project = read_recipe(), read_project()
    assert recipe["context"]["version"] == project["version"]
    scripts = [f"{name} = {entry}" for name, entry in project["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts
