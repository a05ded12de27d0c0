"""Resolution of the access token, and of the settings that protect it in transit.

The token is in the environment, the output of a command, the system keyring or dlt's secrets.

Only a flag or the environment may name a command or a keyring. dlt reads its configuration from the
current folder, and a folder must not decide which program is run or which password is read.
"""

from __future__ import annotations

import logging
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tower_etl.config.catalog import SETTINGS, is_enabled
from tower_etl.config.settings import Token
from tower_etl.errors import ConfigurationError
from tower_etl.text import install_command

if TYPE_CHECKING:
    from tower_etl.config.resolver import SettingSources

_logger = logging.getLogger(__name__)

KEYRING_USER = "token"  # as in `keyring set tower-etl token`
_TIMEOUT_SECONDS = 60.0


def token_from_sources(sources: SettingSources, command: str | None = None) -> Token:
    """Return the access token from the first source that is configured.

    Args:
        sources: Environment variables, and dlt's configuration as the last source.
        command: Value of `--token-command`, which overrides all other sources.

    Raises:
        ConfigurationError: The source yields no token, or an invalid one.
    """
    if command is not None:
        return token_from_command(command)
    if not (sources.environ.get(SETTINGS["access_token"].env_name) or "").strip():
        if words := sources.get("token_command"):
            _logger.debug("Token: from the command of TOWER_ETL_TOKEN_COMMAND")
            return token_from_command(words)
        if service := sources.get("keyring"):
            _logger.debug("Token: from the keyring")
            return token_from_keyring(service)
    return resolve_token(sources)


def token_from_command(command: str) -> Token:
    """Return the token that a command prints; no shell is started, and its output is never shown.

    Raises:
        ConfigurationError: The command cannot be run, fails, times out, or prints no token.
    """
    token, reason = _run_command(command)
    if reason:
        msg = f"The token command {reason}; it must print the token. Run it by hand to see why."
        raise ConfigurationError(msg)
    return _check_token(token)


def token_from_keyring(service: str) -> Token:
    """Return the token that `keyring set SERVICE token` stored in the system keyring.

    Raises:
        ConfigurationError: The library is not installed, the keyring is locked, or has no token.
    """
    try:
        import keyring  # noqa: PLC0415 an extra
        from keyring.errors import KeyringError  # noqa: PLC0415 an extra
    except ModuleNotFoundError:
        msg = (
            "Reading the token from the keyring requires the keyring library. "
            f"Run: {install_command('keyring')}"
        )
        raise ConfigurationError(msg) from None
    try:
        token = keyring.get_password(service, KEYRING_USER)
    except KeyringError as error:
        # The class alone is shown: messages of a keyring backend may contain what it stores.
        msg = f"The keyring cannot be read ({type(error).__name__}). Unlock it and run again."
        raise ConfigurationError(msg) from None
    if token is None:
        msg = f"No token in the keyring. Store one with `keyring set {service} {KEYRING_USER}`."
        raise ConfigurationError(msg)
    return parse_token(token)


def resolve_token(sources: SettingSources) -> Token:
    """Return the access token of the environment or of dlt's configuration.

    Raises:
        ConfigurationError: No token is set, or it is invalid.
    """
    if token := _as_token(sources.get("access_token")):
        return _check_token(token)
    msg = (
        "No access token: set TOWER_ACCESS_TOKEN (create one under 'Your tokens' in the "
        "platform), TOWER_ETL_TOKEN_COMMAND or TOWER_ETL_KEYRING, or access_token under "
        "[sources.tower_etl.tower] in .dlt/secrets.toml."
    )
    raise ConfigurationError(msg)


def parse_token(value: str) -> Token:
    """Return the token in a text, without a trailing line end.

    Raises:
        ConfigurationError: The token is invalid; neither the message nor a traceback shows it.
    """
    token = Token(value.strip())
    del value
    return _check_token(token)


def _check_token(token: Token) -> Token:
    """Return the token if it consists of printable ASCII characters, as an HTTP header requires.

    Raises:
        ConfigurationError: The token is invalid; the message does not show it.
    """
    if not re.fullmatch(r"[!-~]+", token.get_secret_value()):
        msg = (
            "The access token is empty or contains spaces or non-printable characters. "
            "Copy it again in full."
        )
        raise ConfigurationError(msg)
    return token


def _as_token(value: str | None) -> Token | None:
    return None if value is None else Token(value.strip())


def _run_command(command: str) -> tuple[Token, str]:
    """Run a command; return the token that it prints, and the reason of a failure or "".

    No error is raised from here, so that no traceback has the output in its frames.
    """
    try:
        process = subprocess.run(  # noqa: S603 the user's own command
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
    reason = f"ended with {process.returncode}" if process.returncode else ""
    return Token(process.stdout.decode("utf-8", "replace").strip()), reason


def resolve_allow_http(sources: SettingSources) -> bool:
    """Return whether `TOWER_ETL_INSECURE_HTTP` allows to send the token over plain HTTP."""
    return is_enabled(sources.get("insecure_http"))


def resolve_ca_bundle(flag: str | None, sources: SettingSources) -> Path | None:
    """Return the CA bundle of `--ca-bundle`, or of the variables of requests, curl and OpenSSL.

    Raises:
        ConfigurationError: The file or folder does not exist.
    """
    variables = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    values = (flag, *(sources.environ.get(name) for name in variables))
    bundle = next((value for value in values if value), None)
    if bundle is not None and not Path(bundle).exists():
        msg = f"No CA bundle at {bundle}. Check --ca-bundle and {', '.join(variables)}."
        raise ConfigurationError(msg)
    return None if bundle is None else Path(bundle)
