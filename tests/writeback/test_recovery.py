"""A filesystem as its guest left it: taken as it is, brought to rest on a copy, or not believed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.disk.ext.files import Files
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.writeback import recovery

from tests.support.guest_disks import debugfs, sparse_copy

TORN = ("feature needs_recovery", "ssv state 0")
"""What is left of a machine that was switched off."""


@pytest.fixture(name="template", scope="module")
def fixture_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small filesystem with a journal."""
    scratch = tmp_path_factory.mktemp("template")
    (scratch / "top/etc").mkdir(parents=True)
    (scratch / "top/etc/motd").write_text("hello\n")
    image = scratch / "disk.img"
    argv = ["mke2fs", "-q", "-t", "ext4", "-b", "1024", "-J", "size=1", "-d", scratch / "top", image, "8M"]
    subprocess.run(argv, check=True)
    return image


@pytest.fixture(name="image")
def fixture_image(template: Path, tmp_path: Path) -> Path:
    """That disk, one's own."""
    return sparse_copy(template, tmp_path / "guest.img")


def test_what_was_unmounted_is_taken_as_it_is(image: Path, tmp_path: Path) -> None:
    """A guest that took leave needs no copy, and its disk is not written to."""
    before = image.read_bytes(), image.stat().st_mtime_ns
    assert recovery.at_rest(image, tmp_path / "copy") == image
    assert (image.read_bytes(), image.stat().st_mtime_ns) == before
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("torn", [TORN, TORN[1:], ("ssv last_orphan 13",)])
def test_what_was_not_is_recovered_on_a_copy(image: Path, tmp_path: Path, torn: tuple[str, ...]) -> None:
    """The copy can be read, in the place of whatever an earlier run left there; the guest's own disk stays."""
    debugfs(image, "write /dev/null new", *torn)
    before, copy = image.read_bytes(), tmp_path / "copy"
    copy.write_text("left of an earlier run")
    assert recovery.at_rest(image, copy) == copy
    assert image.read_bytes() == before
    with Files(copy) as files:
        assert {b"etc/motd", b"new"} <= set(files.tree())


def test_what_takes_too_much_is_given_up(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """e2fsck has bounds of memory and time: a disk that it does not come to an end with is refused in words."""
    monkeypatch.setattr(recovery, "_MEMORY", 2 << 20)
    with pytest.raises(StageError, match="e2fsck"):
        recovery.at_rest(image, tmp_path / "copy")
    monkeypatch.undo()
    endless = tmp_path / "bin/e2fsck"
    endless.parent.mkdir()
    endless.write_text("#!/bin/sh\nwhile :; do :; done\n")
    endless.chmod(0o755)
    monkeypatch.setattr(recovery, "_SECONDS", 1)
    monkeypatch.setattr(recovery.host, "find", lambda _: endless)
    with pytest.raises(StageError, match="e2fsck did not come to an end with what the guest left"):
        recovery.at_rest(image, tmp_path / "copy")


@pytest.mark.parametrize("damage", ["clri /etc", "sif etc/motd links_count 9", "sif /etc mode 0100644"])
@pytest.mark.parametrize("torn", [TORN, ()])
def test_damage_is_not_mended(image: Path, tmp_path: Path, damage: str, torn: tuple[str, ...]) -> None:
    """Of a guest that was switched off or took leave: what e2fsck could only mend by loss is refused, in its words."""
    debugfs(image, damage, *torn)
    before = image.read_bytes()
    with pytest.raises(StageError, match=r"the guest left a damaged filesystem; e2fsck says of .*\n  .") as raised:
        recovery.at_rest(image, tmp_path / "copy")
    assert "e2fsck -fn " in raised.value.hint
    assert image.read_bytes() == before


@pytest.mark.parametrize("label", ["x: ", "recovering journ", "1 files (2), 3 b", "a: 9 files (9), "])
def test_a_label_makes_nothing_harmless(image: Path, tmp_path: Path, label: str) -> None:
    """The guest's own name for its filesystem stands before all that e2fsck says, and changes nothing of it."""
    debugfs(image, f'ssv volume_name "{label}"', "sif etc/motd links_count 9", *TORN)
    with pytest.raises(StageError, match="damaged filesystem"):
        recovery.at_rest(image, tmp_path / "copy")


@pytest.mark.parametrize("name", ["a: b", "a:b", "a (b), c"])
def test_a_folder_s_name_is_no_message(template: Path, tmp_path: Path, name: str) -> None:
    """Where the disk lies has no say in whether it can be recovered."""
    folder = tmp_path / name
    folder.mkdir()
    image = sparse_copy(template, folder / "guest.img")
    debugfs(image, *TORN)
    assert recovery.at_rest(image, folder / "copy.img") == folder / "copy.img"


def test_what_e2fsck_says_cannot_speak_to_the_terminal(image: Path, tmp_path: Path) -> None:
    """Escape sequences in a label are not handed on."""
    debugfs(image, "ssv volume_name \x1b[2J", "sif etc/motd links_count 9", *TORN)
    with pytest.raises(StageError) as raised:
        recovery.at_rest(image, tmp_path / "copy")
    assert "\x1b" not in raised.value.message
    assert "links" in raised.value.message or "ref count" in raised.value.message


@pytest.mark.parametrize("size", [0, 1000, 1 << 20])
def test_what_is_no_filesystem(tmp_path: Path, size: int) -> None:
    """A disk that the guest emptied or cut short is refused, not taken for an empty tree."""
    image = tmp_path / "guest.img"
    image.write_bytes(bytes(size))
    with pytest.raises(StageError, match="damaged filesystem"):
        recovery.at_rest(image, tmp_path / "copy")
