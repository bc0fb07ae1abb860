"""A container's tree becomes a system's. A3."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.planning import layer_stack
from bootsmith.tasks.planning.stages import layers
from bootsmith.tasks.tree.merged import Tree

from tests.support.tar_members import Member, member
from tests.support.tree_build import DEBIAN, TreeBuild

WHOLE: dict[str, bytes | Member] = {f"./{name}/": member("d") for name in ("dev", "proc", "run", "sys", "tmp", "etc")}
EXPORTED = {
    **WHOLE,
    "./.dockerenv": member(mode=0o755),
    "./run/.containerenv": b"engine=podman",
    "./etc/hosts": b"",
    "./etc/hostname": b"",
    "./etc/resolv.conf": b"",
    "./dev/console": member(mode=0o600),
}
MACH = (
    "source: {tar: t.tar}\narch: i386\ndisk: {partitions: {root: {fs: ext2, mount: /}}}\n"
    "boot: {loader: grub-bios, protocol: multiboot, kernel: {first: [k], as: /k}}\n"
)
SOURCE = "source: {tar: t.tar}\nboot: {kernel: k, initrd: none}\n"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    found = TreeBuild(tmp_path, monkeypatch)
    for name in ("t.tar", "k"):
        (tmp_path / "recipes" / name).touch()
    return found


def mended(build: TreeBuild, text: str = SOURCE + "system: none\n") -> Tree:
    """Return the tree that all layers of a recipe come to."""
    recipe = build.recipes.load(text)
    for stage in layers.stages(recipe, build.site):
        build.run(stage)
    stack = layer_stack.stack(recipe, build.site)
    return Tree([each.index for each in stack], [each.tar for each in stack])


def test_what_an_engine_left_is_gone(build: TreeBuild) -> None:
    """What says that it is a container, and the places of files mounted over; each is named, once."""
    build.base(EXPORTED, only=True)
    tree = mended(build)
    assert {*tree.entries} - {""} == {"dev", "etc", "etc/hosts", "proc", "run", "sys", "tmp"}
    assert (tree.text("etc/hosts") or "").startswith("127.0.0.1\tlocalhost\n")
    names = "/.dockerenv, /dev/console, /etc/hostname, /etc/hosts, /etc/resolv.conf, /run/.containerenv"
    assert build.told == [f"a container left {names}: not in the image, or as a system has it"]


def test_what_is_a_systems_own_stays(build: TreeBuild) -> None:
    """A file with something in it, a link, a device and a folder are nobody's left-overs."""
    own = {
        **WHOLE,
        "./etc/hosts": b"192.0.2.1 gate\n",
        "./etc/hostname": b"box\n",
        "./etc/resolv.conf": member("l", linkname="../run/systemd/resolve/stub-resolv.conf"),
        "./dev/console": member("c"),
        "./dev/.udev/": member("d"),
    }
    build.base(own, only=True)
    tree = mended(build)
    assert all(tree.link(path) is not None for path in own)
    assert tree.text("etc/hosts") == "192.0.2.1 gate\n"
    assert build.told == []


def test_a_system_is_declared_on_top_of_it(build: TreeBuild) -> None:
    """What the recipe says stands where the empty files were, and what its layers bring is theirs."""
    accounts = {path: DEBIAN[path] for path in ("./etc/passwd", "./etc/group", "./etc/shadow")}
    build.base({**EXPORTED, **accounts}, only=True)
    tree = mended(build, SOURCE + "layers: [files: {/.dockerenv: {content: mine}}]\nsystem: {network: none}\n")
    assert tree.text("etc/hostname") == "x\n"
    assert "127.0.1.1\tx" in (tree.text("etc/hosts") or "")
    assert tree.text(".dockerenv") == "mine"


def test_directories_that_a_system_is_started_into_are_made(build: TreeBuild) -> None:
    """With the modes that Linux and everybody expect; a link in the place of one is left."""
    build.base({"./tmp": member("l", linkname="var/tmp"), "./var/tmp/": member("d", mode=0o1777)}, only=True)
    tree = mended(build)
    modes = {path: entry.mode for path, (_, entry) in tree.entries.items() if entry.type == "d" and path}
    assert modes == {"dev": 0o755, "proc": 0o555, "run": 0o755, "sys": 0o555, "var": 0o755, "var/tmp": 0o1777}
    assert build.told == ["the tree has no /dev, /proc, /run, /sys: made"]


@pytest.mark.parametrize(
    "text",
    [
        "source: none\nboot: {kernel: k, initrd: none}\nsystem: none\n",
        "source: {tar: t.tar}\nboot: {loader: direct, kernel: k, initrd: tree}\noutputs: [kernel]\n",
        MACH,
    ],
)
def test_other_trees_are_as_they_are(text: str, build: TreeBuild) -> None:
    """One that is empty, an initramfs without a disk, and what another kernel than Linux starts."""
    assert [stage.name for stage in layers.stages(build.recipes.load(text), build.site)] == []
