"""Invented secrets of every known form, with texts around them."""

from __future__ import annotations

_LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zC0fG3hJ6"

SECRETS: dict[str, tuple[str, str]] = {
    "AWS access key id": ("{}", "AKIA" + "Q3EXAMPLEKEY7ABC"),
    "AWS temporary key id": ("aws_access_key_id = {}", "ASIA" + "Q3EXAMPLEKEY7ABC"),
    "AWS secret key": ("aws_secret_access_key={}", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "AWS secret key in a config": ("aws.secretKey = '{}'", "wJalrXUtnFEMI/K7MDENG/bPx"),
    "AWS signed address": ("https://b.s3.example.org/k?X-Amz-Signature={}&x=1", "0badc0ffee" * 6),
    "Azure account key": ("AccountKey={};EndpointSuffix=core", "Zm9vYmFyYmF6cXV4Zm9v=="),
    "Azure SAS": ("https://a.blob.example.org/c?sv=2022&sig={}&se=1", "abc%2FdefGHI%3D"),
    "Google API key": ("{}", "AIza" + _LETTERS[:35]),
    "Google OAuth token": ("{}", "ya29." + _LETTERS),
    "GitHub token": ("git clone https://{}@github.com/x/y", "ghp_" + _LETTERS),
    "GitHub fine-grained token": ("{}", "github_pat_" + _LETTERS * 2),
    "GitLab token": ("PRIVATE-TOKEN: {}", "glpat-" + _LETTERS[:20]),
    "Slack token": ("{}", "xoxb-" + "123456789012-" + _LETTERS),
    "Slack hook": ("https://hooks.slack.com/services/{}", "T0AB/B0CD/" + _LETTERS[:24]),
    "npm token": ("{}", "npm_" + _LETTERS),
    "Hugging Face token": ("{}", "hf_" + "aBcDeFgHiJ" * 3 + "kLmN"),
    "model key": ("{}", "sk-" + _LETTERS),
    "Vault token": ("{}", "hvs." + _LETTERS),
    "PyPI token": ("{}", "pypi-" + "AgEIcHlwaS5vcmc" + _LETTERS),
    "SendGrid key": ("{}", "SG." + _LETTERS[:22] + "." + _LETTERS),
    "platform token": ("{}", "eyJ0aWQiOiAxMjM0NX0uc2VjcmV0LXRva2Vu"),
    "JWT": ("{}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0." + _LETTERS),
    "bearer header": ('curl -H "Authorization: Bearer {}" https://x', _LETTERS[:24]),
    "basic header": ("Authorization: Basic {}", "dXNlcjpwYXNzd29yZA=="),
    "other header": ("-H 'X-Api-Key: {}'", "k3y-of-somebody"),
    "cookie": ("Cookie: {}", "JSESSIONID=0A1B2C3D"),
    "password in an address": ("postgres://me:{}@db.example.org:5432/x", "hunter2-in-url"),
    "login of curl": ("curl -s -u me:{} https://x", "hunter2-of-curl"),
    "login of docker": ("docker login -u me -p {} quay.example.org", "hunter2-of-docker"),
    "login of sshpass": ("sshpass -p '{}' ssh me@x", "hunter2-of-sshpass"),
    "login of mysql": ("mysqldump -u me -p{} samples", "hunter2-of-mysql"),
    "password of a service": ("export REDIS_PASS={}", "hunter2-of-redis"),
    "password of a key store": ("keystorePass={}", "hunter2-of-a-store"),
    "Telegram bot": ("https://api.telegram.org/bot123456789:{}/send", "AAE" + _LETTERS),
    "netrc": ("machine x\nlogin me\npassword {}\n", "hunter2-of-netrc"),
    "registry login": ('{{"auths": {{"r": {{"auth": "{}"}}}}}}', "bWU6aHVudGVyMg=="),
    "password": ("password={}", "hunter2=plain"),
    "password in quotes": ('db_password: "{}"', "hunter2 'with' spaces"),
    "password in apostrophes": ("registry.password = '{}'", 'hunter2 "quoted" $x'),
    "password in YAML": ("  password: {}\n", "hunter2,yaml;and|more"),
    "password flag": ("--db-password {} --other 1", "hunter2-of-flag"),
    "password in XML": ("<password>{}</password>", "hunter2-of-xml"),
    "password in JSON text": ('x=\'{{\\"password\\":\\"{}\\"}}\'', "hunter2-escaped"),
    "secret": ("client_secret: {}", "s3cr3t-of-a-client"),
    "token pair": ("MY_TOKEN={}", "t0k3n-of-mine"),
    "token flag": ("--token {}", "t0k3n-of-a-flag"),
    "token in YAML": ("token: {}", "t0k3n-of-yaml-with-length"),
    "variable in JSON": (
        '[{{"name": "DB_PASSWORD", "value": "{}", "head": true}}]',
        "hunter2 of a variable",
    ),
    "variable in escaped JSON": (
        'x=\'{{\\"key\\":\\"API_TOKEN\\",\\"value\\":\\"{}\\"}}\'',
        "t0k3n-named",
    ),
    "variable in YAML": ("env:\n  - name: MY_SECRET\n    value: {}\n", "s3cr3t-of-a-pod"),
    "password hash": ("{}", "$2y$10$" + "N9qo8uLOickgx2ZMRZoMye"),
    "private key": (
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
        "MIIEowIBAAKCAQEA0Z3VS5JJcds3xfn",
    ),
}
"""By name: a text with a gap, and the secret that goes into it."""


def plant(name: str) -> str:
    """Return the text of a sample with its secret."""
    text, secret = SECRETS[name]
    return text.format(secret)


def list_leaks(text: str) -> list[str]:
    """Return the names of the secrets in a text, in plain form or escaped as in JSON."""
    return [
        name
        for name, (_, secret) in SECRETS.items()
        if secret in text or secret.replace('"', '\\"') in text
    ]
