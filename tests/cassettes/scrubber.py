"""Removal of secrets, people and hosts from recorded traffic before it is written."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from tower_etl.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HOST = "tower.test"
MASK = "***"
KEPT_REQUEST_HEADERS = ("Accept", "Accept-Version", "Authorization")
KEPT_RESPONSE_HEADERS = ("Content-Type", "Retry-After")

_MAIL = f"somebody@{HOST}"
_PICTURE = f"https://{HOST}/picture"
_NAMES = {"username": "user", "firstname": "first", "lastname": "last", "author": "author"}
_PICTURES = frozenset({"avatar", "avatarurl", "logourl", "orglogourl"})
_SECRET_KEY = re.compile(r"token|secret|passw|credential|(api|access|private)_?key", re.IGNORECASE)
_SHORTEST_NAME = 3  # shorter names would match in unrelated text

_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bBearer\s+[^\s\"'<>]+", re.IGNORECASE), f"Bearer {MASK}"),
    (re.compile(r"\beyJ[\w+/=.-]{8,}"), MASK),  # the platform's tokens: JSON in Base64
    (re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"), MASK),
    (re.compile(r"\b(gh[opsur]|github_pat)_\w{16,}"), MASK),
    (re.compile(r"(?<=[?&])(X-Amz-[\w-]+|sig|signature)=[^&\s\"]+", re.IGNORECASE), rf"\1={MASK}"),
    (re.compile(r"(?<=://)[^/@\s\"]+@"), ""),
    (re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(\.[\w-]+)+"), _MAIL),
    (re.compile(r"\bip(-\d{1,3}){4}\b"), "ip-192-0-2-1"),
)
_ADDRESSES = (
    (re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)"), "192.0.2.1"),
    (re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"), "2001:db8::1"),
)


@dataclass(frozen=True)
class Scrubber:
    """Removes known secrets, and text that looks like a secret or personal data.

    Scrubbing is idempotent.

    Attributes:
        secrets: Texts that must not be written in any encoding, above all the access token.
        hosts: Hosts, with and without port, that are replaced by `tower.test`.
    """

    secrets: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def scrub_uri(self, uri: str) -> str:
        """Return the address on `tower.test` over https, without secrets in its query."""
        parts = urlsplit(uri)
        query = [(name, self.scrub_text(value)) for name, value in parse_qsl(parts.query, True)]  # noqa: FBT003 - keep blanks
        path = quote(self._mask(unquote(parts.path)), safe="/*")
        return urlunsplit(("https", HOST, path, urlencode(query), ""))

    def scrub_headers(self, headers: Mapping[str, str], kept: Iterable[str]) -> dict[str, str]:
        """Return the headers to keep, with the token masked."""
        found = {name.lower(): value for name, value in headers.items()}
        chosen = {name: found[name.lower()] for name in kept if name.lower() in found}
        return {name: self.scrub_text(value) for name, value in chosen.items()}

    def scrub_text(self, text: str) -> str:
        """Return a text without secrets, real hosts, mail addresses and IP addresses."""
        text = redact_text(self._mask(text))
        for host in sorted(self.hosts, key=len, reverse=True):
            text = re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", HOST, text)
        for pattern, rewritten in _REWRITES:
            text = pattern.sub(rewritten, text)
        for pattern, address in _ADDRESSES:
            text = _hide_addresses(text, pattern, address)
        return text

    def scrub_bodies(self, bodies: list[Any]) -> list[Any]:
        """Return the scrubbed bodies of a recording, with one pseudonym per person in all."""
        aliases = _name_people(bodies)
        return [self._scrub_value("", body, aliases) for body in bodies]

    def _scrub_value(self, key: str, value: Any, aliases: Mapping[str, str]) -> Any:
        if isinstance(value, dict):
            return {
                self.scrub_text(name): self._scrub_value(name, inner, aliases)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self._scrub_value(key, inner, aliases) for inner in value]
        return self._scrub_leaf(key, value, aliases) if isinstance(value, str) else value

    def _scrub_leaf(self, key: str, text: str, aliases: Mapping[str, str]) -> str:
        if text and _SECRET_KEY.search(key):
            return MASK
        if text and key.lower() in _PICTURES:
            return _PICTURE
        if text in aliases:
            return aliases[text]
        return _replace_names(self.scrub_text(text), aliases)

    def _mask(self, text: str) -> str:
        for secret in filter(None, self.secrets):
            for shape in _list_shapes(secret):
                text = text.replace(shape, MASK)
        return text


def _list_shapes(secret: str) -> tuple[str, ...]:
    """Return the encodings in which a secret may be written."""
    encoded = base64.b64encode(secret.encode()).decode()
    return secret, quote(secret, safe=""), encoded, encoded.rstrip("=")


def _hide_addresses(text: str, pattern: re.Pattern[str], hidden: str) -> str:
    """Return the text with IP addresses replaced; matches that are not valid addresses stay."""

    def hide(found: re.Match[str]) -> str:
        try:
            ipaddress.ip_address(found[0])
        except ValueError:
            return found[0]
        return hidden

    return pattern.sub(hide, text)


def _iter_leaves(key: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _iter_leaves(name, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _iter_leaves(key, inner)
    elif isinstance(value, str):
        yield key, value


def _name_people(bodies: Iterable[object]) -> dict[str, str]:
    """Return pseudonyms by name, numbered in the order in which the names appear."""
    aliases: dict[str, str] = {}
    for body in bodies:
        for key, text in _iter_leaves("", body):
            kind = _NAMES.get(key.lower())
            if kind and text and text not in aliases:
                taken = {text, *aliases.values()}
                known = re.fullmatch(rf"{kind}-\d+", text)
                fresh = (f"{kind}-{number}" for number in count(1))
                aliases[text] = text if known else next(name for name in fresh if name not in taken)
    return aliases


def _replace_names(text: str, aliases: Mapping[str, str]) -> str:
    """Return the text without people's names, such as in a path below a home folder."""
    names = [name for name, alias in aliases.items() if name != alias]
    long = sorted((name for name in names if len(name) >= _SHORTEST_NAME), key=len, reverse=True)
    if not long:
        return text
    either = "|".join(map(re.escape, long))
    return re.sub(rf"(?<![A-Za-z0-9])({either})(?![A-Za-z0-9])", lambda m: aliases[m[0]], text)
