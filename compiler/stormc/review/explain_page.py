"""An explanation as one page that needs nothing else: specs left, manifests right, each line a link to its reasons.

Every line has an id, and the page follows the address: `#m0-12` marks line 12 of the first manifest and the lines of
the specs that decided it, `#s0-7` a line of the spec and everything that it decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape

from stormc.review.explain import Explained, Explanation, Place, RenderedFile
from stormc.review.explain_text import block, shown_lines


def page(explanation: Explanation) -> str:
    """The page of an app."""
    files = {name: number for number, name in enumerate(explanation.sources)}
    left = "".join(_source(number, name, explanation.sources[name]) for name, number in files.items())
    right = "".join(_file(number, file) for number, file in enumerate(explanation.files))
    links: dict[str, list[str]] = {}
    details: dict[str, str] = {}
    for number, file in enumerate(explanation.files):
        for line, _, index, _ in shown_lines(file):
            if index is not None:
                value = file.values[index]
                links[f"m{number}-{line}"] = list(dict.fromkeys(_places(value, files)))
                details[f"m{number}-{line}"] = f"{number}.{index}"
    texts = {
        f"{number}.{index}": "\n".join(block(value))
        for number, file in enumerate(explanation.files)
        for index, value in enumerate(file.values)
    }
    return _PAGE.format(
        title=escape(explanation.app), left=left, right=right, links=_data(links), details=_data(details),
        texts=_data(texts), script=_SCRIPT, style=_STYLE,
    )  # fmt: skip


def _places(value: Explained, files: Mapping[str, int]) -> Iterator[str]:
    places: list[Place | None] = [field.place for field in (*value.decided, *value.over, *value.exists_if)]
    for place in (*places, value.fact_place):
        if place is not None and place.file in files:
            yield f"s{files[place.file]}-{place.line}"


def _source(number: int, name: str, text: str) -> str:
    lines = "".join(_line(f"s{number}-{at}", at, line) for at, line in enumerate(text.splitlines(), 1))
    return f"<h2>{escape(name)}</h2><pre>{lines}</pre>"


def _file(number: int, file: RenderedFile) -> str:
    lines = "".join(
        _line(f"m{number}-{at}", at, f"{line}… {hidden} more lines" if hidden else line)
        for at, line, _, hidden in shown_lines(file)
    )
    return f"<h2>{escape(file.name)}</h2><pre>{lines}</pre>"


def _line(name: str, number: int, text: str) -> str:
    return f'<a id="{name}" href="#{name}"><i>{number}</i>{escape(text) or " "}</a>'


def _data(value: object) -> str:
    """JSON that cannot end the script that it stands in."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c").replace("##", "#\\u0023")


_STYLE = """
body{margin:0;font:14px/1.45 system-ui,sans-serif;color:#1d2433;background:#fff;display:flex;flex-direction:column;
height:100vh}
header{padding:8px 16px;border-bottom:1px solid #d5dae3}h1{font-size:16px;margin:0;display:inline}
header span{color:#5b6478;margin-left:12px}main{flex:1;display:flex;min-height:0}
section{flex:1;overflow:auto;padding:0 12px 12px}section+section{border-left:1px solid #d5dae3;flex:1.4}
h2{font-size:13px;margin:12px 0 4px;color:#5b6478}pre{margin:0;font:12px/1.5 ui-monospace,monospace}
pre a{display:block;color:inherit;text-decoration:none;white-space:pre;border-left:3px solid transparent}
pre a:hover{background:#f0f3f8}pre i{display:inline-block;width:4ch;margin-right:2ch;text-align:right;color:#8b93a5;
font-style:normal}pre a.chosen{background:#ffe9b8;border-color:#c77700}pre a.linked{background:#dcecff;
border-color:#1f6feb}
footer{border-top:1px solid #d5dae3;background:#f7f9fc;max-height:32vh;overflow:auto;padding:8px 16px}
footer pre{white-space:pre-wrap}
"""

_SCRIPT = """
const back = {};
for (const [line, places] of Object.entries(links))
  for (const place of places) (back[place] = back[place] || []).push(line);
function follow() {
  for (const marked of document.querySelectorAll("a.chosen,a.linked")) marked.classList.remove("chosen", "linked");
  const id = location.hash.slice(1), chosen = document.getElementById(id), note = document.getElementById("note");
  if (!chosen || !chosen.matches("pre a")) return;
  chosen.classList.add("chosen");
  const others = (links[id] || back[id] || []).map(other => document.getElementById(other)).filter(Boolean);
  others.forEach(other => other.classList.add("linked"));
  if (others.length) others[0].scrollIntoView({block: "center"});
  if (details[id]) note.textContent = texts[details[id]];
  else if (back[id]) note.textContent = `decides ${others.length} lines of the manifests`;
  else note.textContent = "nothing depends on this line";
}
addEventListener("hashchange", follow);
follow();
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>stormc explain {title}</title><style>{style}</style></head>
<body><header><h1>{title}</h1><span>Choose a line: right, to see what decided it; left, to see what it decides.</span>
</header><main><section aria-label="specs">{left}</section><section aria-label="manifests">{right}</section></main>
<footer><pre id="note">No line is chosen.</pre></footer>
<script>const links={links},details={details},texts={texts};{script}</script></body></html>
"""
