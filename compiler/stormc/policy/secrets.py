"""Secrets in plain text: names of variables and flags that hold one, values that look like one, passwords in URLs."""

from __future__ import annotations

import re
from functools import lru_cache

NAME = (
    r"(?i)(?:(?:.*[_-])?(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|CREDENTIALS?|"
    r"(?:API|ACCESS|SECRET|PRIVATE|ENCRYPTION|AUTH|SSH|SIGNING|MASTER)[_-]?KEY)|"
    r".*[_-](?:PWD|SK)|AUTHORIZATION)"
)
VALUE = (
    r"(?:^|[^A-Za-z0-9_-])(?:hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|"
    r"glpat-[A-Za-z0-9_-]{16,}|sk-[A-Za-z0-9_]{16,}|sk-(?:proj|ant|svcacct|or)-[A-Za-z0-9_-]{16,}|AKIA[A-Z0-9]{16}|"
    r"xox[abprs]-[A-Za-z0-9-]{10,}|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})|"
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
BEGINNINGS = (
    "hf_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "sk-", "AKIA", "xox", "eyJ", "-----BEGIN ",
)  # fmt: skip
"""How a text of VALUE begins: a text without any of them is looked at no further."""
WORDS = ("token", "secret", "pass", "credent", "key", "author")
ENDINGS = ("_pwd", "-pwd", "_sk", "-sk")
"""What a name of NAME has in it, or at its end, when case is folded."""
URL = r"[a-zA-Z][a-zA-Z0-9+.-]{0,20}://[^\s/@:]{0,200}:[^\s/@]{1,200}@"
# Patterns are compiled where they are first needed: compiling them takes as long as reading a spec.


@lru_cache(4096)
def names_secret(name: str) -> bool:
    """Whether a variable or flag of this name holds a secret: HF_TOKEN does, VLLM_MAX_TOKENS does not."""
    folded = name.casefold()
    likely = folded.endswith(ENDINGS) or any(word in folded for word in WORDS)
    return likely and len(name) < 200 and re.fullmatch(NAME, name) is not None


def holds_secret(text: str) -> bool:
    """Whether a text has the form of a known kind of token or key."""
    return any(beginning in text for beginning in BEGINNINGS) and re.search(VALUE, text) is not None


def holds_password(text: str) -> bool:
    """Whether a URL in the text carries a password, or a token in its place."""
    return "://" in text and "@" in text and (re.search(URL, text) is not None or holds_secret(text))
