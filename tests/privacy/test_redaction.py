"""Redaction: secrets, harmless texts, and the agreement of both regex engines."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.privacy.secret_samples import SECRETS, list_leaks, plant
from tower_etl.errors import ServerError
from tower_etl.lossless import to_json
from tower_etl.redaction import PATTERNS, build_prefilter, redact_text

HARMLESS = (
    "unexpected token: process_high @ line 3, column 5",
    "--max_tokens 5 --tokenizer=words",
    "STAR --twopassMode Basic --two_pass=Basic",
    "OLDPWD=/work",
    "docker run -u $(id -u):$(id -g) ubuntu",
    "docker run -u 1000:1000 ubuntu",
    'curl -H "Authorization: Bearer $TOKEN" https://x',
    "export PASSWORD=${DB_PASSWORD}",
    "docker.io/library/ubuntu@sha256:" + "0badc0de" * 8,
    "s3://bucket/key=1/part:2@3",
    "http://host:8080/path@2",
    "git@github.com:nf-core/rnaseq.git",
    "-----BEGIN CERTIFICATE-----\nMIIEowIBAAKCAQEA\n-----END CERTIFICATE-----",
    "NFCORE_RNASEQ:SALMON_QUANT (sample-1)",
    "the basic characteristics of a bearer of news",
)
AROUND = st.text(st.sampled_from("ab 1_-\n\t\"'\\:=,;/@${}[]()<>.é"), max_size=8)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_masked_and_the_text_before_it_is_kept(name: str) -> None:
    text, secret = SECRETS[name]
    cleaned = redact_text(plant(name))
    assert secret not in cleaned
    assert "***" in cleaned
    before = text.format(secret).partition(secret)[0]
    assert cleaned.startswith(before.partition("://ghp_")[0][:8])


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_is_not_redacted(text: str) -> None:
    """The texts are references to variables, digests, and words that resemble names of secrets."""
    assert text == redact_text(text)


@given(st.sampled_from(sorted(SECRETS)), AROUND, AROUND)
def test_redaction_is_idempotent(name: str, before: str, after: str) -> None:
    """Rows that are read back from a destination are redacted again."""
    once = redact_text(before + plant(name) + after)
    assert once == redact_text(once)


@given(st.sampled_from(sorted(SECRETS)), AROUND, AROUND)
def test_the_prefilter_matches_wherever_a_pattern_matches(
    name: str, before: str, after: str
) -> None:
    """This also holds if the text is a JSON string."""
    text = before + plant(name) + after
    sign = build_prefilter(PATTERNS)
    if redact_text(text) != text or any(re.search(p.regex, text, re.ASCII) for p in PATTERNS):
        assert pc.match_substring_regex(pa.array([text, to_json(text)]), sign).to_pylist() == [
            True,
            True,
        ]


@pytest.mark.slow
@given(st.sampled_from(sorted(SECRETS)), AROUND, AROUND)
def test_python_and_re2_redact_alike(name: str, before: str, after: str) -> None:
    """Python redacts messages, RE2 (in Arrow) redacts columns."""
    text = before + plant(name) + after
    column = pa.array([text])
    for pattern in PATTERNS:
        column = pc.replace_substring_regex(column, pattern.regex, pattern.replacement)
    assert [redact_text(text)] == column.to_pylist()


def test_error_messages_are_redacted() -> None:
    """A message may quote a response of the server."""
    assert list_leaks(str(ServerError(f"500: {plant('password')}"))) == []
