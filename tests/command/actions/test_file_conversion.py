"""convert-file: any image in any other format, by the guide's letters; what cannot be is refused in their words."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.command.actions import file_conversion
from bootsmith.tasks.command.selection import BY_NAME
from bootsmith.tasks.disk.image_format import identify
from bootsmith.tasks.errors import BootsmithError, StageError, ToolFailed, UsageError

from tests.command.actions.conftest import Calls
from tests.support import image_readers
from tests.support.printing_disks import encrypted

MIB = 1 << 20


@pytest.fixture
def disk(call: Calls) -> Path:
    """A raw disk of 5 MiB and a sector, with noise at both ends."""
    path = call.top / "in.raw"
    with path.open("wb") as file:
        file.write(random.Random(1).randbytes(70_000))
        file.seek(5 * MIB)
        file.write(random.Random(2).randbytes(512))
    return path


def convert(call: Calls, source: str, target: str, **options: object) -> None:
    """Call the command with these options, as the command line gives them."""
    file_conversion.convert_file(call("convert-file", input=source, output=target, **options))


def info(image: Path, form: str) -> dict[str, Any]:
    """Return what qemu-img says of an image."""
    printed = subprocess.run(["qemu-img", "info", "--output=json", "-f", form, image], capture_output=True, check=True)
    found: dict[str, Any] = json.loads(printed.stdout)
    return found


FORMATS = {"a.qcow2": "qcow2", "a.vhd": "vpc", "a.vhdx": "vhdx", "a.vdi": "vdi", "a.vmdk": "vmdk", "a.img": "raw"}


def test_every_format_becomes_every_other(call: Calls, disk: Path) -> None:
    """In a chain through all of them, each read as what it is, the disk stays the same to the last sector (L15)."""
    before = "in.raw"
    for _ in range(2):
        for name, form in FORMATS.items():
            convert(call, before, name)
            assert identify(call.top / name) == form
            subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", form, disk, call.top / name], check=True)
            before = name
    assert (call.top / "a.img").read_bytes() == disk.read_bytes()
    assert (call.top / "a.img").stat().st_blocks * 512 < 200_000
    assert sorted(each.name for each in call.top.iterdir() if each.name.startswith((".", "a."))) == sorted(FORMATS)
    assert "a.qcow2" in call.said


def test_the_same_image_is_the_same_bytes(call: Calls, disk: Path) -> None:
    """Whatever the time, and whatever format the disk comes from."""
    convert(call, "in.raw", "a.vdi")
    first = (call.top / "a.vdi").read_bytes()
    convert(call, "a.vdi", "b.qcow2")
    (call.top / "a.vdi").unlink()
    convert(call, "b.qcow2", "a.vdi")
    assert (call.top / "a.vdi").read_bytes() == first
    assert disk.exists()


@pytest.mark.parametrize(
    ("options", "compat", "cluster", "lazy"),
    [
        ({}, "1.1", 65536, True),
        ({"compress": "zlib", "cluster": "2M"}, "1.1", 2 * MIB, True),
        ({"prealloc": "full", "no_lazy_refcounts": True}, "1.1", 65536, False),
        ({"compat": "0.10"}, "0.10", 65536, None),
    ],
)
def test_the_letters_of_qcow2(
    call: Calls, disk: Path, options: Mapping[str, object], compat: str, cluster: int, lazy: bool | None
) -> None:
    """-c, -p, -s, --compat and --no-lazy-refcounts say what the recipe's keys do (L15)."""
    convert(call, disk.name, "a.qcow2", **options)
    found = info(call.top / "a.qcow2", "qcow2")
    data = found["format-specific"]["data"]
    assert (data["compat"], found["cluster-size"], data.get("lazy-refcounts")) == (compat, cluster, lazy)
    if options.get("prealloc") == "full":
        assert (call.top / "a.qcow2").stat().st_blocks * 512 >= disk.stat().st_size


def test_short_letters_are_the_guides() -> None:
    """-i, -o, -c, -p and -s (L15)."""
    letters = {each["short"]: each["long"] for each in BY_NAME["convert-file"].params if each["short"]}
    assert letters == {"i": "input", "o": "output", "c": "compress", "p": "prealloc", "s": "cluster"}


def test_forms_of_a_format(call: Calls, disk: Path) -> None:
    """Fixed, packed, flat, with the disk beside its text; Azure's by --to, of whole MiB."""
    convert(call, "in.raw", "f.vhd", subformat="fixed")
    assert image_readers.vhd_footer(call.top / "f.vhd").kind == 2
    convert(call, "in.raw", "s.vmdk", compress="zlib")
    assert image_readers.vmdk_text(call.top / "s.vmdk")["createType"] == "streamOptimized"
    convert(call, "in.raw", "m.vmdk", subformat="monolithicFlat")
    assert (call.top / "m-flat.vmdk").read_bytes() == disk.read_bytes()
    with disk.open("r+b") as file:
        file.truncate(6 * MIB)
    convert(call, "in.raw", "z.vhd", to="azure")
    assert image_readers.vhd_footer(call.top / "z.vhd").size == 6 * MIB


@pytest.mark.parametrize(("name", "unpack"), [("a.raw.gz", "gunzip"), ("a.img.xz", "unxz"), ("a.zst", "unzstd")])
def test_packed_disks(call: Calls, disk: Path, name: str, unpack: str) -> None:
    """By the ending; with the map beside it."""
    convert(call, "in.raw", name)
    with (call.top / name).open("rb") as packed:
        assert subprocess.run([unpack, "-c"], stdin=packed, capture_output=True, check=True).stdout == disk.read_bytes()
    assert image_readers.block_map(call.top / f"{name}.bmap").size == disk.stat().st_size


@pytest.mark.parametrize("pack", ["gzip", "xz", "zstd"])
def test_a_packed_image_is_unpacked_first(call: Calls, disk: Path, pack: str) -> None:
    """A raw disk or any other image, of one member or of several; holes come back."""
    convert(call, "in.raw", "a.qcow2", compress="none")
    for name in ("in.raw", "a.qcow2"):
        with (call.top / "packed").open("wb") as target:
            content, middle = (call.top / name).read_bytes(), 100_000
            for half in (content[:middle], content[middle:]):
                target.write(subprocess.run([pack, "-c"], input=half, capture_output=True, check=True).stdout)
        convert(call, "packed", "b.img")
        assert (call.top / "b.img").read_bytes() == disk.read_bytes()
        assert (call.top / "b.img").stat().st_blocks * 512 < 200_000


def test_a_name_may_have_blanks(call: Calls, disk: Path) -> None:
    """As files of one's own do; so does that of the disk beside a text."""
    convert(call, disk.name, "my disk.vmdk", subformat="monolithicFlat")
    assert image_readers.vmdk_text(call.top / "my disk.vmdk")["extent"].endswith('FLAT "my disk-flat.vmdk" 0')
    assert (call.top / "my disk-flat.vmdk").read_bytes() == disk.read_bytes()


def test_an_encrypted_image_is_opened_by_its_passphrase(call: Calls, disk: Path) -> None:
    """What comes out is in clear."""
    encrypted(disk, call.top / "locked.qcow2", "open sesame")
    (call.top / "key").write_text("open sesame")
    with pytest.raises(BootsmithError, match="is encrypted"):
        convert(call, "locked.qcow2", "a.vdi")
    convert(call, "locked.qcow2", "a.vdi", passphrase="file:key")
    subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "vdi", disk, call.top / "a.vdi"], check=True)


def test_other_files_are_read_only_when_asked(call: Calls, disk: Path) -> None:
    """An image's backing file is whatever file its maker named: --follow says that one trusts it."""
    made = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", disk, "-F", "raw", call.top / "over.qcow2"]
    subprocess.run(made, check=True)
    with pytest.raises(BootsmithError, match="refers to a backing file"):
        convert(call, "over.qcow2", "a.img")
    assert not (call.top / "a.img").exists()
    convert(call, "over.qcow2", "a.img", follow=True)
    assert (call.top / "a.img").read_bytes() == disk.read_bytes()


def test_a_disk_that_begins_like_an_image_can_be_said_to_be_raw(call: Calls, disk: Path) -> None:
    """--from raw takes the bytes as they are: a guest may have written any header."""
    with disk.open("r+b") as file:
        file.write(b"QFI\xfb" + (3).to_bytes(4, "big"))
    convert(call, "in.raw", "a.vdi", **{"from": "raw"})
    subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "vdi", disk, call.top / "a.vdi"], check=True)


@pytest.mark.parametrize(
    ("source", "target", "options", "message"),
    [
        ("", "a.vdi", {}, "no image is named"),
        ("in.raw", "", {}, "no file is named to be written"),
        ("nothing", "a.vdi", {}, "nothing does not exist"),
        ("in.raw", "a.foo", {}, r"what a\.foo is to be cannot be told by its name\n  Say --to, or end it in \.raw"),
        ("in.raw", "a.vdi", {"to": "vhs"}, "--to vhs: there is no such format\n  Known here: raw, qcow2"),
        ("in.raw", "a.vdi", {"from": "qcow2"}, "is not qcow2 but raw"),
        ("in.raw", "no/a.vdi", {}, "there is no such directory"),
        ("in.raw", "in.raw", {}, "in.raw is the image itself"),
        ("in.raw", "a.vdi", {"cluster": "64K"}, "^--cluster: unknown key; known here: file, size, subformat"),
        ("in.raw", "a.qcow2", {"cluster": "3K"}, "^--cluster: 3K cannot be a cluster; write a power of two"),
        ("in.raw", "a.qcow2", {"cluster": "64"}, "^--cluster: 64 has no unit; did you mean 64K?"),
        ("in.raw", "a.qcow2", {"compress": "xz"}, "^--compress: 'xz' is not a choice; known here: none, zlib, zstd"),
        ("in.raw", "a.qcow2", {"compress": "zstd", "prealloc": "full"}, "^--prealloc: clusters packed by zstd cannot"),
        ("in.raw", "a.qcow2", {"compat": "0.10", "compress": "zstd"}, "^--compress: compat 0.10 knows no zstd"),
        ("in.raw", "a.vmdk", {"compress": "zstd"}, "^--compress: unknown key"),
        ("in.raw", "a.vhd", {"to": "azure"}, "^Azure takes disks of whole MiB, and 10241s is none"),
        ("in.raw", "a.tar.gz", {}, "^Google's cloud takes disks of whole GiB.* by `doit resize`"),
        ("in.raw", "a.ova", {}, "neither a BIOS nor UEFI finds anything to start"),
        ("in.raw", "a.vmdk", {"to": "aws"}, "neither a BIOS nor UEFI finds anything to start"),
        ("in.raw", "a.vdi", {"os": "debian"}, "^--os: unknown key"),
        ("in.raw", "a.box", {"provider": "xen"}, "^--provider: 'xen' is not a choice; known here: libvirt, virtualbox"),
        ("cd.iso", "a.ova", {}, "cd.iso is a CD, and ova is a disk that a machine starts from"),
        ("boot.raw", "my disk.ovf", {}, r"^--output my disk\.ovf: an OVF names its disk by a URI"),
        ("boot.raw", "a#b.ovf", {}, "could not hold that\n  Use letters, digits and"),
        ("boot.raw", "a.ova", {"memory": "64"}, "machine.memory: 64 has no unit; did you mean 64G"),
        ("odd", "a.vdi", {}, "odd holds 1000 bytes, which are no whole sectors"),
        ("packed", "a.vdi", {}, "packed cannot be unpacked: gzip"),
        ("tree.tar.gz", "a.vdi", {}, "is no disk image: it is a tar"),
        ("in.raw", 'a".vdi', {}, "some formats could not hold that name"),
        ("folder", "a.vdi", {}, "folder is not a file"),
        ("cut.qcow2", "a.vdi", {}, "damaged or cut off"),
    ],
)
def test_what_cannot_be_is_refused(
    call: Calls, disk: Path, source: str, target: str, options: Mapping[str, object], message: str
) -> None:
    """In the words of the command line, with nothing written (L9, L15)."""
    (call.top / "odd").write_bytes(bytes(1000))
    (call.top / "packed").write_bytes(b"\x1f\x8b\x08" + bytes(600))
    subprocess.run(["tar", "-czf", call.top / "tree.tar.gz", "-C", call.top, "tree"], check=True)
    (call.top / "folder").mkdir()
    bootable(disk)
    (call.top / "cd.iso").write_bytes(bytes(16 * 2048) + b"\1CD001\1".ljust(4096, b"\0"))
    whole = call.top / "cut.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, whole], check=True)
    os.truncate(whole, 300_000)
    before = sorted(call.top.iterdir())
    with pytest.raises(BootsmithError, match=message):
        convert(call, source, target, **options)
    assert sorted(call.top.iterdir()) == before


def bootable(disk: Path) -> Path:
    """Return the disk with something in its first sector that a BIOS would start."""
    made = disk.with_name("boot.raw")
    data = bytearray(disk.read_bytes())
    data[510:512] = b"\x55\xaa"
    made.write_bytes(data)
    return made


def test_any_disk_with_a_machine_around_it(call: Calls, disk: Path) -> None:
    """As hypervisors import it: the machine as asked for, started by what the disk has, called as the file is (W11)."""
    bootable(disk)
    convert(call, "boot.raw", "My Box.ova", memory="2G", cpus="3", os="debian")
    subprocess.run(["tar", "-xf", call.top / "My Box.ova", "-C", call.top], check=True)
    found = image_readers.ovf((call.top / "my-box.ovf").read_text())
    assert (found.system, found.firmware) == (96, "bios")
    assert (found.items[3]["VirtualQuantity"], found.items[4]["VirtualQuantity"]) == ("3", "2048")
    image = call.top / "my-box-disk1.vmdk"
    subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "vmdk", call.top / "boot.raw", image], check=True)
    convert(call, "boot.raw", "b.ovf")
    assert all((call.top / name).is_file() for name in ("b.ovf", "b.mf", "b-disk1.vmdk"))
    convert(call, "boot.raw", "c.box", provider="virtualbox")
    members = subprocess.run(["tar", "-tzf", call.top / "c.box"], capture_output=True, check=True, text=True).stdout
    assert members.split() == ["metadata.json", "Vagrantfile", "box.ovf", "box.mf", "box-disk1.vmdk"]


def test_any_disk_for_amazon(call: Calls, disk: Path) -> None:
    """The image, and the request that imports it beside it (C19)."""
    bootable(disk)
    convert(call, "boot.raw", "d.vmdk", to="aws", bucket="images.example")
    request = json.loads((call.top / "d.json").read_text())
    assert request["BootMode"] == "legacy-bios"
    assert request["DiskContainers"][0]["UserBucket"] == {"S3Bucket": "images.example", "S3Key": "d.vmdk"}
    assert identify(call.top / "d.vmdk") == "vmdk"


@pytest.mark.parametrize("way", ["link", "folder"])
def test_only_a_file_is_replaced(call: Calls, disk: Path, way: str) -> None:
    """Nothing is written through a link, and no folder gives way (C9)."""
    target = call.top / "a.vdi"
    target.symlink_to(disk) if way == "link" else target.mkdir()
    before = disk.read_bytes()
    with pytest.raises(StageError, match="is in the way"):
        convert(call, "in.raw", "a.vdi")
    assert disk.read_bytes() == before


def test_what_was_there_stays_where_a_conversion_fails(
    call: Calls, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image appears whole or not at all."""
    (call.top / "a.vdi").write_text("before")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bootsmith.tasks.disk.formats.image.write", full)
    with pytest.raises(BootsmithError, match="--output"):
        convert(call, disk.name, "a.vdi")
    assert (call.top / "a.vdi").read_text() == "before"
    assert not [each for each in call.top.iterdir() if each.name.startswith(".bootsmith")]


@pytest.mark.parametrize("room", [0, 1 << 30])
def test_a_program_that_found_no_room_is_understood(
    call: Calls, disk: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """qemu-img calls it an invalid argument where it packs a VMDK; where there is room its own words are the reason."""

    def fail(*_: object) -> None:
        raise ToolFailed("qemu-img exited with status 1", tail="Invalid argument")

    monkeypatch.setattr(file_conversion, "convert", fail)
    monkeypatch.setattr(file_conversion, "free", lambda _: room)
    message = "qemu-img exited" if room else "--output: no space left for .*a.vdi: .* free\n  Free some, or work on a"
    with pytest.raises(StageError, match=message):
        convert(call, disk.name, "a.vdi")
    assert not (call.top / "a.vdi").exists()


def test_a_named_folder_is_no_format() -> None:
    """What a file is to be follows from its ending, the longest that fits, unless --to says so."""
    nothing = dict.fromkeys(("to", "compress", "prealloc", "cluster", "compat", "subformat", "no_lazy_refcounts"))
    assert file_conversion.wanted("a.tar.gz", nothing) == ("gcp", {})
    assert file_conversion.wanted("a.raw.gz", nothing) == ("raw", {"compress": "gzip"})
    assert file_conversion.wanted("a.gz", {**nothing, "to": "vdi"}) == ("vdi", {})
    with pytest.raises(UsageError):
        file_conversion.wanted("vdi", nothing)
