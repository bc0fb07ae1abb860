"""run-dir, run-tgz: what is made of a tree, how it is started, and what becomes of what its machine wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.command.actions import machines, tree_machines
from bootsmith.tasks.errors import BootsmithError, StageError, UsageError
from bootsmith.tasks.machine.run import Subject
from bootsmith.tasks.writeback import guest_disk

from tests.command.actions.conftest import Calls
from tests.support.kernel_files import bzimage


class GuestDisk:
    """Stands for a guest's disk, and notes what is done with it."""

    pending = False
    fails = False

    def __init__(self, top: Path, folder: Path, _memo: object) -> None:
        self.top, self.folder, self.path = top, folder, folder / "guest.img"

    @contextmanager
    def alone(self) -> Iterator[None]:
        EVENTS.append("alone")
        yield

    def begin(self, _disk: Path, tree: object) -> None:
        EVENTS.append(f"begin {tree}")

    def finish(self, doing: Callable[[str], None]) -> list[str]:
        doing("reading")
        EVENTS.append("finish")
        if self.fails:
            raise StageError("damaged")
        return ["wrote back 1 file"]


EVENTS: list[Any] = []


@pytest.fixture(autouse=True)
def disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine runs, and no disk is written."""
    EVENTS.clear()
    monkeypatch.setattr(guest_disk, "GuestDisk", GuestDisk)
    monkeypatch.setattr(machines, "boot", lambda _request, _machine, *rest: EVENTS.append(rest))
    monkeypatch.setattr(tree_machines, "_packed_from", lambda _: "as it was")
    monkeypatch.setattr(GuestDisk, "pending", False)
    monkeypatch.setattr(GuestDisk, "fails", False)


def test_a_tree_becomes_one_disk(call: Calls) -> None:
    """Its kernel is taken out unless another is named; trees of one name in two folders have two places."""
    (call.top / "other/tree").mkdir(parents=True)
    (call.top / "tree.tar").write_bytes(b"x")
    plans = [
        tree_machines.of_directory(call("run-dir", "tree")),
        tree_machines.of_directory(call("run-dir", "other/tree", kernel="vmlinuz")),
        tree_machines.of_tar(call("run-tgz", "tree.tar")),
    ]
    assert len({plan.build for plan in plans}) == 3
    assert [plan.build.parent for plan in plans] == [call.top / "build/run"] * 3
    first, second, _ = (set(plan.stages[0].outputs.values()) for plan in plans)
    assert len(first) > len(second)
    assert EVENTS == []


@pytest.mark.parametrize(
    ("name", "word", "message"),
    [
        ("run-dir", "vmlinuz", "vmlinuz is not a directory"),
        ("run-dir", "nowhere", "nowhere is not a directory"),
        ("run-dir", ".", "holds the build directory, which changes"),
        ("run-tgz", "tree", "tree is not a file"),
    ],
)
def test_what_is_no_tree_is_refused(call: Calls, name: str, word: str, message: str) -> None:
    """With the command that would take it, where there is one."""
    function = tree_machines.of_directory if name == "run-dir" else tree_machines.of_tar
    with pytest.raises(UsageError, match=message):
        function(call(name, word))


def ready(call: Calls, **options: object) -> Any:
    """Return a call of run-dir whose tree's kernel, and empty initrd, are there."""
    request = call("run-dir", "tree", **options)
    (made,) = tree_machines.of_directory(call("run-dir", "tree")).stages
    for path in made.outputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bzimage() if path.name == "vmlinuz" else b"")
    return request


def test_a_trees_own_kernel_starts_it(call: Calls) -> None:
    """It finds the tree as its root; without an initrd this is said. Words of the user's stand behind."""
    tree_machines.run_tree(ready(call, cmdline="quiet"))
    ((subject, folder),) = EVENTS
    assert isinstance(subject, Subject)
    assert subject.kernel is not None
    assert subject.kernel.cmdline == "root=/dev/vda rw fstab=no console=ttyS0 quiet"
    assert subject.kernel.initrd is None
    assert not subject.writes
    assert folder.parent == call.top / "build/run"
    assert "no initrd: the kernel itself must have the drivers" in call.said


def test_a_kernel_that_is_named_starts_it(call: Calls) -> None:
    """With its initrd."""
    tree_machines.run_tree(ready(call, kernel="vmlinuz", initrd="some.cpio"))
    ((subject, _),) = EVENTS
    assert subject.kernel.image == call.top / "vmlinuz"
    assert subject.kernel.initrd == call.top / "some.cpio"
    assert call.said == ""


def test_an_initrd_that_no_kernel_unpacks_is_refused(call: Calls) -> None:
    """Before the machine starts, by name (W7)."""
    with pytest.raises(BootsmithError, match=r"some\.img cannot be the initrd: it is no cpio archive"):
        tree_machines.run_tree(ready(call, kernel="vmlinuz", initrd="some.img"))


def test_a_machine_that_writes_has_a_disk_of_its_own(call: Calls) -> None:
    """Nobody else writes meanwhile; what the guest changed comes into the directory when it has ended."""
    tree_machines.run_tree(ready(call, write=True))
    first, second, (subject, folder), last = EVENTS
    assert (first, second, last) == ("alone", "begin as it was", "finish")
    assert subject.disk == folder / "write/guest.img"
    assert subject.writes
    assert "written  run-dir --write" in call.said
    assert call.said.endswith("wrote back 1 file\n")


def test_what_cannot_be_written_back_is_said(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command fails with it."""
    monkeypatch.setattr(GuestDisk, "fails", True)
    with pytest.raises(StageError, match="damaged"):
        tree_machines.run_tree(ready(call, write=True))
    assert "failed   run-dir --write" in call.said


def test_what_an_earlier_machine_wrote_comes_first(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the directory is looked at, which is half written; without --write it stops there."""
    monkeypatch.setattr(GuestDisk, "pending", True)
    with pytest.raises(StageError, match="not all of it is in it yet") as refused:
        tree_machines.of_directory(call("run-dir", "tree"))
    assert "`doit run-dir --write` ends it; to give it up: rm -r" in refused.value.hint
    tree_machines.of_directory(call("run-dir", "tree", runs=False))
    assert EVENTS == []
    tree_machines.of_directory(call("run-dir", "tree", write=True))
    assert EVENTS == ["alone", "finish"]
    assert "this comes first" in call.said


@pytest.mark.parametrize("other", ["print", "keep"])
def test_to_write_and_not_to_write_exclude_each_other(call: Calls, other: str) -> None:
    """Neither a command that is only printed nor an overlay that is kept is written into the directory."""
    with pytest.raises(UsageError, match=f"--write and --{other} exclude each other"):
        tree_machines.of_directory(call("run-dir", "tree", write=True, **{other: True}))
