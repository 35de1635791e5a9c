from __future__ import annotations

from collections.abc import Iterator

import pytest

from stormc.model.app import App, Ref
from stormc.model.profile import Platform
from stormc.passes.because import Because
from stormc.passes.edit import REMOVED, Edit
from stormc.passes.runner import Pass, SecondWriter, run_pipeline
from tests.samples import app

CONFIG = Ref("ConfigMap", "c")


def writes(*edits: tuple[tuple[str | tuple[str | int, ...], ...], object]) -> Pass:
    def apply(app: App, platform: Platform) -> Iterator[Edit]:
        for path, value in edits:
            yield Edit(CONFIG, path, value, Because(fact="test"))

    return Pass("one", apply)


CONFLICTS = [
    ((("data", "a"), 1), (("data", "a"), 1)),
    ((("data",), {"a": 1}), (("data", "b"), 1)),
    ((("data", "a"), 1), (("data",), {"a": 1})),
    ((("env", ("X",)), {"name": "X"}), (("env", ("X",), "value"), "1")),
]


@pytest.mark.parametrize(("first", "second"), CONFLICTS)
def test_a_second_writer_is_refused(first: object, second: object) -> None:
    pipeline = (writes(first), writes(second)._replace(name="two"))  # type: ignore[arg-type]
    with pytest.raises(SecondWriter) as caught:
        run_pipeline(pipeline, app(), Platform())
    assert (caught.value.first, caught.value.second) == ("one", "two")


def test_only_a_rewriting_pass_may_change_and_remove() -> None:
    second = writes((("data", "a"), 2), (("data", "b"), REMOVED))._replace(rewrites=True)
    result = run_pipeline((writes((("data", "a"), 1), (("data", "b"), 1)), second), app(), Platform())
    assert result.manifests[0]["data"] == {"a": 2}


def test_lists_merge_by_key_in_order_of_first_writing() -> None:
    one = writes((("env", ("B",)), {"name": "B"}), (("volumes", ("v",), "emptyDir"), {}))
    two = writes((("env", ("A",)), {"name": "A"}), (("volumes", ("v",), "extra"), 1))
    manifests = run_pipeline((one, two), app(), Platform()).manifests[0]
    assert [entry["name"] for entry in manifests["env"]] == ["B", "A"]
    assert manifests["volumes"] == [{"name": "v", "emptyDir": {}, "extra": 1}]


def test_objects_carry_their_identity() -> None:
    (made,) = run_pipeline((writes((("data", "a"), "b")),), app(), Platform()).manifests
    assert made["apiVersion"] == "v1"
    assert made["metadata"] == {"name": "c", "namespace": "inference"}
