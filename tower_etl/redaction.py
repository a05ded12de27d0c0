"""Detection of secrets in text by their known formats; each is replaced by `***`.

One list of patterns serves two engines: Python's for single messages, and RE2 (in Arrow) for whole
columns, because its running time is linear even for hostile text. The patterns therefore use only
syntax that both engines treat alike: no look-around, no back-reference, flags in groups, ASCII
classes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MASK = "***"


@dataclass(frozen=True)
class Pattern:
    """Format of a kind of secret.

    Attributes:
        name: Kind of secret.
        prefilter: Cheap regular expression that matches whenever `regex` does, so that clean text
            is skipped quickly.
        regex: Regular expression for the secret and the context that identifies it.
        replacement: Replacement of the match; groups keep the parts that are not secret.
    """

    name: str
    prefilter: str
    regex: str
    replacement: str = MASK


def _by_prefix(name: str, start: str, rest: str) -> Pattern:
    """Return the pattern of a secret that is identified by its first characters."""
    return Pattern(name, start, f"(?:{start}){rest}")


def _by_context(name: str, before: str, secret: str) -> Pattern:
    """Return the pattern of a secret that is identified by the text before it."""
    return Pattern(name, before, f"({before}){secret}", rf"\1{MASK}")


_SERVICES = (
    *("db", "user", "root", "mysql", "postgres", "pg", "redis", "mongo", "irods", "ftp", "ssh"),
    *("smtp", "ldap", "http", "proxy", "docker", "keystore", "truststore"),
)
_NAME = (
    r"(?i:passwo?r?d|passphrase|secret|credential|api[_.-]?(?:key|secret)"
    r"|(?:secret|access|account|private|encryption|auth)[_.-]?key"
    rf"|(?:{'|'.join(_SERVICES)})[_.-]?(?:pass|pwd))"
)
_TOKEN = r"(?i:token)"  # noqa: S105 - part of the names of secrets, not a secret
_ANY_NAME = f"(?:{_NAME}|{_TOKEN})"
_GAP = r"(?:\s|\\[nrt])"  # JSON escapes a line end as a backslash and a letter
_GAPS, _SOME_GAPS = f"{_GAP}{{0,8}}", f"{_GAP}{{1,8}}"
_OPEN = r"\\{0,3}[\"']?"
_END = rf"[0-9]{{0,3}}{_OPEN}{_GAPS}"  # end of a name, which may be in quotes
_IS = f"{_END}(?:=>|=|:){_GAPS}"
_EQUALS = f"{_END}={_GAPS}"
_COLON = f"{_END}:{_GAPS}"
_AUTHORIZATION = f"(?i:authorization){_OPEN}{_GAPS}[:=]{_GAPS}{_OPEN}"
_PLAIN = r"[^\s\"'\\$<>{(]"

# A name and its value as two properties, as JSON and YAML list environment variables.
_APART = r"(?:\s|\\[nrt]){0,40}"
_NAMED = (
    rf"\b(?:name|key){_END}:{_GAPS}{_OPEN}[\w.-]{{0,60}}{_ANY_NAME}[0-9]{{0,3}}\\{{0,3}}[\"'\s\\,]"
)
_VALUE = rf"{_APART},?{_APART}{_OPEN}value{_END}:{_GAPS}{_OPEN}"

# A value that starts with a reference to a variable (`$NAME`, `${...}`, `$(...)`) is not a secret.
_FIRST = r"(?:[^\s\"'\\,;&|()<>\[\]{}$=]|\$[^A-Za-z_{(\s\"'])"
_DOUBLE_FIRST = r"(?:[^\"\\$\n]|\\[^\n]|\$[^A-Za-z_{(\"\n])"
_DOUBLE_REST = r"(?:[^\"\\\n]|\\[^\n])"


def _pair(kind: str, name: str, *, shortest: int = 1) -> tuple[Pattern, ...]:
    """Return the patterns of a name, `=` or `:`, and a value in each kind of quotes."""
    more = f"{{{shortest - 1},}}"
    return (
        _by_context(f"{kind} in quotes", rf"{name}{_IS}\"", f"{_DOUBLE_FIRST}{_DOUBLE_REST}{more}"),
        _by_context(f"{kind} in apostrophes", rf"{name}{_IS}'", rf"[^'\n]{{{shortest},}}"),
        _by_context(
            f"{kind} in escaped quotes", rf"{name}{_IS}\\+[\"']", rf"[^\"'\\\n]{{{shortest},}}"
        ),
    )


PATTERNS = (
    _by_prefix("AWS access key id", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]", r"[A-Z0-9]{15}"),
    _by_prefix("Google key or token", r"\b(?:AIza[\w-]|ya29\.|GOCSPX-)", r"[\w.-]{20,}"),
    _by_prefix("GitHub token", r"(?:gh[oprsu]_|github_pat_)\w", r"\w{15,}"),
    _by_prefix(
        "GitLab token", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat|ffct|oas)-", r"[\w.-]{16,}"
    ),
    _by_prefix("Slack token", r"\b(?:xox[a-z]|xapp)-", r"[\w.-]{10,}"),
    _by_prefix(
        "token of another service",
        r"\b(?:sk-[\w-]|[rs]k_(?:live|test)_|hf_[A-Za-z]|npm_[A-Za-z]|pypi-A|dckr_[op]at_|dop_v1_"
        r"|dapi[0-9a-f]{8}|hv[bsr]\.|SG\.[\w-]{8}|AGE-SECRET-KEY-1)",
        r"[\w.-]{20,}",
    ),
    # Base64 of JSON: a JWT consists of three such parts, a token of the platform of one or two.
    _by_prefix("JWT or platform token", r"eyJ[\w+/-]{8}", r"[\w+/=-]{8,}(?:\.[\w+/=-]*)*"),
    _by_prefix("password hash", r"\$(?:2[abxy]|5|6|y|apr1)\$", r"[\w./$=,-]{20,}"),
    Pattern(
        "private key",
        r"PRIVATE KEY",
        r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)(?:[^-]|-[^-])*",
        rf"\1{MASK}",
    ),
    Pattern(
        "password in an address",
        r"://[^\s/:@\"'<>]*:[^\s/@\"'<>$][^\s/@\"'<>]*@",
        r"(://[^\s/:@\"'<>]*:)[^\s/@\"'<>$][^\s/@\"'<>]*@",
        rf"\1{MASK}@",
    ),
    Pattern(
        "token in an address",
        r"(?i:https?://)[^\s/:@\"'<>$]{20,}@",
        r"((?i:https?://))[^\s/:@\"'<>$]{20,}@",
        rf"\1{MASK}@",
    ),
    _by_context(
        "hook of a chat",
        r"(?:hooks\.slack\.com/[a-z]{1,20}/|webhook\.office\.com/webhookb2/"
        r"|discord(?:app)?\.com/api/webhooks/)",
        r"[\w/@.-]{16,}",
    ),
    _by_context(
        "signature of an address",
        r"(?i:[?&](?:amp;)?(?:sig|signature|x-(?:amz|goog)-"
        r"(?:signature|credential|security-token))=)",
        r"[^\s&\"'<>\\]+",
    ),
    _by_context(
        "authorization", f"{_AUTHORIZATION}[A-Za-z]{{1,20}}{_SOME_GAPS}", f"{_PLAIN}{{3,}}"
    ),
    _by_context("authorization without a scheme", _AUTHORIZATION, f"{_PLAIN}{{16,}}"),
    _by_context("bearer token", rf"(?i:\bbearer){_SOME_GAPS}", r"[\w.~+/=-]{16,}"),
    _by_context("cookie", rf"(?i:cookie:){_GAPS}", r"[^\s\"'\\$][^\n\"'\\]*"),
    _by_context(
        "login of curl and wget",
        rf"(?:curl|wget)\b[^\n]{{0,500}}{_GAP}(?:-u|--user)[ =]?{_OPEN}[^\s:\"'$]{{1,100}}:",
        r"[^\s\"'\\$][^\s\"'\\]*",
    ),
    _by_context(
        "login of a registry on the command line",
        r"\b(?:docker|podman|skopeo|oras|helm|singularity|apptainer)\b[^\n]{0,200}"
        rf"\blogin\b[^\n]{{0,500}}{_GAP}-p[ =]{{1,8}}{_OPEN}",
        r"[^\s\"'\\$][^\s\"'\\]*",
    ),
    _by_context(
        "login of sshpass and mysql",
        rf"\b(?:sshpass{_SOME_GAPS}-p[ \t]{{0,8}}"
        rf"|mysql(?:dump|admin|import)?\b[^\n]{{0,500}}{_GAP}-p){_OPEN}",
        r"[^\s\"'\\$][^\s\"'\\]*",
    ),
    _by_context("bot of Telegram", r"/bot[0-9]{6,12}:", r"[\w-]{20,}"),
    _by_context(
        "netrc",
        rf"(?i:\blogin){_SOME_GAPS}\S{{1,100}}{_SOME_GAPS}(?i:password){_SOME_GAPS}",
        r"\S+",
    ),
    _by_context(
        "login of a registry", rf"{_OPEN}auth{_OPEN}{_GAPS}:{_GAPS}\\{{0,3}}\"", r"[\w+/=]{8,}"
    ),
    *_pair("password", _NAME),
    *_pair("token", _TOKEN, shortest=8),
    _by_context("password", f"{_NAME}{_IS}", rf"{_FIRST}[^\s\"'<>\\]*"),
    _by_context("token after =", f"{_TOKEN}{_EQUALS}", rf"{_FIRST}[^\s\"'<>\\&,;|)]{{7,}}"),
    _by_context("token after :", f"{_TOKEN}{_COLON}", r"[\w.~+/=-]{16,}"),
    _by_context(
        "flag",
        rf"--?[\w.-]{{0,60}}{_ANY_NAME}[ \t]{{1,8}}{_OPEN}",
        r"[^\s\"'\\$<>|&;()-][^\s\"'\\]*",
    ),
    Pattern(
        "value of a name",
        _NAMED,
        rf"({_NAMED}{_VALUE})[^\s\"'\\$<>{{(,][^\"'\\\n,}}]*",
        rf"\1{MASK}",
    ),
    _by_context("element", rf"<[\w.:-]{{0,60}}{_ANY_NAME}>", r"[^<]+"),
)
"""All patterns, in the order in which they are applied."""

EMAIL = Pattern("e-mail address", "@", r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+")
"""Personal, not secret: masked only if the setting `redact` is `emails`."""

SECRET_NUMBER_KEY = re.compile(f"{_NAME}[0-9]{{0,3}}$", re.ASCII)
SECRET_KEY = re.compile(f"{_ANY_NAME}[0-9]{{0,3}}$", re.ASCII)
"""Keys of JSON objects whose values are secret in any format; `maxToken` may be a number."""

_COMPILED = tuple((re.compile(p.regex, re.ASCII), p.replacement) for p in PATTERNS)


def build_prefilter(patterns: tuple[Pattern, ...]) -> str:
    """Return one regular expression that matches wherever a pattern does, also inside JSON.

    It matches more than the patterns do: bounded repetitions are slow to search for, and word
    boundaries are dropped because a JSON escape puts a letter in front of the word.
    """
    prefilters = "|".join(pattern.prefilter for pattern in patterns)
    return re.sub(r"\{[0-9]+,[0-9]*\}", "*", prefilters.replace(r"\b", ""))


_PREFILTER = re.compile(build_prefilter(PATTERNS), re.ASCII)


def redact_text(text: str) -> str:
    """Return the text with each secret replaced by `***`; meant for messages, which are short."""
    if _PREFILTER.search(text):
        for pattern, replacement in _COMPILED:
            text = pattern.sub(replacement, text)
    return text
