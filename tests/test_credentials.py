"""The token: its sources and their precedence, and that it is never shown."""

from __future__ import annotations

import shlex
import sys
import traceback
from typing import TYPE_CHECKING

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from tower_etl.config import credentials
from tower_etl.config.credentials import parse_token, resolve_token, token_from_sources
from tower_etl.config.resolver import SettingSources
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "eyJ0aWQiOiA3fS5zZWNyZXQ="


def command(code: str) -> str:
    """Return a shell-quoted command that runs Python code."""
    return shlex.join([sys.executable, "-c", code])


PRINTS = command(f"print('{SECRET}')")


class Drawer(KeyringBackend):
    """A keyring with one password, which may be locked."""

    priority = 1
    held: tuple[str, str, str] | None = ("tower-etl", "token", SECRET)

    def get_password(self, service: str, username: str) -> str | None:
        """Return the password if service and user name match."""
        if self.held is None:
            raise KeyringLocked(SECRET)
        return self.held[2] if self.held[:2] == (service, username) else None

    def set_password(self, service: str, username: str, password: str) -> None:
        """Replace the password."""
        self.held = (service, username, password)


@pytest.fixture
def drawer() -> Iterator[Drawer]:
    """Install the test keyring as the system's keyring for one test."""
    before, ours = keyring.get_keyring(), Drawer()  # type: ignore[no-untyped-call] # its base has no types
    keyring.set_keyring(ours)
    yield ours
    keyring.set_keyring(before)


def find(flag: str | None = None, dlt: str | None = None, **variables: str) -> str:
    """Return the token found with these environment variables and this token in dlt's secrets."""
    lookup = {"access_token": dlt, "token_command": PRINTS, "keyring": "tower-etl"}.get
    return token_from_sources(
        SettingSources(environ=variables, lookup=lookup), flag
    ).get_secret_value()


def test_the_flag_overrides_the_environment_which_overrides_dlt_secrets(drawer: Drawer) -> None:
    """Within the environment, the token itself overrides a command, and a command a keyring."""
    drawer.held = ("tower-etl", "token", "kept")
    wanted = command("print('printed')")
    everything = {
        "TOWER_ACCESS_TOKEN": "plain",
        "TOWER_ETL_TOKEN_COMMAND": wanted,
        "TOWER_ETL_KEYRING": "tower-etl",
    }
    assert find(PRINTS, "file", **everything) == SECRET
    assert find(None, "file", **everything) == "plain"
    assert find(None, "file", **(everything | {"TOWER_ACCESS_TOKEN": " "})) == "printed"
    assert find(None, "file", TOWER_ETL_KEYRING="tower-etl") == "kept"
    assert find(None, "file") == "file"


def test_token_command_and_keyring_are_ignored_in_dlt_configuration(drawer: Drawer) -> None:
    """The configuration of dlt comes from the current folder, which anybody may have written."""
    with pytest.raises(ConfigurationError, match="No access token"):
        find()


def test_a_token_command_runs_without_a_shell(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="non-printable characters"):
        find(f"echo x; touch {tmp_path / 'made'}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (command(f"import sys; print('{SECRET}'); sys.exit('{SECRET}')"), "ended with 1"),
        (command("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"), "ended with -9"),
        ("/nonexistent/program", "cannot be run: FileNotFoundError"),
        ("", "cannot be run: IndexError"),
        ("echo 'open quote", "cannot be run: ValueError"),
        (command(f"print('{SECRET} and more')"), "contains spaces or non-printable characters"),
        (command(f"print('{SECRET}\\n{SECRET}')"), "contains spaces or non-printable characters"),
        (command("pass"), "is empty"),
        (command("import sys; sys.stdout.buffer.write(b'\\xff')"), "non-printable characters"),
    ],
)
def test_a_failing_token_command_is_reported_without_its_output(
    capfd: pytest.CaptureFixture[str], words: str, says: str
) -> None:
    """Neither the message nor stdout and stderr contain output of the command."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        find(words)

    assert SECRET not in str(caught.value) + "".join(capfd.readouterr())


def test_a_token_command_that_hangs_is_killed_after_the_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A password prompt without a user must not block a scheduled sync for ever."""
    monkeypatch.setattr(credentials, "_TIMEOUT_SECONDS", 0.3)

    with pytest.raises(ConfigurationError, match=r"took longer than 0\.3 s"):
        find(command(f"import time; print('{SECRET}', flush=True); time.sleep(60)"))


def test_a_missing_keyring_entry_is_reported_with_the_keyring_set_command(drawer: Drawer) -> None:
    with pytest.raises(ConfigurationError, match="`keyring set other token`"):
        find(TOWER_ETL_KEYRING="other")


def test_a_locked_keyring_is_reported_without_its_own_message(drawer: Drawer) -> None:
    """The keyring's message may contain the secret, so only the type of its error is shown."""
    drawer.held = None

    with pytest.raises(ConfigurationError, match=r"cannot be read \(KeyringLocked\)") as caught:
        find(TOWER_ETL_KEYRING="tower-etl")

    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_missing_keyring_library_is_reported_with_the_extra_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(ConfigurationError, match=r"pip install \S+\[keyring\]"):
        find(TOWER_ETL_KEYRING="tower-etl")


@pytest.mark.parametrize("way", ["given", "environment", "command"])
def test_an_invalid_token_is_in_no_local_variable_of_a_traceback(way: str) -> None:
    """Some programs print local variables, and a badly pasted token is still a secret."""
    bad = f"{SECRET} {SECRET}"
    sources = SettingSources(environ={"TOWER_ACCESS_TOKEN": bad})
    ways = {
        "given": lambda: parse_token(_paste()),
        "environment": lambda: resolve_token(sources),
        "command": lambda: token_from_sources(SettingSources(environ={}), _printing()),
    }
    with pytest.raises(ConfigurationError) as caught:
        ways[way]()

    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in frames.stack if "tower_etl" in frame.filename]
    assert [frame.name for frame in ours if SECRET in str(frame.locals)] == []
    assert ours


def _paste() -> str:
    return f"{SECRET} {SECRET}"


def _printing() -> str:
    """Return a command that prints an invalid token without containing it."""
    return command(f"x = '{SECRET[::-1]}'[::-1]; print(x, x)")
