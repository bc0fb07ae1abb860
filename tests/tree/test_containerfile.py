"""Which images a Containerfile begins with."""

from __future__ import annotations

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import containerfile


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM scratch\n", {}),
        ("from a\nRUN FROM b\n", {"a": ["a"]}),
        ("# FROM z\nFROM \\\n# c\n  a AS one\nFROM One\nFROM --platform=linux/amd64 b\n", {"a": ["a"], "b": ["b"]}),
        ("# escape=`\nFROM a`\n AS b\nCOPY --chown=1 --from=c x /\n", {"a": ["a"], "c": ["c"]}),
        ("ARG T=1\nARG N=deb:$T\nFROM ${N}\nFROM x${T:+y}${U:-z}\n", {"deb:2": ["${N}"], "xyz": ["x${T:+y}${U:-z}"]}),
        ("FROM a@sha256:0\nCOPY --from=0 x y\nCOPY x --from=q\n", {"a@sha256:0": ["a@sha256:0"]}),
        ("FROM a\nRUN --mount=type=bind,from=m,target=/m true\n", {"a": ["a"], "m": ["m"]}),
    ],
)
def test_images_are_found(text: str, images: dict[str, list[str]]) -> None:
    """A22: stages, arguments, lines that go on, and files copied from images."""
    assert containerfile.images(text, {"T": "2"}, None) == images


def test_what_stands_behind_the_target_is_not_needed() -> None:
    """The stages up to the target alone are built."""
    text = "FROM a AS one\nCOPY --from=c / /\nFROM b AS two\n"
    assert [*containerfile.images(text, {}, "ONE")] == ["a", "c"]
    assert [*containerfile.images(text, {}, "0")] == ["a", "c"]
    assert [*containerfile.images(text, {}, "two")] == ["a", "c", "b"]
    with pytest.raises(StageError, match="has no stage tow"):
        containerfile.images(text, {}, "tow")
