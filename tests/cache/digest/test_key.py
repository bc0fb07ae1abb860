"""Keys: different parts never share a key, equal parts always do, and what differs can be said in words."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from bootsmith.cache.digest import secret_digest as secret
from bootsmith.cache.digest.code import module_identity
from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.cache.digest.key import diff, encode, key
from hypothesis import example, given
from hypothesis import strategies as st

PARTS: Mapping[str, Any] = {
    "name": "populate/root",
    "code": "00112233445566778899aabbccddeeff",
    "params": {"label": "root", "size": 734003200, "options": ["a", "b"], "entries": {"default": {"cmdline": "quiet"}}},
    "inputs": {"base": "0" * 32, "overlay": "1" * 32},
    "tools": {"mke2fs": "2" * 32},
    "secrets": {},
    "outputs": ["image"],
}


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


def shape(value: Any) -> object:
    """Return what makes a value that value: its type beside its content."""
    if isinstance(value, dict):
        return ("mapping", frozenset((name, shape(item)) for name, item in value.items()))
    if isinstance(value, list | tuple):
        return ("sequence", tuple(shape(item) for item in value))
    return (type(value).__name__, repr(value))


@given(VALUES, VALUES)
@example([b"ab", b"c"], [b"a", b"bc"])
@example("\udcc3\udca9", "é")
@example(0.0, -0.0)
@example([[], []], [[[]]])
@example({"a": {}, "b": None}, {"a": {"b": None}})
def test_values_encode_alike_only_when_they_are_alike(one: Any, other: Any) -> None:
    """The encoding is injective: type, order and nesting included (V3)."""
    assert (encode(one) == encode(other)) == (shape(one) == shape(other))


@given(st.lists(st.binary(max_size=5), min_size=2, max_size=4))
def test_bytes_cannot_move_between_neighbours(items: list[bytes]) -> None:
    """Moving a byte from one input to the next changes the encoding (V3)."""
    if items[0]:
        moved = [items[0][:-1], items[0][-1:] + items[1], *items[2:]]
        assert encode(moved) != encode(items)


def test_one_is_not_one_is_not_one() -> None:
    """1, True, "1", b"1" and 1.0 are five different parameters."""
    assert len({encode(value) for value in (1, True, "1", b"1", 1.0)}) == 5


def test_the_order_of_a_mapping_does_not_matter() -> None:
    """Only names and values do; a mapping need not be a dict, a sequence not a list."""
    assert encode({"a": 1, "b": [2]}) == encode(MappingProxyType({"b": (2,), "a": 1}))


def test_any_text_can_be_encoded() -> None:
    """A file name that is not UTF-8 is text too."""
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert encode(name) != encode("café")


@pytest.mark.parametrize("value", [Path("/etc"), {1, 2}, object(), [Path("relative")], {"deep": {"er": {3}}}])
def test_what_has_no_encoding_is_refused(value: object) -> None:
    """Paths above all: they would tie a key to one machine."""
    with pytest.raises(TypeError, match="a key cannot be made of"):
        encode(value)


def test_the_encoding_is_the_documented_one() -> None:
    """Tag, length, content: docs/reference/cache-format.md, "Key"."""
    one, two = b"\x01" + bytes(7), b"\x02" + bytes(7)
    assert encode({"é": [12, None, b"\0"], "b": 0.5}) == (
        b"m" + two
        + b"s" + one + b"b" + b"d\x3f\xe0\0\0\0\0\0\0"
        + b"s" + two + b"\xc3\xa9" + b"l\x03" + bytes(7) + b"i" + two + b"12" + b"N" + b"b" + one + b"\0"
    )  # fmt: skip


def test_keys_stay_what_they_are() -> None:
    """A new version of bootsmith finds what an old one stored."""
    assert key({}) == "1d09d0e1654076ad734bc91d6eef5101"
    assert key(PARTS) == "39286150c9db61503ea00470ac8938cb"
    assert (
        key({"v": [None, True, False, -7, 0.5, "é\udcff", b"\x00\xff", {"a": 1}]}) == "3cd789f3031000cb919b7b041f632ed1"
    )


@pytest.mark.parametrize("part", list(PARTS))
def test_every_part_counts(part: str) -> None:
    """No part of a stage can change without its key."""
    assert key(PARTS | {part: {"other": "x"}}) != key(PARTS)
    assert key({name: value for name, value in PARTS.items() if name != part}) != key(PARTS)


def test_swapped_inputs_change_the_key() -> None:
    """Two inputs that change places are two changed inputs (V3)."""
    assert key(PARTS | {"inputs": {"base": "1" * 32, "overlay": "0" * 32}}) != key(PARTS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"code": "ff"}, ["code changed"]),
        ({"name": "populate/boot"}, ["name: 'populate/root' -> 'populate/boot'"]),
        ({"inputs": {"base": "0" * 32, "overlay": "3" * 32}}, ["input overlay changed"]),
        ({"inputs": {"base": "0" * 32}}, ["input overlay removed"]),
        ({"inputs": {**PARTS["inputs"], "delta": "4" * 32}}, ["input delta added"]),
        ({"tools": {"mke2fs": "5" * 32}}, ["tool mke2fs changed"]),
        ({"secrets": {"root": "6" * 64}}, ["secret root added"]),
        ({"outputs": ["image", "log"]}, ["outputs: +'log'"]),
        ({"params": {**PARTS["params"], "label": "data"}}, ["parameter label: 'root' -> 'data'"]),
        ({"params": {**PARTS["params"], "epoch": 1}}, ["parameter epoch added: 1"]),
        ({"params": {**PARTS["params"], "size": True}}, ["parameter size: 734003200 -> true"]),
        ({"params": {**PARTS["params"], "options": ["b", "c"]}}, ["parameter options: +'c' -'a'"]),
        (
            {"params": {**PARTS["params"], "options": ["b", "a"]}},
            ["parameter options: the same items, in another order or number"],
        ),
        (
            {"params": {**PARTS["params"], "entries": {"default": {"cmdline": "debug"}}}},
            ["parameter entries.default.cmdline: 'quiet' -> 'debug'"],
        ),
        (
            {"params": {**PARTS["params"], "entries": {"": {"quiet": None}}}},
            ["parameter entries added: {quiet: none}", "parameter entries.default removed (was {cmdline: 'quiet'})"],
        ),
        (
            {"code": "ff", "tools": {}},
            ["code changed", "tool mke2fs removed"],
        ),
    ],
)
def test_what_differs_is_said_in_words(change: dict[str, Any], words: list[str]) -> None:
    """Each difference is one sentence that names the part (V9)."""
    assert diff(PARTS, PARTS | change) == words


def test_things_with_names_are_compared_by_them() -> None:
    """Of a list of partitions the one that changed is told, with what changed of it, not both as Python writes them."""
    root, boot = {"name": "root", "size": 1, "open": True}, {"name": "boot", "size": 2, "open": False}
    for new, words in (
        ([root, boot | {"size": 3}], ["parameter parts.boot.size: 2 -> 3"]),
        ([root | {"open": False}, boot], ["parameter parts.root.open: true -> false"]),
        ([root], ["parameter parts.boot removed (was {name: 'boot', size: 2, open: false})"]),
        ([boot, root], ["parameter parts: the same items, in another order or number"]),
        ([root, root], ["parameter parts: -{name: 'boot', size: 2, open: false}"]),
        ([root, 1], ["parameter parts: +1 -{name: 'boot', size: 2, open: false}"]),
    ):
        assert diff({"params": {"parts": [root, boot]}}, {"params": {"parts": new}}) == words


def test_a_removed_parameter_is_named_with_what_it_was() -> None:
    """A parameter that is gone is said with its old value."""
    fewer = {name: value for name, value in PARTS["params"].items() if name != "label"}
    assert diff(PARTS, PARTS | {"params": fewer}) == ["parameter label removed (was 'root')"]


def test_a_changed_secret_does_not_show() -> None:
    """Not even its digest is printed."""
    words = diff(PARTS | {"secrets": {"root": "a" * 64}}, PARTS | {"secrets": {"root": "b" * 64}})
    assert words == ["secret root changed"]


def test_long_values_are_cut() -> None:
    """A sentence stays a line."""
    (sentence,) = diff({"params": {"text": "x" * 500}}, {"params": {"text": "y" * 500}})
    assert len(sentence) < 160
    assert "…" in sentence


@given(st.dictionaries(st.sampled_from(list(PARTS)), VALUES), st.dictionaries(st.sampled_from(list(PARTS)), VALUES))
def test_keys_that_differ_always_have_a_reason(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Whatever the parts hold, a changed key comes with words, an equal one without."""
    assert bool(diff(old, new)) == (key(old) != key(new))


# -- all that a stage declares, for real


@dataclass
class Declared:
    """A stage's inputs, code, options, tools and secrets as they are on disk; what is changed here must show."""

    top: Path
    params: dict[str, Any]
    roles: dict[str, str]
    tools: dict[str, str]
    secret: bytes = b"hunter2"

    def key(self) -> str:
        """Return the stage's key, everything read anew."""
        return key(
            {
                "name": "layers/tree",
                "code": module_identity("declared_stage", ["declared_stage"]),
                "params": self.params,
                "inputs": {role: fingerprint(self.top / name) for role, name in self.roles.items()},
                "tools": {name: fingerprint(self.top / tool) for name, tool in self.tools.items()},
                "secrets": {"root": secret.digest(self.top, self.secret)},
                "outputs": ["layer"],
            }
        )


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Declared:
    """A stage that declares one of everything."""
    (tmp_path / "tree/etc").mkdir(parents=True)
    (tmp_path / "tree/etc/motd").write_text("hello")
    (tmp_path / "tree/etc/issue").write_text("world")
    (tmp_path / "tree/link").symlink_to("etc/motd")
    (tmp_path / "other").write_text("another input")
    (tmp_path / "mkfs").write_text("a program")
    (tmp_path / "declared_stage.py").write_text("def run(ctx): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    return Declared(tmp_path, {"label": "root", "size": 1}, {"tree": "tree", "other": "other"}, {"mkfs": "mkfs"})


def swap(top: Path) -> None:
    """Let two files change places."""
    (top / "etc/motd").rename(top / "third")
    (top / "etc/issue").rename(top / "etc/motd")
    (top / "third").rename(top / "etc/issue")


def relink(link: Path, target: str) -> None:
    """Let a link lead elsewhere."""
    link.unlink()
    link.symlink_to(target)


CHANGES: dict[str, Callable[[Declared], object]] = {
    "content": lambda it: (it.top / "tree/etc/motd").write_text("hellO"),
    "mode": lambda it: (it.top / "tree/etc/motd").chmod(0o600),
    "mode of a folder": lambda it: (it.top / "tree/etc").chmod(0o700),
    "target of a link": lambda it: relink(it.top / "tree/link", "etc/issue"),
    "name": lambda it: (it.top / "tree/etc/motd").rename(it.top / "tree/etc/notd"),
    "attribute": lambda it: os.setxattr(it.top / "tree/etc/motd", "user.note", b"1"),
    "file added": lambda it: (it.top / "tree/new").touch(),
    "file removed": lambda it: (it.top / "tree/etc/issue").unlink(),
    "folder added": lambda it: (it.top / "tree/new").mkdir(),
    "two files swapped": lambda it: swap(it.top / "tree"),
    "the other input": lambda it: (it.top / "other").write_text("changed"),
    "inputs swapped": lambda it: it.roles.update(tree="other", other="tree"),
    "input added": lambda it: it.roles.update(third="other"),
    "input removed": lambda it: it.roles.pop("other"),
    "role renamed": lambda it: it.roles.update(another=it.roles.pop("other")),
    "option": lambda it: it.params.update(label="data"),
    "type of an option": lambda it: it.params.update(size=True),
    "option added": lambda it: it.params.update(more=None),
    "option removed": lambda it: it.params.pop("label"),
    "tool": lambda it: (it.top / "mkfs").write_text("a newer program"),
    "tool added": lambda it: it.tools.update(fsck="mkfs"),
    "code": lambda it: (it.top / "declared_stage.py").write_text("def run(ctx): pass\n"),
    "secret": lambda it: setattr(it, "secret", b"hunter3"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_kind_of_input_counts(declared: Declared, change: str) -> None:
    """One change of anything a stage declares is another key; the same again, read anew, is the same (V2, V3, V10)."""
    before = declared.key()
    for path in sorted(declared.top.rglob("*")):
        os.utime(path, (1, 1), follow_symlinks=False)
    assert declared.key() == before, "touching changes nothing"
    CHANGES[change](declared)
    after = declared.key()
    assert after != before
    assert declared.key() == after
