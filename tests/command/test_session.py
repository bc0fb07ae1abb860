"""What a session says to its user by itself."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from bootsmith.tasks.command.invocation import Invocation
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.command.session import Session
from bootsmith.tasks.errors import UsageError

from tests.support.kernel_files import bzimage
from tests.support.project import dodo, doit


@pytest.mark.parametrize(
    ("uid", "caller", "told"),
    [
        (1000, "", ""),
        (0, "", "run as root, which it does not need: what is made here will be root's\n"),
        (
            0,
            "ann",
            "run as root, which it does not need: what is made here will be root's; ann can run it without sudo\n",
        ),
    ],
)
def test_only_root_hears_that_root_is_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, caller: str, told: str
) -> None:
    """And only once (A19)."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setenv("SUDO_USER", caller)
    stream = io.StringIO()
    session = Session(Path("x.yaml"), Invocation("run", {}, (), {}), tmp_path, tmp_path, Progress(stream))
    session.remark_on_root()
    session.remark_on_root()
    assert stream.getvalue() == told


RECIPE = """\
source: {directory: tree}
system: none
boot: {loader: syslinux, kernel: vmlinuz, initrd: none}
outputs: [raw, qcow2]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with two recipes and a dodo.py."""
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "cache"))
    top = tmp_path / "top"
    (top / "tree/sbin").mkdir(parents=True)
    (top / "tree/sbin/init").touch(0o755)
    (top / "vmlinuz").write_bytes(bzimage())
    for name in ("box", "other"):
        (top / f"{name}.yaml").write_text(RECIPE)
    (top / "dodo.py").write_text(dodo("box.yaml"))
    return top


def session(folder: Path, *images: tuple[str | None, dict[str, object]], **variables: str) -> Session:
    """Return a session that was told something of images, and words of the command line."""
    made = Session(Path("box.yaml"), Invocation("run", {}, ("image",), variables), folder, folder, Progress())
    nothing = {"disk_size": None, "output": None, "locked": False, "rebuild": False}
    made.images = [(name, nothing | told) for name, told in images]
    return made


def test_options_of_image_are_overrides(folder: Path) -> None:
    """They make the very plan that the words on the command line do, of the recipe that they stand behind (L2)."""
    told = session(folder, (None, {"disk_size": "3G", "output": "a.img"}))
    worded = session(folder, **{"disk.size": "3G", "outputs.raw.file": "a.img"})
    assert told.builder().plan == worded.builder().plan
    assert told.recipe().disk.size == 3 << 30
    assert told.builder("other").plan.outputs == session(folder).builder("other").plan.outputs
    assert [each.name for each in told.builder().plan.outputs] == ["a.img", "box.qcow2"]
    again = session(folder, (None, {"disk_size": "4G"}))
    assert (again.recipe().disk.size, again.locked) == (4 << 30, False), "a remembered plan is that of the same options"
    assert session(folder, ("other", {"locked": True})).locked


@pytest.mark.parametrize(
    ("images", "variables", "said"),
    [
        ([(None, {"disk_size": "3G"})], {"disk.size": "4G"}, "--disk-size 3G, and disk.size=4G"),
        ([(None, {"output": "a"}), ("box", {"output": "b"})], {}, "--output b, and output=a"),
    ],
)
def test_one_thing_is_said_once(
    folder: Path, images: list[tuple[str | None, dict[str, object]]], variables: dict[str, str], said: str
) -> None:
    """Of two sizes none is silently ignored."""
    with pytest.raises(UsageError, match=said):
        session(folder, *images, **variables).recipe()


def test_image_takes_its_options_from_the_command_line(folder: Path) -> None:
    """A size that is none names what was wrong, and no file is made (L2, V16)."""
    said = doit(folder, "image", "--disk-size", "64", status=3)
    assert "disk.size: 64 has no unit; did you mean 64G?" in said
    assert "--disk-siez not recognized" in doit(folder, "image", "--disk-siez=64G", status=3)
    assert not (folder / "build").exists()
