"""The initrd: the tree packed, or a file of one's own. W4."""

from __future__ import annotations

import copy
import gzip
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.stages import boot_file_outputs, initrd, layers
from bootsmith.tasks.tree import boot_formats

from tests.support import tiny_kernel
from tests.support.kernel_files import cpio
from tests.support.project import dodo, doit
from tests.support.tar_members import Member, member, write_tar
from tests.support.tree_build import TreeBuild

TREE = "boot: {loader: direct, kernel: k, initrd: tree}\noutputs: [{outputs}]\n"
INIT = {"./init": member(data=b"#!/bin/sh\n", mode=0o755)}


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    found = TreeBuild(tmp_path, monkeypatch)
    (tmp_path / "recipes/k").write_bytes(b"kernel")
    return found


def pack(build: TreeBuild, outputs: str = "initramfs", text: str = "") -> None:
    """Run the layers' stages, those of the initrd, and of the outputs."""
    build.tree(text + TREE.replace("{outputs}", outputs))
    recipe = build.recipe(text + TREE.replace("{outputs}", outputs))
    for stage in (*initrd.stages(recipe, build.site), *boot_file_outputs.stages(recipe, build.site)):
        build.run(stage)


def test_the_whole_tree_is_packed(build: TreeBuild) -> None:
    """Everything of all layers is in it, and the system is not declared unless the recipe says so."""
    build.base(INIT, only=True)
    pack(build, text="layers: [files: {/etc/x: {content: x}}, devices: {/dev/null: {node: c 1 3, mode: 0666}}]\n")
    done = subprocess.run(
        ["cpio", "-itvn", "--quiet"], input=gzip.decompress(build.site.initrd.read_bytes()), capture_output=True,
        check=True,
    )  # fmt: skip
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    assert [row[-1] for row in rows] == ["dev", "dev/null", "etc", "etc/x", "init"]
    assert rows[1][:6] == ["crw-rw-rw-", "1", "0", "0", "1,", "3"]


@pytest.mark.parametrize("how", ["none", "gzip", "zstd"])
def test_an_output_is_packed_as_asked(how: str, build: TreeBuild) -> None:
    """All of them hold the same archive, and two runs give the same bytes."""
    build.base(INIT, only=True)
    pack(build, f"initramfs: {{compress: {how}, file: out}}")
    made = build.site.output("out").read_bytes()
    assert boot_formats.initrd(made) == {"none": "cpio"}.get(how, how)
    unpack = {"none": ["cat"], "gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dc"]}[how]
    archive = subprocess.run(unpack, input=made, capture_output=True, check=True).stdout
    assert archive == (build.site.build / "initramfs/tree.cpio").read_bytes()
    pack(build, f"initramfs: {{compress: {how}, file: out}}")
    assert build.site.output("out").read_bytes() == made


def test_several_outputs(build: TreeBuild) -> None:
    """Kernel and initrd, in several forms, each in its own file."""
    build.base(INIT, only=True)
    build.site.kernel.parent.mkdir(parents=True)
    build.site.kernel.write_bytes(b"kernel")
    pack(build, "kernel, initramfs, initramfs: {compress: none, file: x.cpio}")
    assert build.site.output("x.vmlinuz").read_bytes() == b"kernel"
    assert gzip.decompress(build.site.output("x.initramfs").read_bytes()) == build.site.output("x.cpio").read_bytes()


@pytest.mark.parametrize(
    ("init", "what"),
    [
        ({}, "which is not there"),
        ({"./init": member(data=b"x", mode=0o644)}, "which is not executable"),
        ({"./init": member("l", linkname="gone")}, "which is a link to nothing"),
        ({"./init/": member("d")}, "which is no file"),
    ],
)
def test_an_init_that_cannot_start_is_refused(init: dict[str, Member], what: str, build: TreeBuild) -> None:
    """Missing, not executable, dangling or a folder: told before anything boots, with how to make it. W4."""
    build.base(init, only=True)
    with pytest.raises(StageError, match=what) as caught:
        pack(build)
    assert caught.value.hint


@pytest.mark.parametrize("init", [
    {"./init": member("l", linkname="sbin/init"), "./sbin/init": member(data=b"x", mode=0o755)},
    {"./a": member(data=b"x", mode=0o755), "./init": member("h", linkname="a")},
])  # fmt: skip
def test_an_init_may_be_another_name(init: dict[str, Member], build: TreeBuild) -> None:
    """A link to a program is as good as the program."""
    build.base(init, only=True)
    pack(build)
    assert build.site.initrd.exists()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_initrd_of_ones_own_is_copied(pack: Callable[[bytes], bytes], build: TreeBuild) -> None:
    """Whatever Linux unpacks is taken as it is. W7."""
    (build.folder / "recipes/i").write_bytes(pack(cpio()))
    (stage,) = initrd.stages(build.recipe("boot: {initrd: i}\n"), build.site)
    build.run(stage)
    assert build.site.initrd.read_bytes() == pack(cpio())


def test_what_is_no_initrd_is_refused(build: TreeBuild) -> None:
    """A kernel given as the initrd is told at once, by name. V14."""
    for data, what in ((b"MZ a kernel", "is no cpio archive"), (gzip.compress(cpio())[:-9], "is damaged.*cut short")):
        (build.folder / "recipes/i").write_bytes(data)
        (stage,) = initrd.stages(build.recipe("boot: {initrd: i}\n"), build.site)
        with pytest.raises(StageError, match=f"recipes/i cannot be the initrd: it {what}"):
            build.run(stage)


def test_what_the_tree_has_as_initrd_must_be_one(build: TreeBuild) -> None:
    """Half of one, in a tree that is there already, is told by its path."""
    (build.folder / "recipes/tree/boot").mkdir(parents=True)
    recipe = build.recipes.load("source: {directory: tree}\nsystem: none\nboot: {loader: direct}\n")
    for data in (cpio(), cpio()[:-200]):
        build.base({"./boot/initrd.img-6.1": data})
        build.site.kernel_facts.parent.mkdir(parents=True, exist_ok=True)
        build.site.kernel_facts.write_text('{"version": "6.1", "initrd": "boot/initrd.img-6.1"}')
        for layer in layers.stages(recipe, build.site):
            build.run(layer)
        (stage,) = initrd.stages(recipe, build.site)
        if data == cpio():
            build.run(stage)
            assert build.site.initrd.read_bytes() == data
    with pytest.raises(StageError, match=r"/boot/initrd\.img-6\.1 of the tree cannot be the initrd: .* cut short"):
        build.run(stage)


def test_an_access_control_list_is_refused_in_an_initramfs(build: TreeBuild) -> None:
    """Without it a file would be open to others than before: it is refused, by the file's name (A2)."""
    text = "user::rw-,user:7:r--,group::---,mask::rwx,other::---"
    guarded = member(data=b"x")
    guarded.pax_headers["SCHILY.acl.access"] = text
    build.base(INIT | {"./key": guarded}, only=True)
    with pytest.raises(StageError, match="/key has an access control list, which no initramfs can hold"):
        pack(build)


def test_what_no_initramfs_holds_is_said(tmp_path: Path) -> None:
    """A program loses its capabilities in an initramfs, and the build says of which one it is (A2)."""
    capability = b"\x01\0\0\x02\0\x20\0\0" + bytes(12)  # cap_net_raw=ep, as the kernel keeps it
    able = member(data=b"x", mode=0o755, xattrs={"security.capability": capability})
    members = {"./a": able, "./b": copy.copy(able)}
    write_tar(tmp_path / "tree.tar", INIT | members | {"./c": member(data=b"x", xattrs={"user.origin": b"here"})})
    (tmp_path / "linux").write_bytes(tiny_kernel.kernel())
    (tmp_path / "dodo.py").write_text(dodo("box.yaml"))
    boot = "boot: {loader: direct, kernel: linux, initrd: tree}\noutputs: [initramfs]\n"
    (tmp_path / "box.yaml").write_text(f"source: {{tar: tree.tar}}\nsystem: none\n{boot}")
    said = "initramfs/tree: /a and 1 more: without its capabilities, which no initramfs can hold"
    assert said in doit(tmp_path, "image")
    assert said not in doit(tmp_path, "image")
