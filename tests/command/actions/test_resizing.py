"""resize: images made larger and smaller, what is in them whole; what cannot be is refused, the image as it was."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.command.actions import resizing
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.errors import BootsmithError, UsageError

from tests.command.actions.conftest import Calls
from tests.support import other_process, record_locks

MIB = 1 << 20
GPT = "label: gpt\nunit: sectors\n1: start=18432, size=40960, type=L\n14: start=2048, size=8192, type=U\n"
MBR = "label: dos\nstart=2048, size=8192, type=c, bootable\nstart=18432, size=40960, type=83\n"
START, PART = 9 * MIB, 20 * MIB


def ext(file: Path, folder: Path, start: int, size: int) -> None:
    """Put an ext4 that holds a file of 3 MiB into a place of a file."""
    folder.mkdir()
    (folder / "hello").write_bytes(b"hello\n" * (MIB // 2))
    words = ["mke2fs", "-q", "-t", "ext4", "-E", f"offset={start}", "-d", folder, file, f"{size >> 10}K"]
    subprocess.run(words, check=True)


@pytest.fixture(params=["gpt", "mbr", "bare"])
def image(call: Calls, request: pytest.FixtureRequest) -> Path:
    """An image of 32 MiB: an ext4 of 20 MiB with a file, in the last partition or alone."""
    made = call.top / "image.raw"
    with made.open("wb") as file:
        file.truncate(32 * MIB)
    if request.param != "bare":
        subprocess.run(["sfdisk", "-q", made], input=GPT if request.param == "gpt" else MBR, text=True, check=True)
    bare = request.param == "bare"
    ext(made, call.top / "files", 0 if bare else START, 32 * MIB if bare else PART)
    return made


def as_format(image: Path, form: str, *words: str) -> Path:
    """Return the image in another format, or itself."""
    if form == "raw":
        return image
    made = image.with_suffix(f".{form}")
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, *words, image, made], check=True)
    return made


def raw(image: Path) -> Path:
    """Return the raw disk that an image is."""
    if image.suffix == ".raw":
        return image
    made = image.with_suffix(".unpacked")
    subprocess.run(["qemu-img", "convert", "-f", image.suffix[1:], "-O", "raw", image, made], check=True)
    return made


def check(disk: Path, size: int) -> int:
    """Judge a disk by sfdisk and e2fsck, its size too; return how many bytes its ext4 has, whose file is whole."""
    assert disk.stat().st_size == size
    told = subprocess.run(["sfdisk", "-J", disk], capture_output=True, text=True, check=False)
    place = str(disk)
    if not told.returncode:
        table = json.loads(told.stdout)["partitiontable"]
        assert not told.stderr, "a table that needs no mending"
        subprocess.run(["sfdisk", "-q", "--verify", disk], check=True, capture_output=True)
        last = max(table["partitions"], key=lambda each: each["start"])
        assert last["start"] * 512 == START
        assert last["node"].endswith("1" if table["label"] == "gpt" else "2"), "numbers stay"
        place = f"{disk}?offset={START}"
    subprocess.run(["e2fsck", "-fn", place], check=True, capture_output=True)
    head = subprocess.run(["dumpe2fs", "-h", place], check=True, capture_output=True, text=True).stdout
    fields = dict(line.split(":", 1) for line in head.splitlines() if ":" in line)
    said = subprocess.run(["debugfs", "-R", "cat /hello", place], check=True, capture_output=True, text=True).stdout
    assert said == "hello\n" * (MIB // 2)
    filesystem = int(fields["Block count"]) * int(fields["Block size"])
    if not told.returncode:
        assert last["size"] * 512 == filesystem
    return filesystem


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_an_image_grows_and_shrinks(call: Calls, image: Path, form: str) -> None:
    """Disk, last partition and filesystem, a file in it whole; a GPT's backup stands at the new end (W3, W15)."""
    bare = not subprocess.run(["sfdisk", "-d", image], capture_output=True, check=False).stdout
    file = as_format(image, form)
    file.chmod(0o600)
    resizing.resize(call("resize", file.name, "64M"))
    grown = check(raw(file), 64 * MIB)
    assert grown > 53 * MIB
    assert grown == 64 * MIB or not bare
    resizing.resize(call("resize", file.name, "24M"))
    assert check(raw(file), 24 * MIB) <= 24 * MIB
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_uid == image.stat().st_uid
    assert "its filesystem (ext4) fills it" in call.said
    assert not list(call.top.glob(".bootsmith-*"))


@pytest.mark.parametrize("image", ["gpt"], indirect=True)
def test_a_qcow2_stays_as_it_is_laid_out(call: Calls, image: Path) -> None:
    """Cluster, version and packing are those it had (W3)."""
    words = ("-c", "-o", "cluster_size=128K,compression_type=zstd")
    file = as_format(image, "qcow2", *words)
    resizing.resize(call("resize", file.name, "64M"))
    told = subprocess.run(["qemu-img", "info", "--output=json", file], capture_output=True, check=True)
    info = json.loads(told.stdout)
    assert info["virtual-size"] == 64 * MIB
    assert info["cluster-size"] == 128 << 10
    assert info["format-specific"]["data"]["compression-type"] == "zstd"
    checked = subprocess.run(["qemu-img", "check", "--output=json", file], capture_output=True, check=True)
    assert json.loads(checked.stdout)["compressed-clusters"] > 0


@pytest.mark.parametrize("image", ["bare"], indirect=True)
@pytest.mark.parametrize(
    ("options", "lost"),
    [
        ("extended_l2=on,cluster_size=128K", "extended_l2=on"),
        ("refcount_bits=64", "refcount_bits=64"),
        ("extended_l2=on,refcount_bits=1", "extended_l2=on, refcount_bits=1"),
        ("compat=0.10", ""),
        ("compat=1.1", ""),
    ],
)
def test_what_a_qcow2_does_not_keep_is_told(call: Calls, image: Path, options: str, lost: str) -> None:
    """What images made here never have; of others nothing is said (W3)."""
    file = as_format(image, "qcow2", "-o", options)
    resizing.resize(call("resize", file.name, "64M"))
    assert f"not kept: {lost}\n" in call.said if lost else "not kept" not in call.said


@pytest.mark.parametrize("image", ["gpt"], indirect=True)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("image.raw", "11M"), "partition 1 cannot become 1M: what its filesystem holds needs"),
        (("image.raw", "9M"), "only the last partition can become smaller"),
        (("image.raw", "64"), "64 has no unit"),
        (("image.raw", "99999999999999T"), "99999999999999T: no file can be that large"),
        (("image.raw",), "takes an image and a size"),
        (("nowhere.raw", "64M"), "does not exist"),
        (("some.img", "64M"), "neither a table of partitions nor a filesystem"),
        (("image.vdi", "64M"), "only raw and qcow2 images are resized"),
        (("snap.qcow2", "64M"), "keeps 1 snapshots"),
        (("bits.qcow2", "64M"), "keeps 2 bitmaps"),
        (("sealed.qcow2", "64M"), "is encrypted"),
        (("build/box/box.raw", "64M"), "is what a recipe makes"),
    ],
)
def test_what_cannot_be_resized(call: Calls, image: Path, words: tuple[str, ...], message: str) -> None:
    """Below what is in it, no size, no image, one of another kind: said, with what to do; the image stays (W3)."""
    as_format(image, "vdi")
    snap = as_format(image, "qcow2").rename(call.top / "snap.qcow2")
    subprocess.run(["qemu-img", "snapshot", "-c", "first", snap], check=True)
    bits = as_format(image, "qcow2").rename(call.top / "bits.qcow2")
    for name in ("monday", "tuesday"):
        subprocess.run(["qemu-img", "bitmap", "--add", bits, name], check=True)
    sealed = bytearray(snap.read_bytes())
    sealed[35] = 2  # crypt_method: LUKS
    (call.top / "sealed.qcow2").write_bytes(sealed)
    (call.top / "build/box").mkdir(parents=True)
    (call.top / "build/box/box.raw").write_bytes(b"x" * 512)
    before = image.read_bytes()
    with pytest.raises(BootsmithError, match=message) as refused:
        resizing.resize(call("resize", *words))
    assert refused.value.hint
    assert image.read_bytes() == before
    assert not list(call.top.glob(".bootsmith-*"))


def test_what_is_no_ext_is_not_made_smaller(call: Calls) -> None:
    """A FAT at the end stays, and grows from within; room behind the last partition goes (W3)."""
    image = call.top / "fat.raw"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["sfdisk", "-q", image], input="label: gpt\nsize=40M, type=U\n", text=True, check=True)
    part = call.top / "fat"
    with part.open("wb") as file:
        file.truncate(40 * MIB)
    subprocess.run(["mkfs.vfat", part], check=True, capture_output=True)
    with image.open("r+b") as file:
        os.pwrite(file.fileno(), part.read_bytes(), MIB)
    resizing.resize(call("resize", "fat.raw", "48M"))
    assert image.stat().st_size == 48 * MIB
    assert image.read_bytes()[MIB : 41 * MIB] == part.read_bytes()
    with pytest.raises(BootsmithError, match="holds FAT16, which cannot be made smaller"):
        resizing.resize(call("resize", "fat.raw", "30M"))
    resizing.resize(call("resize", "fat.raw", "80M"))
    assert "what is in it (FAT16) is as large as it was" in call.said


@pytest.mark.parametrize("image", ["mbr"], indirect=True)
def test_a_size_that_is_there_changes_nothing(call: Calls, image: Path) -> None:
    """Not a byte, nor its time."""
    before = image.stat()
    resizing.resize(call("resize", "image.raw", "32M"))
    assert image.stat() == before
    assert "is that large already" in call.said


@pytest.mark.parametrize("image", ["bare"], indirect=True)
@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_an_image_that_another_program_has_open_is_refused(call: Calls, image: Path, form: str) -> None:
    """What QEMU, libvirt or qemu-nbd writes next would be lost: before all, and where they came meanwhile."""
    file = as_format(image, form)
    before = file.read_bytes()
    with record_locks.held(file), pytest.raises(UsageError, match=f"another program uses .*{file.name}"):
        resizing.resize(call("resize", file.name, "64M"))
    assert file.read_bytes() == before


@pytest.mark.parametrize("image", ["bare"], indirect=True)
def test_who_opens_an_image_meanwhile_keeps_it(call: Calls, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at once more before it is replaced."""
    real = resizing._take_after
    with contextlib.ExitStack() as stack:

        def opened(old: Path, made: Path) -> None:
            stack.enter_context(record_locks.held(old, 201))
            real(old, made)

        monkeypatch.setattr(resizing, "_take_after", opened)
        with pytest.raises(UsageError, match="another program uses"):
            resizing.resize(call("resize", "image.raw", "64M"))
    assert image.stat().st_size == 32 * MIB


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "rb")
fcntl.flock(file, fcntl.LOCK_SH)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("image", ["bare"], indirect=True)
def test_our_own_machines_are_waited_for(call: Calls, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who runs or reads the image shares its lock; it is said who, and the image stays until that has ended."""
    process = other_process.start(HOLD, image)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    tell, sizes = Progress.tell, []

    def told(progress: Progress, text: str) -> None:
        tell(progress, text)
        if text.startswith("waiting for "):
            sizes.append(image.stat().st_size)
            other_process.finish(process)

    monkeypatch.setattr(Progress, "tell", told)
    resizing.resize(call("resize", "image.raw", "64M"))
    assert sizes == [32 * MIB]
    assert image.stat().st_size == 64 * MIB
    assert "which uses" in call.said
