"""Disks of any size and content: each format holds them to the last sector, or refuses them in words."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.disk import image_content
from bootsmith.tasks.disk.formats import blocks, geometry, image, vdi, vhd, vhdx, vmdk
from bootsmith.tasks.disk.formats.origin import Origin
from bootsmith.tasks.errors import StageError

from tests.support import image_readers

MIB, GIB = 1 << 20, 1 << 30
WRITERS = {
    "vhd": (vhd.FORMAT, "vpc"),
    "vhdx": (vhdx.FORMAT, "vhdx"),
    "vdi": (vdi.FORMAT, "vdi"),
    "vmdk": (vmdk.sparse_format("image"), "vmdk"),
}
FORMS = [
    *(("vhd", each) for each in ("dynamic", "fixed")),
    *(("vhdx", each) for each in ("dynamic", "fixed")),
    *(("vdi", each) for each in ("dynamic", "fixed")),
    ("vmdk", "monolithicSparse"),
]


def silent(_done: int) -> None:
    """Take what is reported, and say nothing."""


def written(raw: Path, target: Path, kind: str, subformat: str, seed: str = "seed") -> str:
    """Make an image of a disk; return what qemu-img calls its format."""
    form, name = WRITERS[kind]
    image.write(form, raw, target, image.ImageParams(subformat, seed, 1_700_000_000), silent)
    return name


def disk(path: Path, size: int, *stretches: tuple[int, int]) -> Path:
    """Make a sparse disk with noise in some places, each with its length."""
    with path.open("wb") as file:
        file.truncate(size)
        for at, length in stretches:
            file.seek(at)
            file.write(random.Random(at).randbytes(length))
    return path


@pytest.mark.parametrize(("kind", "subformat"), FORMS)
@pytest.mark.parametrize(
    ("size", "stretches"),
    [
        (512, [(0, 512)]),
        (MIB, []),
        (MIB + 512, [(MIB, 512)]),
        (33 * MIB + 1536, [(0, 3), (5 * MIB - 1, 2), (33 * MIB + 1535, 1)]),
        (3 * MIB, [(0, 3 * MIB)]),
    ],
    ids=["sector", "empty", "one-more", "ends", "dense"],
)
def test_any_disk_is_held_to_the_last_sector(
    tmp_path: Path, kind: str, subformat: str, size: int, stretches: list[tuple[int, int]]
) -> None:
    """No geometry rounds its size, and a block that ends beyond the disk holds zeros there (W1)."""
    raw, made = disk(tmp_path / "raw", size, *stretches), tmp_path / "image"
    form = written(raw, made, kind, subformat)
    subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", form, raw, made], check=True)
    told = subprocess.run(["qemu-img", "info", "--output=json", "-f", form, made], capture_output=True, check=True)
    assert json.loads(told.stdout)["virtual-size"] == size
    if form != "vpc":  # which qemu-img does not check
        subprocess.run(["qemu-img", "check", "-q", "-f", form, made], check=True)


@pytest.mark.parametrize(("kind", "subformat"), FORMS)
def test_a_large_disk_has_everything_in_its_place(tmp_path: Path, kind: str, subformat: str) -> None:
    """On both sides of 4 GiB, where VHDX's table has an entry of another kind, and at the very end."""
    size = 5 * GIB + 7 * 512
    raw, made = disk(tmp_path / "raw", size, (4 * GIB - 9, 18), (size - 1, 1)), tmp_path / "image"
    form = written(raw, made, kind, subformat)
    with image_content.opened(raw, "raw") as wanted, image_content.opened(made, form) as found:
        assert found.size == wanted.size
        for at in (0, 4 * GIB - 4096, 4 * GIB, 4 * GIB + MIB, size - 512):
            assert found.read(at, 4096) == wanted.read(at, 4096)


@pytest.mark.parametrize(("kind", "subformat"), FORMS)
def test_an_image_follows_from_content_alone(tmp_path: Path, kind: str, subformat: str) -> None:
    """Zeros that are written, and holes, are the same disk, and the same image."""
    holes = disk(tmp_path / "holes", 9 * MIB, (3 * MIB, 4096))
    dense = tmp_path / "dense"
    dense.write_bytes(holes.read_bytes())
    images = [tmp_path / "image-1/image", tmp_path / "image-2/image"]
    for raw, made in zip((holes, dense), images, strict=True):
        made.parent.mkdir()
        written(raw, made, kind, subformat)
    assert images[0].read_bytes() == images[1].read_bytes()


@pytest.mark.parametrize(("kind", "subformat"), FORMS)
def test_another_content_is_another_image(tmp_path: Path, kind: str, subformat: str) -> None:
    """A hypervisor that knows one by its UUID does not take the other for it; nor another recipe's of that content."""
    raw = disk(tmp_path / "raw", 2 * MIB)
    found = set()
    for number, (seed, change) in enumerate((("one", b""), ("other", b""), ("one", b"x"))):
        raw.write_bytes(change + raw.read_bytes()[len(change) :])
        made = tmp_path / f"{number}/image"
        made.parent.mkdir()
        written(raw, made, kind, subformat, seed)
        found.add(made.read_bytes())
    assert len(found) == 3


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("vhd", 2040 * GIB + 512, "a VHD holds at most 2040 GiB"),
        ("vhdx", (64 << 40) + 512, "a VHDX holds at most 64 TiB"),
        ("vmdk", 2048 * GIB + 512, "a VMDK holds at most 2 TiB"),
        ("vdi", vdi.LARGEST + 512, "a VDI holds less than 512 TiB"),
        *((kind, 1000, "in whole sectors of 512 bytes; the disk has 1000 bytes") for kind in WRITERS),
    ],
)
def test_a_disk_that_no_image_can_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, size: int, message: str
) -> None:
    """Before anything is written: with what can be held, and what to do."""
    monkeypatch.setattr(blocks, "length", lambda _: size)  # more than a file may have here
    with pytest.raises(StageError, match=message) as refused:
        written(disk(tmp_path / "raw", MIB), tmp_path / "image", kind, dict(FORMS)[kind])
    assert refused.value.hint.startswith("Make disk.size")
    assert not (tmp_path / "image").exists()


def test_azure_takes_whole_mib(tmp_path: Path) -> None:
    """Another disk is refused; one of whole MiB stays as large as it is (C19)."""
    with pytest.raises(StageError, match="Azure takes whole MiB"):
        written(disk(tmp_path / "raw", MIB + 512), tmp_path / "odd", "vhd", "azure")
    written(disk(tmp_path / "raw", 3 * MIB), tmp_path / "image", "vhd", "azure")
    footer = image_readers.vhd_footer(tmp_path / "image")
    assert (footer.size, footer.kind, (tmp_path / "image").stat().st_size) == (3 * MIB, 2, 3 * MIB + 512)


VMDK = """\
# Disk DescriptorFile
version=1
CID={cid}
parentCID=ffffffff
createType="monolithicFlat"

# Extent description
RW 10256 FLAT "my disk-flat.vmdk" 0

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "10"
ddb.geometry.heads = "16"
ddb.geometry.sectors = "63"
ddb.adapterType = "ide"
ddb.uuid.image = "{image}"
ddb.uuid.modification = "{state}"
ddb.uuid.parent = "00000000-0000-0000-0000-000000000000"
ddb.uuid.parentmodification = "00000000-0000-0000-0000-000000000000"
"""


def test_a_vmdks_text_to_the_letter() -> None:
    """As VMware's own tools write it: what else it says follows from the disk alone (W1)."""
    origin = Origin(lambda: "content", "seed", 0)
    told = vmdk.descriptor(10256, "monolithicFlat", 'FLAT "my disk-flat.vmdk" 0', origin)
    cid = f"{int.from_bytes(origin.digest('vmdk')[:4], 'big'):08x}"
    assert told == VMDK.format(cid=cid, image=origin.uuid("vmdk"), state=origin.uuid("vmdk", "state"))


@pytest.mark.parametrize(
    ("sectors", "shape"),
    [
        (20480, (301, 4, 17)),
        (65535 * 16 * 63 + 1, (16191, 16, 255)),
        (1 << 40, (65535, 16, 255)),
        (1, (0, 4, 17)),
        (8 << 21, (16644, 16, 63)),
        (300_000, (604, 16, 31)),
    ],
)
def test_a_vhds_geometry_is_the_specifications(sectors: int, shape: tuple[int, int, int]) -> None:
    """As qemu-img reckons it too, which writes 301, 4 and 17 for 10 MiB."""
    assert geometry.of_vhd(sectors) == shape


def test_a_checksum_of_castagnolis() -> None:
    """The value that the polynomial's own test has (RFC 3720, B.4)."""
    assert vhdx.crc32c(bytes(32)) == 0x8A9136AA
    assert vhdx.crc32c(b"123456789") == 0xE3069283


def test_a_disk_that_shrinks_is_noticed(tmp_path: Path) -> None:
    """What is cut off while it is read is no disk of zeros."""
    raw = disk(tmp_path / "raw", 4 * MIB, (0, 4 * MIB))
    with raw.open("r+b") as file:
        found = blocks.filled(file.fileno(), 4 * MIB, MIB, silent)
        assert next(found)[0] == 0
        os.truncate(file.fileno(), MIB)
        with pytest.raises(EOFError):
            next(found)


def test_progress_is_told_from_beginning_to_end(tmp_path: Path) -> None:
    """In bytes of the disk, the last of which are told as all of them."""
    told: list[int] = []
    raw = disk(tmp_path / "raw", 4 * MIB, (0, 4 * MIB))
    image.write(vdi.FORMAT, raw, tmp_path / "image", image.ImageParams("dynamic", "seed", 7), told.append)
    assert told == [0, MIB, 2 * MIB, 3 * MIB, 4 * MIB]
