"""Where the token is kept: the environment, a command, the keyring of the system, dlt's secrets.

A command and a keyring are named by a flag or the environment alone. dlt reads its configuration
from the folder in which a command is run, and a folder must not say what is run, or which password
is read.
"""

from __future__ import annotations

import logging
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.config.resolver import parse_token, resolve_token, validate_token
from tower_etl.config.settings import Token
from tower_etl.errors import ConfigurationError

if TYPE_CHECKING:
    from tower_etl.config.resolver import SettingSources

_logger = logging.getLogger(__name__)

KEYRING_USER = "token"  # as in `keyring set tower-etl token`
_TIMEOUT_SECONDS = 60.0


def token_from_sources(sources: SettingSources, command: str | None = None) -> Token:
    """The access token.

    Args:
        sources: Of the variables, and of dlt's configuration as the last resort.
        command: `--token-command`, which goes before everything else.

    Raises:
        ConfigurationError: There is none where it should be, or it cannot be a token.
    """
    if command is not None:
        return token_from_command(command)
    if not _variable(sources, "TOWER_ACCESS_TOKEN"):
        if words := _variable(sources, "TOWER_ETL_TOKEN_COMMAND"):
            _logger.debug("Token: from the command of TOWER_ETL_TOKEN_COMMAND")
            return token_from_command(words)
        if service := _variable(sources, "TOWER_ETL_KEYRING"):
            _logger.debug("Token: from the keyring")
            return token_from_keyring(service)
    return resolve_token(sources)


def token_from_command(command: str) -> Token:
    """The token that a command prints; no shell is started, and nothing it prints is shown.

    Raises:
        ConfigurationError: It cannot be run, fails, takes too long, or prints no token.
    """
    token, reason = _run_command(command)
    if reason:
        msg = f"The token command {reason}. Run it by hand to see why; it must print the token."
        raise ConfigurationError(msg)
    return validate_token(token)


def token_from_keyring(service: str) -> Token:
    """The token that `keyring set SERVICE token` has put into the keyring of the system.

    Raises:
        ConfigurationError: The library is not installed, the keyring is locked, or holds none.
    """
    try:
        import keyring  # noqa: PLC0415 an extra
        from keyring.errors import KeyringError  # noqa: PLC0415 an extra
    except ModuleNotFoundError:
        msg = "A token in the keyring needs its library: pip install 'tower-etl[keyring]'."
        raise ConfigurationError(msg) from None
    try:
        token = keyring.get_password(service, KEYRING_USER)
    except KeyringError as error:
        msg = f"The keyring cannot be read ({type(error).__name__}): unlock it, and run again."
        raise ConfigurationError(msg) from None
    if token is None:
        msg = f"No token in the keyring: put one there with `keyring set {service} {KEYRING_USER}`."
        raise ConfigurationError(msg)
    return parse_token(token)


def _run_command(command: str) -> tuple[Token, str]:
    """What it prints, and why that is nothing; no error is raised where the output is at hand."""
    try:
        done = subprocess.run(  # noqa: S603 the user's own command
            shlex.split(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Token(""), f"took longer than {_TIMEOUT_SECONDS:g} s"
    except (OSError, ValueError, IndexError) as error:
        return Token(""), f"cannot be run: {type(error).__name__}"
    reason = f"ended with {done.returncode}" if done.returncode else ""
    return Token(done.stdout.decode("utf-8", "replace").strip()), reason


def _variable(sources: SettingSources, name: str) -> str:
    return (sources.environ.get(name) or "").strip()


def resolve_allow_http(sources: SettingSources) -> bool:
    """Whether the token may go over plain HTTP: `TOWER_ETL_INSECURE_HTTP=1`.

    Not from dlt's configuration, which lies in the folder in which a command is run.
    """
    return sources.environ.get("TOWER_ETL_INSECURE_HTTP", "").lower() in {"1", "true", "yes"}


def resolve_ca_bundle(flag: str | None, sources: SettingSources) -> Path | None:
    """Certificates to trust: `--ca-bundle`, or the variables that other programs know.

    Raises:
        ConfigurationError: There is no such file or folder.
    """
    variables = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    values = (flag, *(sources.environ.get(name) for name in variables))
    found = next((value for value in values if value), None)
    if found is not None and not Path(found).exists():
        msg = f"No CA bundle at {found}: look at --ca-bundle, or at {', '.join(variables)}."
        raise ConfigurationError(msg)
    return None if found is None else Path(found)
