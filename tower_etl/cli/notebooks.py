"""Command `tower-etl notebooks`: copies of the notebooks, to run and change."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from tower_etl.cli.output import print_message
from tower_etl.errors import ConfigurationError

_PACKAGE = Path(__file__).parents[1]


@click.command("notebooks")
@click.argument("folder", metavar="FOLDER")
def command(folder: str) -> None:
    """Copy the notebooks into a folder. Existing files are kept.

    The notebooks read the file TOWER_ETL_PATH, or tower-demo.duckdb in the current folder.
    """
    target = Path(folder).expanduser()
    copied, kept = copy_notebooks(target)
    print_message(f"{target}: {len(copied)} notebooks copied: {', '.join(copied) or 'none'}")
    if kept:
        print_message(f"Kept: {', '.join(kept)}. Delete or rename them to get new copies.")


def copy_notebooks(folder: Path) -> tuple[list[str], list[str]]:
    """Copy the notebooks, and return the names of those copied, and of those kept.

    Raises:
        ConfigurationError: The path is a file.
    """
    if folder.exists() and not folder.is_dir():
        msg = f"{folder} is a file: expected a folder for the notebooks."
        raise ConfigurationError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    copied, kept = [], []
    for source in sorted(find_notebooks().glob("*.ipynb")):
        copy = folder / source.name
        if copy.exists():
            kept.append(source.name)
            continue
        shutil.copyfile(source, copy)
        copied.append(source.name)
    return copied, kept


def find_notebooks() -> Path:
    """Return the folder `notebooks/` of a checkout, or its copy in an installed package."""
    installed = _PACKAGE / "_notebooks"
    return installed if installed.is_dir() else _PACKAGE.parent / "notebooks"
