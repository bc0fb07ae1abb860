"""What a guest writes beside its image: over the image it was made of, or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.machine import overlay
from bootsmith.tasks.machine.firmware import Firmware


@pytest.fixture(name="disk")
def fixture_disk(tmp_path: Path) -> Path:
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"image".ljust(1 << 20))
    return disk


@pytest.fixture(name="kept")
def fixture_kept(disk: Path, tmp_path: Path) -> Callable[[], Path]:
    """What keeps a guest's writes in a folder that is not there yet; it returns where."""
    (tmp_path / "VARS.fd").write_bytes(b"template")
    firmware = Firmware(tmp_path / "CODE.fd", tmp_path / "VARS.fd")

    def kept() -> Path:
        over, own = overlay.kept(disk, "raw", firmware, tmp_path / "below/run")
        assert own
        assert own.variables == over.with_name("run.vars.fd")
        assert own.code == firmware.code
        return over

    return kept


def test_what_was_written_is_found_again(kept: Callable[[], Path]) -> None:
    """The next machine goes on with the overlay and the variables that the last one left."""
    over = kept()
    note, content = json.loads(over.with_name("run.json").read_text()), over.read_bytes()
    assert note["image"] == str(over.parents[2] / "disk.img")
    over.write_bytes(content + b"written")
    over.with_name("run.vars.fd").write_bytes(b"written")
    assert kept() == over
    assert over.read_bytes() == content + b"written"
    assert over.with_name("run.vars.fd").read_bytes() == b"written"


@pytest.mark.parametrize("note", [None, b"", b"{", b"\xff\xfe", b"null", b"[]", b'{"image": "/other"}'])
def test_an_overlay_without_its_note_is_not_trusted(kept: Callable[[], Path], note: bytes | None) -> None:
    """An overlay of which nobody knows the image, the note gone or damaged, is refused, saying what to remove."""
    over = kept()
    over.with_name("run.json").unlink()
    if note is not None:
        over.with_name("run.json").write_bytes(note)
    before = over.read_bytes()
    with pytest.raises(BootsmithError, match=f"Remove it to start afresh: rm {over}"):
        kept()
    assert over.read_bytes() == before


def test_an_image_as_large_and_as_old_is_another(kept: Callable[[], Path], disk: Path) -> None:
    """Another file in the image's place is noticed although it looks the same."""
    kept()
    times = disk.stat().st_atime_ns, disk.stat().st_mtime_ns
    other = disk.with_name("other")
    other.write_bytes(disk.read_bytes())
    os.utime(other, ns=times)
    other.replace(disk)
    with pytest.raises(BootsmithError, match=r"holds what a guest wrote over an earlier disk\.img"):
        kept()


def test_variables_go_with_their_overlay(kept: Callable[[], Path]) -> None:
    """Who removes the overlay to start afresh gets fresh variables, too."""
    over = kept()
    over.with_name("run.vars.fd").write_bytes(b"of an earlier life")
    over.unlink()
    kept()
    assert over.with_name("run.vars.fd").read_bytes() == b"template"


def test_without_firmware_the_disk_alone_is_kept(disk: Path, tmp_path: Path) -> None:
    """A machine without firmware has no variables."""
    over, own = overlay.kept(disk, "raw", None, tmp_path / "run")
    assert own is None
    assert sorted(path.name for path in over.parent.iterdir()) == ["run.json", "run.qcow2"]


def test_two_machines_do_not_write_at_once(tmp_path: Path) -> None:
    """The second is refused with the reason, and may have its turn when the first has ended."""
    refused = pytest.raises(BootsmithError, match="another machine keeps its writes in")
    with overlay.alone(tmp_path), refused, overlay.alone(tmp_path):
        pass
    with overlay.alone(tmp_path):
        pass
