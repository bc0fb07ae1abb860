"""tasks/build/reason.py: what differs between two states of a stage's parts, in words and as data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.tasks.build import evidence
from bootsmith.tasks.build.identities import Identities
from bootsmith.tasks.build.reason import Comparison, Reason, Side, causes
from bootsmith.tasks.build.stage import Stage

STAGE = Stage("layers/one", "module:run", {"tree": Path("/there/tree"), "lock": Path("/there/my.lock")}, {})
ABOUT = {
    "old": {"version": "1.47.0", "files": {"/sbin/mke2fs": "1", "/lib/libext2fs.so.2": "2"}},
    "new": {"version": "1.47.2", "files": {"/sbin/mke2fs": "3", "/lib/libext2fs.so.2": "4"}},
    "same": {"version": "1.47.0", "files": {"/sbin/mke2fs": "1", "/lib/libext2fs.so.2": "5"}},
}
LEDGER = cast("Identities", SimpleNamespace(about_tool=ABOUT.get))


def _told(known: Mapping[str, Any], role: str) -> Any:
    return known.get(role, {})


def compared(
    old: Mapping[str, Any], new: Mapping[str, Any], *, code: Any = (None, None), **inputs: Any
) -> list[Reason]:
    """Compare parts; each further argument is an input with what is told of it before and now."""
    known = [{role: each[side] for role, each in inputs.items()} for side in (0, 1)]
    sides = [
        Side(parts, partial(_told, known[index]), partial(code.__getitem__, index))
        for index, parts in enumerate((old, new))
    ]
    return Comparison(STAGE, {}, LEDGER, *sides).reasons()


@pytest.mark.parametrize(
    ("then", "now", "text"),
    [
        ("old", "new", "tool mke2fs 1.47.0 -> 1.47.2"),
        ("old", "same", "tool mke2fs 1.47.0, other bytes: /lib/libext2fs.so.2"),
        ("old", "unknown", "tool mke2fs changed"),
    ],
)
def test_a_tool_is_told_by_its_version(then: str, now: str, text: str) -> None:
    """The version where it changed, else the very file; where nothing is kept of it, that it changed."""
    (found,) = compared({"tools": {"mke2fs": then}}, {"tools": {"mke2fs": now}})
    assert found.text == text


def test_a_lock_is_told_by_its_packages() -> None:
    """Versions, what came and what went."""
    before = {"packages": {"linux-image amd64": "6.12.1", "bar amd64": "2", "same all": "1"}}
    after = {"packages": {"linux-image amd64": "6.12.3", "foo amd64": "1", "same all": "1"}}
    (found,) = compared({"inputs": {"lock": "1"}}, {"inputs": {"lock": "2"}}, lock=(before, after))
    assert found.text == "input lock: -bar, +foo 1, linux-image 6.12.1 -> 6.12.3"
    assert found.data["packages"] == [
        {"package": "bar", "was": "2"},
        {"package": "foo", "now": "1"},
        {"package": "linux-image", "was": "6.12.1", "now": "6.12.3"},
    ]


def told(tree: Path) -> dict[str, Any]:
    """Return what is told of a tree."""
    listing: dict[str, str] = {}
    fingerprint(tree, None, listing)
    return evidence.of_inputs(STAGE, {"tree": listing})["tree"]


def test_a_tree_is_told_by_its_files(tmp_path: Path) -> None:
    """Content, mode, kind, what came and what went, at any depth; of many the first are named, and counted."""
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    for name in ("content", "mode", "kind", "gone"):
        (tree / "etc" / name).write_text(name)
    before = told(tree)
    (tree / "etc/content").write_text("another")
    (tree / "etc/mode").chmod(0o750)
    (tree / "etc/kind").unlink()
    (tree / "etc/kind").mkdir()
    (tree / "etc/gone").unlink()
    (tree / "new").write_text("")
    (found,) = compared({"inputs": {"tree": "1"}}, {"inputs": {"tree": "2"}}, tree=(before, told(tree)))
    assert found.text == (
        "input tree: etc/content changed, etc/gone removed, etc/kind is now a folder, etc/mode mode 644 -> 750, "
        "new added"
    )
    many = {"tree": {f"file{number:02}": "8 644 aa" for number in range(20)}}
    (found,) = compared({"inputs": {"tree": "1"}}, {"inputs": {"tree": "2"}}, tree=({"tree": {}}, many))
    assert found.text.endswith("file07 added, and 12 more")
    assert len(found.data["files"]) == 20


def test_code_is_told_by_its_modules() -> None:
    """The files, and Python's own version."""
    modules = (
        {"bootsmith.tasks.disk.gpt": "1", "bootsmith.tasks.gone": "1"},
        {"bootsmith.tasks.disk.gpt": "2", "mine": "1"},
    )
    (found,) = compared({"code": "a b cpython-311"}, {"code": "c b cpython-313"}, code=modules)
    assert found.text == (
        "code: Python cpython-311 -> cpython-313, tasks/disk/gpt.py changed, tasks/gone.py removed, mine.py added"
    )
    (found,) = compared({"code": "a b cpython-311"}, {"code": "c b cpython-311"})
    assert found.text == "code changed"


def test_a_lines_worth_of_causes() -> None:
    """The first cause of a stage's own, how many more there are; nothing where only other stages are why."""
    reasons = compared({"params": {"a": 1, "b": 2}}, {"params": {"a": 2, "c": 3}})
    assert [each.text for each in reasons] == [
        "parameter a: 1 -> 2",
        "parameter b removed (was 2)",
        "parameter c added: 3",
    ]
    assert causes(reasons) == "a: 1 -> 2, and 2 more"
    assert causes([Reason("input", "base", "input base changed, which rootfs makes")]) == ""
