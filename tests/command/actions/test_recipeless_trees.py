"""build-tgz: what tree is taken of what is named, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bootsmith.tasks.command.actions import recipeless_trees
from bootsmith.tasks.errors import BootsmithError

from tests.command.actions.conftest import Calls
from tests.support.container_images import layout, packed
from tests.support.tar_members import write_tar


def names(call: Calls, *words: str, **options: object) -> list[str]:
    """Return the stages of a call."""
    return [stage.name for stage in recipeless_trees.plan(call("build-tgz", *words, **options)).stages]


def test_of_a_directory(call: Calls) -> None:
    """Its own kernel is in it; a tree that nothing is to boot of needs none (A1)."""
    assert names(call, "tree", initrd="none") == ["rootfs", "layers/container", "kernel", "convert/tgz"]
    assert "kernel" not in names(call, "tree", kernel="none")
    assert {"rootfs/status", "rootfs/lock", "layers/kernel", "initramfs"} <= {*names(call, "tree", kernel="install")}
    plan = recipeless_trees.plan(call("build-tgz", "tree", kernel="none"))
    assert [path.name for path in plan.outputs] == ["tree.tgz"]
    assert plan.build.parent == call.top / "build/trees"


def test_of_a_tar_and_an_image(call: Calls, tmp_path: Path) -> None:
    """A container's image is told from a plain tar by what is in it, as a file and as a folder (A15)."""
    files = layout([packed(tmp_path, {"a": b"x"})])
    write_tar(call.top / "image.tar", files)
    write_tar(call.top / "plain.tar", {"manifest.json": json.dumps([]).encode()})
    for path, data in files.items():
        file = call.top / "image" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    runs = {
        name: recipeless_trees.plan(call("build-tgz", name, kernel="none")).stage("rootfs").run.rpartition(".")[2]
        for name in ("image.tar", "image", "plain.tar")
    }
    assert runs == {
        "image.tar": "container_image:take", "image": "container_image:take", "plain.tar": "archive:take",
    }  # fmt: skip


def test_of_a_recipe_that_takes_of_another(call: Calls) -> None:
    """Whose tree it begins with, and whose file it takes."""
    (call.top / "child.yaml").write_text(
        "source: {recipe: box}\nsystem: none\nboot: {kernel: none}\noutputs: [tar]\n"
        "layers: [files: {/k: {from: {recipe: kernel, output: kernel}}}]\n"
    )
    found = [stage.name for stage in recipeless_trees.plan(call("build-tgz", recipe="child")).stages]
    assert {"recipe/box/rootfs", "recipe/kernel/kernel", "convert/tgz"} <= {*found}


def test_of_a_suite(call: Calls) -> None:
    """With something to boot, and what is asked for beside; while nothing is built nothing is resolved."""
    plan = recipeless_trees.plan(call("build-tgz", "trixie", packages="jq, curl", runs=False))
    assert plan.build == call.top / "build/trees/trixie"
    assert plan.stage("rootfs").run == "bootsmith.tasks.packages.bootstrap:run"
    assert {"kernel", "initramfs", "convert/tgz"} <= {stage.name for stage in plan.stages}


def test_of_a_recipe(call: Calls) -> None:
    """Whatever it keeps itself; its disk is not made for it."""
    found = names(call)
    assert found[-1] == "convert/tgz"
    assert "assemble" not in found


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (("no/where",), {}, "does not exist"),
        (("pipe",), {}, "pipe is not a file"),
        ((".",), {}, "holds the build directory"),
        (("tree",), {"output": "tree/x.tgz"}, "lies in, what it is made from"),
        (("tree",), {"packages": "jq"}, "--packages is for a suite"),
        ((), {"packages": "jq"}, "--packages is for a suite"),
        (("tree",), {"kernel": "some.img"}, "cannot be the kernel"),
    ],
)
def test_what_cannot_be_is_refused_first(
    call: Calls, words: tuple[str, ...], options: dict[str, object], message: str
) -> None:
    """Before anything is built."""
    os.mkfifo(call.top / "pipe")
    with pytest.raises(BootsmithError, match=message):
        recipeless_trees.plan(call("build-tgz", *words, **options))
