"""Secrets in text, by the shapes that they are known to have: `***` takes the place of each.

One list of patterns serves two engines: Python's for single messages, and RE2 (in Arrow) for whole
columns, whose time is linear in the text, whoever wrote it. So the patterns keep to what both
understand alike: no look-around, no back-reference, flags in groups, ASCII classes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MASK = "***"


@dataclass(frozen=True)
class Pattern:
    """One way in which secrets stand in text.

    Attributes:
        name: What it finds.
        sign: Regular expression for the part by which a cheap look at clean text passes it over;
            wherever `whole` is found, it is found.
        whole: Regular expression for the secret and what is needed around it.
        replacement: What takes its place; groups keep what is no secret.
    """

    name: str
    prefilter: str
    regex: str
    replacement: str = MASK


def _by_prefix(name: str, start: str, rest: str) -> Pattern:
    """A secret that is known by how it starts."""
    return Pattern(name, start, f"(?:{start}){rest}")


def _by_context(name: str, before: str, secret: str) -> Pattern:
    """A secret that is known by what stands before it."""
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
_TOKEN = r"(?i:token)"  # noqa: S105 - a name of secrets, no secret
_ANY_NAME = f"(?:{_NAME}|{_TOKEN})"
_GAP = r"(?:\s|\\[nrt])"  # in JSON, a line ends with a backslash and a letter
_GAPS, _SOME_GAPS = f"{_GAP}{{0,8}}", f"{_GAP}{{1,8}}"
_OPEN = r"\\{0,3}[\"']?"
_END = rf"[0-9]{{0,3}}{_OPEN}{_GAPS}"  # of a name, which may stand in quotes
_IS = f"{_END}(?:=>|=|:){_GAPS}"
_EQUALS = f"{_END}={_GAPS}"
_COLON = f"{_END}:{_GAPS}"
_AUTHORIZATION = f"(?i:authorization){_OPEN}{_GAPS}[:=]{_GAPS}{_OPEN}"
_PLAIN = r"[^\s\"'\\$<>{(]"

# A name and its value side by side, as environment variables are listed in JSON and YAML.
_APART = r"(?:\s|\\[nrt]){0,40}"
_NAMED = (
    rf"\b(?:name|key){_END}:{_GAPS}{_OPEN}[\w.-]{{0,60}}{_ANY_NAME}[0-9]{{0,3}}\\{{0,3}}[\"'\s\\,]"
)
_VALUE = rf"{_APART},?{_APART}{_OPEN}value{_END}:{_GAPS}{_OPEN}"

# What starts as a reference to a variable does (`$NAME`, `${...}`, `$(...)`) is no secret.
_FIRST = r"(?:[^\s\"'\\,;&|()<>\[\]{}$=]|\$[^A-Za-z_{(\s\"'])"
_DOUBLE_FIRST = r"(?:[^\"\\$\n]|\\[^\n]|\$[^A-Za-z_{(\"\n])"
_DOUBLE_REST = r"(?:[^\"\\\n]|\\[^\n])"


def _pair(kind: str, name: str, *, shortest: int = 1) -> tuple[Pattern, ...]:
    """A name, `=` or `:`, and a value in each kind of quotes or in none."""
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
    # JSON in Base64: a JWT has three such parts, a token of the platform one or two.
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
"""Every pattern, in the order in which they are applied."""

EMAIL = Pattern("e-mail address", "@", r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+")
"""Personal, not secret: taken out only where it is asked for."""

SECRET_NUMBER_KEY = re.compile(f"{_NAME}[0-9]{{0,3}}$", re.ASCII)
SECRET_KEY = re.compile(f"{_ANY_NAME}[0-9]{{0,3}}$", re.ASCII)
"""Keys of JSON objects whose value is secret whatever its shape; `maxToken` may be a number."""

_COMPILED = tuple((re.compile(p.regex, re.ASCII), p.replacement) for p in PATTERNS)


def build_prefilter(patterns: tuple[Pattern, ...]) -> str:
    """One regular expression that is found wherever one of the patterns is, also inside JSON.

    It finds more than they do: counts are costly to look for, and the escapes of JSON put a letter
    where the edge of a word was.
    """
    signs = "|".join(pattern.prefilter for pattern in patterns)
    return re.sub(r"\{[0-9]+,[0-9]*\}", "*", signs.replace(r"\b", ""))


_SIGN = re.compile(build_prefilter(PATTERNS), re.ASCII)


def redact_text(text: str) -> str:
    """The text with `***` in the place of each secret; for messages, which are short."""
    if _SIGN.search(text):
        for pattern, replacement in _COMPILED:
            text = pattern.sub(replacement, text)
    return text
