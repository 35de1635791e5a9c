from __future__ import annotations

from tests.samples import app, compiled, storm


def test_every_object_says_whose_it_is() -> None:
    result = compiled()
    assert len(result.manifests) == len(app().objects) == 7
    for manifest in result.manifests:
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "stormc"
        assert labels["app.kubernetes.io/name"] == labels["app.kubernetes.io/part-of"] == "qwen3-moe"


def test_the_digest_follows_the_spec_and_not_its_form() -> None:
    def digest(overlay: str) -> str:
        value: str = storm(overlay)["metadata"]["annotations"]["stormc.dev/spec-digest"]
        return value

    assert digest("{}") == digest("port: 8080")
    assert digest("{}") != digest("port: 8081")


def test_nothing_of_ours_is_in_a_pod_template() -> None:
    for role in storm()["spec"]["template"]["spec"]["roles"]:
        text = str(role["template"])
        assert "app.kubernetes.io" not in text
        assert "spec-digest" not in text
        assert "stormc.dev" not in text
