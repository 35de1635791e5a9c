"""Which app a word means: by name, NAMESPACE/NAME, spec file, or the end of its path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from stormc.failure import Failure
from stormc.finding import did_you_mean
from stormc.phrase import phrase, with_hint


def is_called(word: str, label: str, file: str) -> bool:
    """Whether a word means the app of a label (NAMESPACE/NAME) and a spec file.

    It may be the name, the label, the file, or the end of the file's path without its suffix, such as staging/chat.
    """
    stem = file.removesuffix(PurePosixPath(file).suffix)
    return word in (label, label.rpartition("/")[2], file, stem) or ("/" in word and stem.endswith(f"/{word}"))


def no_app(word: str, apps: Iterable[tuple[str, str]]) -> Failure:
    """The failure that no app, of these labels and files, has that name; its hint has a similar name."""
    known = list(apps)
    times = Counter(label.rpartition("/")[2] for label, _ in known)
    names = [name if times[name] == 1 else _path(file) for label, file in known for name in [label.rpartition("/")[2]]]
    hint = did_you_mean(word, names)
    return Failure(with_hint(phrase("no app {word}", word=word), hint))


def several_apps(word: str, files: Sequence[str]) -> Failure:
    """The failure that several apps have that name, with a short path of each."""
    return Failure(
        phrase("{word} is the name of several apps; name one of {names}", word=word, names=", ".join(map(_path, files)))
    )


def _path(file: str) -> str:
    """A short name of one app: the directory of its spec file and the name of the file."""
    path = PurePosixPath(file)
    return "/".join((*path.parts[-2:-1], path.stem))
