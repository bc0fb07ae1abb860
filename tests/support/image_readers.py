"""Readers of what outputs are, written apart from what writes them: VHD's footer, VMDK's text, block maps, OVF."""

from __future__ import annotations

import hashlib
import re
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.support import ovf_judge


@dataclass(frozen=True)
class VhdFooter:
    """What the last sector of a VHD says; `time` in seconds since 2000."""

    kind: int
    size: int
    time: int
    identity: uuid.UUID
    geometry: tuple[int, int, int]


def vhd_footer(image: Path) -> VhdFooter:
    """Return the footer at the end of a VHD, its checksum checked; of a dynamic one the copy at the start too."""
    data = image.read_bytes()[-512:]
    assert data[:8] == b"conectix"
    (checksum,) = struct.unpack_from(">I", data, 64)
    assert checksum == 0xFFFFFFFF - sum(data[:64] + data[68:])
    (kind,) = struct.unpack_from(">I", data, 60)
    if kind == 3:
        assert image.read_bytes()[:512] == data
    original, current = struct.unpack_from(">QQ", data, 40)
    assert original == current
    cylinders, heads, sectors = struct.unpack_from(">HBB", data, 56)
    (time,) = struct.unpack_from(">I", data, 24)
    return VhdFooter(kind, current, time, uuid.UUID(bytes=data[68:84]), (cylinders, heads, sectors))


def vmdk_text(image: Path) -> dict[str, str]:
    """Return the text of a VMDK as key -> value; the extent's line under "extent"."""
    data = image.read_bytes()
    if data[:4] == b"KDMV":
        start, length = struct.unpack_from("<QQ", data, 28)
        data = data[start * 512 : (start + length) * 512]
    found: dict[str, str] = {}
    for line in data.partition(b"\0")[0].decode("ascii").splitlines():
        if line.startswith("RW "):
            found["extent"] = line
        elif match := re.fullmatch(r"([\w.]+) ?= ?\"?([^\"]*)\"?", line):
            found[match[1]] = match[2]
    return found


@dataclass(frozen=True)
class BlockMap:
    """A block map: sizes in bytes, ranges of blocks with the last one included."""

    size: int
    block: int
    ranges: tuple[tuple[int, int, str], ...]

    def write(self, image: Path, target: Path) -> None:
        """Write an image over what `target` holds, as whoever has a map does, checking each range's checksum."""
        with image.open("rb") as source, target.open("r+b") as made:
            for first, last, checksum in self.ranges:
                source.seek(first * self.block)
                data = source.read((last - first + 1) * self.block)
                assert hashlib.sha256(data).hexdigest() == checksum
                made.seek(first * self.block)
                made.write(data)
            made.truncate(self.size)


def block_map(file: Path) -> BlockMap:
    """Return a block map, its own checksum and counts checked."""
    text = file.read_text()
    root = ET.fromstring(text)
    said = {child.tag: (child.text or "").strip() for child in root}
    blank = text.replace(said["BmapFileChecksum"], "0" * 64)
    assert hashlib.sha256(blank.encode()).hexdigest() == said["BmapFileChecksum"]
    assert (root.get("version"), said["ChecksumType"]) == ("2.0", "sha256")
    size, block = int(said["ImageSize"]), int(said["BlockSize"])
    ranges = []
    for each in root.iter("Range"):
        first, _, last = (each.text or "").strip().partition("-")
        ranges.append((int(first), int(last or first), each.attrib["chksum"]))
    assert int(said["BlocksCount"]) == -(-size // block)
    assert int(said["MappedBlocksCount"]) == sum(last - first + 1 for first, last, _ in ranges)
    assert [first for first, _, _ in ranges] == sorted(first for first, _, _ in ranges)
    return BlockMap(size, block, tuple(ranges))


_OVF, _RASD = ovf_judge.OVF, ovf_judge.RASD


@dataclass(frozen=True)
class Machine:
    """What an OVF describes. `items` are resource type -> its elements; `disk` the file and its size in GiB."""

    system: int
    version: str
    firmware: str
    disk: tuple[str, int, int]
    items: dict[int, dict[str, str]]


def ovf(text: str) -> Machine:
    """Return what an OVF describes, in which the judge found nothing wrong."""
    ovf_judge.judge(text)
    root = ET.fromstring(text)
    (file,) = root.iter(f"{_OVF}File")
    (disk,) = root.iter(f"{_OVF}Disk")
    assert disk.attrib[f"{_OVF}capacityAllocationUnits"] == "byte * 2^30"
    items = {}
    for item in root.iter(f"{_OVF}Item"):
        found = {child.tag.removeprefix(_RASD): child.text or "" for child in item}
        items[int(found["ResourceType"])] = found
    (system,) = root.iter(f"{_OVF}OperatingSystemSection")
    firmware = [each.get(f"{_VMW}value", "") for each in root.iter(f"{_VMW}Config")]
    version = root.find(f".//{_OVF}Version")
    assert version is not None
    return Machine(
        int(system.attrib[f"{_OVF}id"]),
        version.text or "",
        firmware[0] if firmware else "bios",
        (file.attrib[f"{_OVF}href"], int(file.attrib[f"{_OVF}size"]), int(disk.attrib[f"{_OVF}capacity"])),
        items,
    )


_VMW = "{http://www.vmware.com/schema/ovf}"
