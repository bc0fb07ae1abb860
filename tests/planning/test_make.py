"""The plan of a recipe: which stages it has, and which of their files are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.build import evidence
from bootsmith.tasks.build.plan import Plan
from bootsmith.tasks.packages import lockfile
from bootsmith.tasks.planning import make
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.recipe.load import load

TREE = "source: {directory: tree}\nsystem: none\n"
KERNEL = "kernel: k, initrd: tree"


def planned(folder: Path, text: str) -> Plan:
    """Return the plan of a recipe in a folder with a tree and two kernels."""
    (folder / "tree").mkdir()
    (folder / "tree/init").write_text("#!/bin/sh\n")
    (folder / "tree/init").chmod(0o755)
    for name in ("k", "mine"):
        (folder / name).write_bytes(b"")
    (folder / "x.yaml").write_text(TREE + text)
    return make.plan(load(folder / "x.yaml"), Site("x", folder / "build/x", folder / "x.lock", 1))


def test_what_boots_without_a_disk_is_made(tmp_path: Path) -> None:
    """Where there is no disk to hold them, an entry's own kernel and initrd are among what an image is."""
    entries = "entries: {all: {}, own: {kernel: mine, initrd: tree}}"
    plan = planned(tmp_path, f"boot: {{loader: direct, {KERNEL}, {entries}}}\noutputs: [kernel]\n")
    names = [str(path.relative_to(tmp_path / "build/x")) for path in plan.outputs]
    assert names == ["x.vmlinuz", "entries/own/vmlinuz"]
    assert {"kernel", "kernel/own"} <= {stage.name for stage in plan.needed()}


@pytest.mark.parametrize(
    ("boot", "has_disk"), [(f"{{loader: syslinux, {KERNEL}}}", True), (f"{{loader: direct, {KERNEL}}}", False)]
)
def test_only_a_disk_has_stages_of_one(tmp_path: Path, boot: str, has_disk: bool) -> None:
    """A recipe without a disk is planned without table, filesystems and loader; every stage comes after its inputs'."""
    plan = planned(tmp_path, f"boot: {boot}\noutputs: [{'raw' if has_disk else 'kernel'}]\n")
    of_disk = {"partition", "bootloader", "assemble"}
    assert of_disk.intersection(stage.name for stage in plan.stages) == (of_disk if has_disk else set())
    assert (plan.aliases["raw"] == ("assemble",)) is has_disk
    made: set[Path] = set()
    every = {path for stage in plan.stages for path in stage.outputs.values()}
    for stage in plan.stages:
        assert every.intersection(stage.inputs.values()) <= made
        made.update(stage.outputs.values())


def test_a_changed_lock_is_told_by_its_packages(tmp_path: Path) -> None:
    """Every stage that takes its packages from the lock file says who can read them there."""
    text = "source: {debian: {suite: trixie}}\nboot: {kernel: {package: linux-image, path: /boot/k}, initrd: none}\n"
    (tmp_path / "x.yaml").write_text(text)
    plan = make.plan(load(tmp_path / "x.yaml"), Site("x", tmp_path / "build/x", tmp_path / "x.lock", 1))
    bash = lockfile.Package("bash", "5.2", "amd64", "main", True, 1, "0" * 64, "bash.deb")
    lockfile.write(plan.lock, lockfile.LockFile({}, 0, (bash,)))
    told = {stage.name: evidence.of_inputs(stage, {}) for stage in plan.stages if plan.lock in stage.inputs.values()}
    assert {*told} == {"rootfs", "files/linux-image"}
    assert all(each == {"lock": {"packages": {"bash amd64": "5.2"}}} for each in told.values())
