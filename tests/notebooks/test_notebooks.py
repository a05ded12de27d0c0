"""The notebooks run on a new history, and are stored with complete output."""

from __future__ import annotations

import io
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient
from PIL import Image

from tests.load.warehouse import sync_seeded
from tower_etl.cli.notebooks import copy_notebooks
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ("first_look", "cost_and_waste", "failures", "right_sizing")
MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def notebook_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the notebooks and the history that they read."""
    root = tmp_path_factory.mktemp("notebook_folder")
    history = sync_seeded(root, 5, runs=50, days=8, mean_tasks=25)
    copied, _ = copy_notebooks(root / "notebooks")
    assert copied == sorted(f"{name}.ipynb" for name in NAMES)
    history.rename(root / "notebooks" / "tower-demo.duckdb")
    return root / "notebooks"


def read(path: Path) -> Any:
    """Return the notebook of a file."""
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call] # nbformat has no types


def iter_outputs(notebook: Any) -> Iterator[tuple[str, Any]]:
    """Yield the source of each code cell with each of its outputs."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            yield cell.source, output


def list_plots(notebook: Any) -> list[Image.Image]:
    """Return the images in the outputs of a notebook."""
    pictures = [output.get("data", {}).get("image/png") for _, output in iter_outputs(notebook)]
    return [Image.open(io.BytesIO(b64decode(picture))) for picture in pictures if picture]


def count_plots(notebook: Any) -> int:
    """Return the number of images that the cells of a notebook show."""
    return sum(cell.source.count("plt.show()") for cell in notebook.cells)


def is_drawn(plot: Image.Image) -> bool:
    """Return whether an image has coloured marks; bare axes are grey."""
    pixels = np.asarray(plot.convert("RGB"), dtype=int)
    return bool((np.ptp(pixels, axis=2) > 60).sum() > 300)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_without_warnings_and_fills_its_plots(
    notebook_folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(notebook_folder.parent / "ipython"))
    notebook = read(notebook_folder / f"{name}.ipynb")
    NotebookClient(
        notebook, timeout=60, resources={"metadata": {"path": str(notebook_folder)}}
    ).execute()
    said = [output.text for _, output in iter_outputs(notebook) if output.get("name") == "stderr"]
    plots = list_plots(notebook)
    assert said == []
    assert len(plots) == count_plots(notebook)
    assert [is_drawn(plot) for plot in plots] == [True] * len(plots)


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_notebook_has_complete_output_and_is_small(name: str) -> None:
    """The output has no errors and no paths of a machine."""
    path = FOLDER / f"{name}.ipynb"
    notebook = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(cell.outputs for cell in code[1:])
    assert {output.output_type for _, output in iter_outputs(notebook)} <= {
        "display_data",
        "execute_result",
        "stream",
    }
    assert [is_drawn(plot) for plot in list_plots(notebook)] == [True] * count_plots(notebook)
    assert path.stat().st_size < MOST_BYTES
    text = path.read_text(encoding="utf-8")
    assert [
        place for place in ("/home/", "/root/", "/Users/", "site-packages") if place in text
    ] == []


@pytest.mark.parametrize(("heights", "drawn"), [([], False), ([2, 1], True)])
def test_bare_axes_do_not_count_as_a_plot(heights: list[int], drawn: bool) -> None:  # noqa: FBT001 a parameter
    """Otherwise the tests above would pass for empty plots."""
    figure = Figure()
    figure.subplots().bar(range(len(heights)), heights)
    picture = io.BytesIO()
    figure.savefig(picture)
    assert is_drawn(Image.open(picture)) == drawn


def test_every_notebook_is_tested_and_in_the_readme() -> None:
    assert sorted(NAMES) == sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"[{name}]({name}.ipynb)" in listed for name in NAMES)


def test_copying_notebooks_replaces_no_existing_file(tmp_path: Path) -> None:
    """The user may have changed the notebook."""
    (tmp_path / "failures.ipynb").write_text("mine")
    copied, kept = copy_notebooks(tmp_path)
    assert (len(copied), kept) == (3, ["failures.ipynb"])
    assert (tmp_path / "failures.ipynb").read_text() == "mine"
    assert copy_notebooks(tmp_path)[0] == []
    with pytest.raises(ConfigurationError, match="is a file"):
        copy_notebooks(tmp_path / "failures.ipynb")
