"""What a field of the spec may hold: patterns of texts, and the two functions that write a Cerberus rule."""

from __future__ import annotations

from typing import Any

Schema = dict[str, dict[str, Any]]

_REPOSITORY = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
# The grammar of github.com/distribution/reference: the kubelet answers InvalidImageName to anything else.
IMAGE = (
    rf"([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]+)?/)?{_REPOSITORY}(/{_REPOSITORY})*"
    r"(:[A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?(@sha256:[0-9a-f]{64})?"
)
ABSOLUTE_PATH = r"(?!.*/\.\.(/|$))/[^\x00-\x1f]*"
ENV_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
LABEL_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
FLAG = r"-{0,2}[A-Za-z0-9]+([-_][A-Za-z0-9]+)*(\.[A-Za-z0-9_-]+\+?)*"
DNS_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
LABEL_KEY = rf"(?![^/]{{254}})({DNS_SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"
REPOSITORY_PATH = r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*"
REVISION = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
TARGET = r"(StormService|Service|ConfigMap|PodDisruptionBudget|NetworkPolicy)(/[a-z]([-a-z0-9]*[a-z0-9])?)?"
MODEL_NAME = r"[^\s\x00-\x1f]+"
CONNECTOR = r"[A-Za-z][A-Za-z0-9_]*"
RELEASE = r"v?[0-9]+\.[0-9]+(\.[0-9]+)?[a-z0-9.]*"
GIT_URL = r"(https?|ssh)://[^\s]+"
GIT_URL_OR_SCP = rf"{GIT_URL}|[^\s@/]+@[^\s:]+:[^\s]+"
SERVER = r"https://[^\s]+"
NAMESPACES = r"[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?"
PROJECT = r"(?!default$)[a-z0-9]([-a-z0-9]*[a-z0-9])?"
POLICY_RULE = r"E8[0-9]{2}"
DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"


def field(type_: str | list[str], description: str, **rules: Any) -> dict[str, Any]:
    """The Cerberus rule of a field; the description is what editors and docs/spec.md show."""
    return {"type": type_, "meta": {"description": description}, **rules}


def whole(description: str, low: int, high: int, **rules: Any) -> dict[str, Any]:
    """The Cerberus rule of a whole number from `low` to `high`."""
    return field("integer", description, min=low, max=high, **rules)
