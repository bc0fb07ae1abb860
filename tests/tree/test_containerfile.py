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
        ("# FROM z\nFROM \\\n# c\n  a AS one\nFROM One\nCOPY --from=2 / /\n", {"a": ["a"]}),
        ("# escape=`\nFROM a`\n AS b\nCOPY --chown=1 --from=c x /\n", {"a": ["a"], "c": ["c"]}),
        (
            "ARG T=1\nARG N=deb:$T\nFROM ${N} AS n\nFROM x${T:+y}${U:-z}\nCOPY --from=n / /\n",
            {"deb:2": ["${N}"], "xyz": ["x${T:+y}${U:-z}"]},
        ),
        ("FROM a\nFROM --platform=linux/amd64 b\nCOPY --from=0 / /\n", {"a": ["a"], "b": ["b"]}),
        ("FROM a@sha256:0\nCOPY --from=0 x y\nCOPY x --from=q\n", {"a@sha256:0": ["a@sha256:0"]}),
        ("FROM\tdebian\tAS\tx\n", {"debian": ["debian"]}),
        ("FROM a\r\nRUN \x0cFROM b\r\nCOPY <<E /\r\nFROM c\r\nE\r\n", {"a": ["a"]}),
        ("FROM a\nCOPY <<EOF /x.py\nfrom os import path\n # \\\nEOF\nCOPY --from=b / /\n", {"a": ["a"], "b": ["b"]}),
        ("FROM a\nRUN <<-'E F' cat 3<<B >x\nfrom c\n\t\tE F\nE F\nfrom d\nB\nFROM e\n", {"e": ["e"]}),
        ("FROM a\nONBUILD RUN <<E\nFROM b\nE\nRUN x <<< E\nRUN [\"<<E\"]\nRUN a<<E\nRUN '<<E'\n", {"a": ["a"]}),
        ("FROM a\nLABEL <<E\nFROM b\n", {"b": ["b"]}),
        ("FROM a\nRUN <<E\nFROM b\n", {"a": ["a"]}),
        ("FROM a\nRUN --mount=type=bind,from=m,target=/m true\n", {"a": ["a"], "m": ["m"]}),
    ],
)
def test_images_are_found(text: str, images: dict[str, list[str]]) -> None:
    """A22: stages, arguments, lines that go on, and files copied from images."""
    assert containerfile.images(text, {"T": "2"}, None) == images


def test_what_stands_behind_the_target_is_not_needed() -> None:
    """Nor what stands before it, if nothing of it is taken: the stages alone are built that the target is made of."""
    text = "FROM a AS one\nCOPY --from=c / /\nFROM b AS two\n"
    assert [*containerfile.images(text, {}, "ONE")] == ["a", "c"]
    assert [*containerfile.images(text, {}, "0")] == ["a", "c"]
    assert [*containerfile.images(text, {}, "two")] == ["b"]
    for more in ("COPY --from=One / /", "RUN --mount=from=0,target=/m true", "COPY --from=$MINE / /", "FROM one"):
        assert {*containerfile.images(f"{text}{more}\n", {}, None)} == {
            "a",
            "c",
            *(["b"] if more != "FROM one" else []),
        }
    chain = "FROM a AS one\nFROM b AS two\nFROM one AS three\nFROM scratch\nCOPY --from=three / /\n"
    assert [*containerfile.images(chain, {}, None)] == ["a"]
    assert [*containerfile.images(f"{chain}FROM c AS last\n", {}, None)] == ["c"]
    with pytest.raises(StageError, match="has no stage tow"):
        containerfile.images(text, {}, "tow")
