"""Flow style: what any YAML reader takes is formatted, and every reader takes what is written."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stormc.load.document import load_document
from stormc.text.format import formatted

PLATFORM = "apiVersion: stormc.dev/v1\nkind: Platform\n"
APP = "apiVersion: stormc.dev/v1\nkind: App\nname: a\n"
# What YAML 1.2 allows without quotes in flow style, and no reader takes for another kind of value.
PLAIN = re.compile(r"(?!true$|false$|null$|yes$|no$|on$|off$|y$|n$|nan$|inf$|infinity$)[a-z/][a-z0-9:/.@?=#-]*[a-z0-9]")


@st.composite
def flow_texts(draw: st.DrawFn) -> str:
    """A value in flow style as people write it: quotes where they must be, and sometimes where they need not."""
    data = draw(st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(WORDS, v, max_size=3)))
    return flow(data, draw(st.randoms(use_true_random=False)))


def flow(data: Any, random: Any) -> str:
    """The text of plain data in flow style."""
    space: str = random.choice(["", " "])
    if isinstance(data, dict):
        entries = (f"{flow(key, random)}: {flow(value, random)}" for key, value in data.items())
        return "{" + space + ", ".join(entries) + space + "}"
    if isinstance(data, list):
        return "[" + space + ", ".join(flow(item, random) for item in data) + space + "]"
    if isinstance(data, str) and PLAIN.fullmatch(data) and " #" not in data and random.random() < 0.8:
        return str(data)
    return json.dumps(data, ensure_ascii=False)


WORDS = st.one_of(
    st.from_regex(r"[a-z]{1,4}(:[a-z0-9]{1,3}|//[a-z]{1,2}|[?#=@.-][a-z0-9]){0,3}", fullmatch=True),
    st.sampled_from(["https://git.example.com/a/b.git", "vllm-ascend:v0.12.0", "10.0.0.1:8080", "::1", "a: b", "yes"]),
    st.text("ab:{}[],&*!|>'\"#%@?- é：", max_size=6),
)
SCALARS = st.one_of(WORDS, st.integers(-1000, 1000), st.booleans(), st.none())


@given(flow_texts())
def test_flow_style_is_read_and_written_for_every_reader(value: str) -> None:
    text = f"{APP}model: {value}\nimage: {{image: a:b, url: https://x/y}}\n"
    document, findings = load_document("a.yaml", text.encode())
    assert document is not None, findings
    assert document.data == YAML(typ="safe", pure=True).load(text)
    if "#" in re.sub(r"\S#", "", value):  # it may look like a comment to a reader of lines
        return
    made, findings = formatted("a.yaml", text.encode())
    assert made is not None, findings
    assert formatted("a.yaml", made.encode()) == (made, [])
    again, _ = load_document("a.yaml", made.encode())
    assert again is not None and again.data == document.data
    assert yaml.safe_load(made) == yaml.load(made, yaml.CSafeLoader) == document.data
    assert YAML().load(made) == YAML(typ="safe", pure=True).load(made) == document.data


@pytest.mark.parametrize(("before", "after"), [
    ("{image: vllm-ascend:v0.12.0, tensorParallel: 8}", '{tensorParallel: 8, image: "vllm-ascend:v0.12.0"}'),
    ('{image: "vllm-ascend:v0.12.0"}', '{image: "vllm-ascend:v0.12.0"}'),
    ("{env: {URL: http://x:1/y}}", '{env: {URL: "http://x:1/y"}}'),
    ("\n  image: vllm-ascend:v0.12.0", "\n  image: vllm-ascend:v0.12.0"),
    ("{2: b, true: a, 1.5: c}", "{2: b, true: a, 1.5: c}"),
])  # fmt: skip
def test_a_colon_in_flow_style_has_quotes(before: str, after: str) -> None:
    space, gap = ("" if before.startswith("\n") else " "), ("" if after.startswith("\n") else " ")
    made, findings = formatted("a.yaml", f"{APP}prefill:{space}{before}\n".encode())
    assert (made, findings) == (f"{APP}prefill:{gap}{after}\n", [])


def test_the_platform_example_of_the_docs_keeps_its_form() -> None:
    text = PLATFORM + 'gitops:\n  argocd: {repoURL: "https://a/b.git", project: x}\n'
    assert formatted("platform.yaml", text.encode()) == (text, [])


def test_a_deep_list_under_a_key_that_moves() -> None:
    text = (
        "kind: App\nmodel:\noverrides:\n- expires: 2027-01-01\n  patch:\n"
        + " " * 46
        + "- [r]\n  target: StormService\n"
    )
    made, findings = formatted("a.yaml", text.encode())
    assert made is not None, findings
    assert [line.split(":")[0].strip() for line in made.splitlines()[3:]] == ["- target", "patch", "- [r]", "expires"]


@pytest.mark.parametrize(("text", "line", "column"), [
    (APP + "prefill: {\n  image: a, # which\n  tensorParallel: 8}\n", 5, 13),
    (APP + "# above\nprefill: {\n  image: a, # which\n  tensorParallel: 8}\n# below\n", 6, 13),
])  # fmt: skip
def test_a_comment_without_a_place_is_shown_where_it_stands(text: str, line: int, column: int) -> None:
    made, findings = formatted("a.yaml", text.encode())
    if made is None:
        assert [(f.rule, f.mark.line, f.mark.column) for f in findings] == [("E115", line, column)]
    else:
        assert "# which" in made


@pytest.mark.filterwarnings("error")
def test_an_anchor_twice_is_no_warning() -> None:
    made, findings = formatted("a.yaml", f"{APP}model: &a x\nport: *a\nimage: &a y\nhardware: *a\n".encode())
    assert made is not None and findings == []
