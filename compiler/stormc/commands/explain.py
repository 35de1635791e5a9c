"""stormc explain: where a rendered value comes from: the field, fact or default that decided it, and why."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stormc.commands.documents import print_json
from stormc.commands.speech import translated
from stormc.failure import Failure
from stormc.phrase import phrase

if TYPE_CHECKING:
    from stormc.review.explain import Explained, Explanation


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to explain, and the form."""
    parser.add_argument("what", metavar="APP|FILE:LINE", help="a name, a spec, or a rendered line")
    parser.add_argument("path", metavar="PATH", nargs="?", help="a value, such as decode.replicas")
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")
    parser.add_argument("--out", type=Path, default=Path("rendered"), metavar="DIR", help="rendered tree (rendered)")
    parser.add_argument("--format", choices=("text", "json", "html"), default="text", help="form of the answer (text)")


def run(options: argparse.Namespace) -> int:
    """Prints the answer. Raises Failure where there is no such app, value or line."""
    from stormc.actions.explaining import explain_app
    from stormc.review import explain_text
    from stormc.review.explain import at_path, decided_by

    line = re.fullmatch(r"(.+):([1-9][0-9]{0,8})(:[0-9]+)?", options.what)
    values = None
    if line is not None and not Path(line[1]).is_file():
        raise Failure(phrase("{path} does not exist", path=line[1]))
    if line is not None:
        explanation, values = _of_line(options, Path(line[1]), int(line[2]))
    else:
        explanation = explain_app(options.specs, options.what, options.out)
    if options.path is not None:
        values = at_path(explanation, options.path) or decided_by(explanation, options.path)
        if not values:
            raise Failure(
                phrase(
                    "{app} has no value {path}; stormc explain {what} shows all",
                    app=explanation.app,
                    path=options.path,
                    what=options.what,
                )
            )
    if options.format == "html":
        from stormc.review.explain_page import page

        sys.stdout.write(page(explanation))
    elif options.format == "json":
        print_json(explain_text.as_json(explanation.values if values is None else values))
    elif values is None:
        sys.stdout.writelines(f"{text}\n" for text in explain_text.annotated(explanation))
    else:
        print("\n".join(explain_text.text(values, translated)))
    return 0


def _of_line(options: argparse.Namespace, file: Path, line: int) -> tuple[Explanation, list[Explained]]:
    from stormc.actions.explaining import explain_app, explain_object, fields_at, is_spec
    from stormc.review.explain import at_line, decided_by
    from stormc.tree.layout import identity
    from stormc.tree.shared import DIRECTORY

    if fields := fields_at(options.specs, file, line):
        explanation = explain_app(options.specs, str(file), options.out)
        return explanation, [value for field in fields for value in decided_by(explanation, field)]
    text = file.read_bytes()
    rendered = identity(text)
    if is_spec(options.specs, file):
        raise Failure(phrase("no field of {file} begins on line {line}", file=file, line=line))
    if rendered is None:
        raise Failure(phrase("{file} is no manifest that stormc has rendered", file=file))
    if DIRECTORY in file.parts:
        raise Failure(phrase("{file} holds a program of stormc that apps share; no spec decides it", file=file))
    explanation = explain_object(options.specs, rendered, options.out)
    name = f"{rendered.kind.lower()}-{rendered.name}.yaml"
    rendered_file = next((one for one in explanation.files if one.name.rpartition("/")[2] == name), None)
    if rendered_file is None or rendered_file.text.encode() != text:
        raise Failure(phrase("{file} is not what its spec renders to now; run: stormc render", file=file))
    values = at_line(rendered_file, line)
    if not values:
        raise Failure(phrase("{file}:{line} holds no value", file=file, line=line))
    return explanation, values
