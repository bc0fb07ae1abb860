"""Images written to files and to devices: every byte of them, whatever was there. C13, C21."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bootsmith.cache.files import sparse
from bootsmith.tasks.disk import device_write, target
from bootsmith.tasks.disk.device_write import Image, Patch
from bootsmith.tasks.errors import StageError

MIB = 1 << 20
OLD = b"\xa5"


def image(folder: Path) -> Path:
    """Return an image of 6 MiB: a table, data, a long hole, data that ends within a block, and a hole at its end."""
    made = folder / "image"
    with made.open("wb") as file:
        file.truncate(6 * MIB)
        os.pwrite(file.fileno(), b"table" * 100, 0)
        os.pwrite(file.fileno(), b"x" * (MIB + 700), MIB + 8192)
        os.pwrite(file.fileno(), b"late" * 9, 5 * MIB)
    return made


def used(folder: Path, size: int) -> Path:
    """Return a disk that was full of something else."""
    made = folder / "disk"
    made.write_bytes(OLD * size)
    return made


def put(made: Path, device: Path, patches: tuple[Patch, ...] = ()) -> list[str]:
    """Write an image; return what was said of its progress."""
    said: list[str] = []
    about = target.look(device, made)
    opened = target.open_alone(about)
    try:
        with made.open("rb") as file:
            device_write.write(Image(file.fileno(), made.stat().st_size, patches), opened, about, said.append)
    finally:
        os.close(opened)
    return said


@contextmanager
def looped(file: Path) -> Iterator[Path]:
    """Make a file a block device. Skip where this host, or this user, has none."""
    done = subprocess.run(["losetup", "--find", "--show", file], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no loop devices here: {done.stderr.strip()}")
    try:
        yield Path(done.stdout.strip())
    finally:
        subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)


def whole(made: Path, disk: bytes, size: int) -> None:
    """Compare a disk with what the image says, and with what is said of the rest."""
    wanted = made.read_bytes()
    assert disk[: len(wanted)] == wanted
    tail = max(len(wanted), size - MIB)
    assert disk[len(wanted) : tail] == OLD * (tail - len(wanted))
    assert disk[tail:] == bytes(size - tail)


@pytest.mark.parametrize("size", [6 * MIB, 6 * MIB + 512, 9 * MIB])
def test_a_file_holds_what_the_image_says(tmp_path: Path, size: int) -> None:
    """Zeros where the image has holes, whatever was there; behind it what was there, but for the last MiB."""
    made, disk = image(tmp_path), used(tmp_path, size)
    put(made, disk)
    whole(made, disk.read_bytes(), size)


def test_a_device_holds_what_the_image_says(tmp_path: Path) -> None:
    """A block device, opened by nobody else, zeroes the holes by itself."""
    made, disk = image(tmp_path), used(tmp_path, 9 * MIB)
    with looped(disk) as device:
        put(made, device)
        whole(made, device.read_bytes(), 9 * MIB)
    whole(made, disk.read_bytes(), 9 * MIB)


def test_a_device_in_use_is_not_opened(tmp_path: Path) -> None:
    """Where only the kernel knows that somebody has it, it says so, and nothing is written."""
    disk = used(tmp_path, MIB)
    with looped(disk) as device:
        about = target.look(device, None)
        holder = os.open(device, os.O_RDONLY | os.O_EXCL)
        try:
            with pytest.raises(Exception, match="is in use, by what only the kernel knows"):
                target.open_alone(about)
        finally:
            os.close(holder)
    assert disk.read_bytes() == OLD * MIB


def test_patches_stand_in_for_what_the_image_has(tmp_path: Path) -> None:
    """At its beginning, across its end, and behind it; they are read back too."""
    made, disk = image(tmp_path), used(tmp_path, 8 * MIB)
    patches = (Patch(3, b"TABLE"), Patch(6 * MIB - 4, b"acrossed"), Patch(8 * MIB - 6, b"backup"))
    put(made, disk, patches)
    wanted = bytearray(made.read_bytes().ljust(7 * MIB, OLD).ljust(8 * MIB, b"\0"))
    for each in patches:
        wanted[each.at : each.at + len(each.data)] = each.data
    assert disk.read_bytes() == wanted


def test_what_is_interrupted_has_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The beginning is blanked first and written last: a half-written disk starts nothing."""
    made, disk = image(tmp_path), used(tmp_path, 8 * MIB)
    writes = sparse.write
    calls = 0

    def stopped(descriptor: int, data: bytes, at: int) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return writes(descriptor, data, at)

    monkeypatch.setattr(sparse, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        put(made, disk)
    assert disk.read_bytes()[:MIB] == bytes(MIB)


def test_a_disk_that_does_not_keep_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is told, with the first byte that is another."""
    made, disk = image(tmp_path), used(tmp_path, 8 * MIB)
    writes = sparse.write

    def damaged(descriptor: int, data: bytes, at: int) -> int:
        return writes(descriptor, data.replace(b"late", b"lose", 1), at)

    monkeypatch.setattr(sparse, "write", damaged)
    with pytest.raises(StageError, match=f"byte {5 * MIB + 1} is another"):
        put(made, disk)


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How much, how fast and how long still, while it is written and while it is read back."""
    seconds = iter(range(10_000))
    monkeypatch.setattr(device_write.time, "monotonic", lambda: float(next(seconds)))
    said = put(image(tmp_path), used(tmp_path, 8 * MIB))
    assert any("written" in each and "/s, " in each and each.endswith("s left") for each in said)
    assert any(each.startswith("6M of 6M read back") for each in said)
