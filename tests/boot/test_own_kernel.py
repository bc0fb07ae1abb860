"""A kernel of the recipe's own, taken by its content. W7, L3."""

from __future__ import annotations

import dataclasses
import gzip
import json
import struct
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.boot import own_kernel
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.stages import kernel
from bootsmith.tasks.tree import boot_formats

from tests.support.kernel_files import bzimage, elf, multiboot
from tests.support.tree_build import TreeBuild

LINUX = "layers: []\nsystem: none\nboot: {kernel: own}\n"
MACH = (
    "arch: i386\nsystem: none\ndisk: {partitions: {root: {fs: ext2, mount: /}}}\n"
    "boot: {loader: grub-bios, protocol: multiboot, kernel: {first: [own], as: /boot/own}}\n"
)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    found = TreeBuild(tmp_path, monkeypatch)
    found.base()
    return found


def take(build: TreeBuild, data: bytes, text: str = LINUX) -> dict[str, str]:
    """Take a kernel of these bytes; return its facts."""
    (build.folder / "recipes/own").write_bytes(data)
    build.tree(text)
    (stage,) = kernel.stages(build.recipe(text), build.site)
    build.run(stage)
    facts: dict[str, str] = json.loads(build.site.kernel_facts.read_text())
    return facts


def signed(image: bytes, size: int) -> bytes:
    """Return a bzImage as a signed EFI program has it: what its header tells of stands behind it."""
    made = bytearray(image)
    made[:2] = b"MZ"
    struct.pack_into("<I", made, 0x3C, 0x40)
    struct.pack_into("<4s20xH", made, 0x40, b"PE\0\0", 0x20B)
    struct.pack_into("<II", made, 0x40 + 24 + 112 + 32, len(image), size)
    return bytes(made) + bytes(size)


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_a_bzimage_is_linux(pack: object, build: TreeBuild) -> None:
    """Plain, gzip or zstd: what it holds counts; its version is its own, the rest the tree's."""
    facts = take(build, pack(bzimage("6.9-mine (me)")))  # type: ignore[operator]
    assert build.site.kernel.read_bytes() == bzimage("6.9-mine (me)")
    assert facts == {
        "version": "6.9-mine",
        "id": "debian",
        "version_id": "13",
        "pretty_name": "Debian GNU/Linux 13 (trixie)",
    }


def test_a_signed_kernel_is_linux(build: TreeBuild) -> None:
    """What stands behind it is its signature; an old one's last paragraph need not be full."""
    assert take(build, signed(bzimage("6.9"), 100))["version"] == "6.9"
    old = bytearray(bzimage("2.6.20"))
    old[0x206] = 6
    assert take(build, bytes(old[:-15]))["version"] == "2.6.20"


@pytest.mark.parametrize("version", ["../../x", "/x", "..", "6'x"])
def test_the_version_it_tells_leads_nowhere(version: str, build: TreeBuild) -> None:
    """It is a part of paths: what could be none is taken for a kernel that tells no version."""
    silent = take(build, bzimage(" (me)"))["version"]
    assert take(build, bzimage(f"{version} (me)"))["version"] == silent != version


def test_a_kernel_is_not_unpacked_without_end(build: TreeBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a few bytes may unpack to any number: more than any kernel has is refused."""
    monkeypatch.setattr(own_kernel, "LARGEST", 1 << 20)
    with pytest.raises(StageError, match="unpacks to more than 1 MiB"):
        take(build, gzip.compress(bzimage("6.9") + bytes(2 << 20)))
    with pytest.raises(StageError, match="cut short"):
        take(build, gzip.compress(bzimage("6.9") + bytes(range(256)) * 100)[:-20])
    assert take(build, gzip.compress(bzimage("6.9")))["version"] == "6.9"


def test_a_packed_multiboot_kernel_is_unpacked(build: TreeBuild) -> None:
    """GRUB gets a plain file, whatever was given; what has no version is the recipe's. L1, L3."""
    facts = take(build, gzip.compress(multiboot()), MACH + "version: '7'\n")
    assert build.site.kernel.read_bytes() == multiboot()
    assert facts["version"] == "7"


@pytest.mark.parametrize(
    ("text", "data", "what"),
    [
        (LINUX, b"#!/bin/sh\n", "it is no Linux: what is needed is a bzImage"),
        (LINUX, b"", "it is no Linux"),
        (LINUX, elf(bits=64), r"it is a Linux that no loader takes \(ELF64\)"),
        (LINUX, boot_formats.PACKED["xz"] + bytes(100), "it is packed by xz"),
        (LINUX, bzimage()[:0x206], "it is cut short: it ends within its header, after 518 bytes"),
        (LINUX, bzimage()[:-1], "it is cut short: it has 4095 bytes, and its header tells of 4096"),
        (LINUX, gzip.compress(bzimage()[:2000]), "it is cut short: it has 2000 bytes"),
        (LINUX, bzimage()[:0x1F4] + bytes(4) + bzimage()[0x1F8:], "its header says that no code follows"),
        (LINUX, signed(bzimage(), 100)[:-1], "it is cut short: it has 4195 bytes, and its header tells of 4196"),
        (LINUX, b"MZ".ljust(0x38, b"\0") + b"ARM\x64" + bytes(99), "it is a Linux for arm64 machines"),
        (LINUX, b"MZ\0\0zimg" + bytes(99), "it is a Linux packed for other machines than x86"),
        (LINUX, b"MZ" + bytes(999), "it is an EFI program but no Linux by itself"),
        (LINUX, b"\x27\x05\x19\x56" + bytes(60), "it is an image for U-Boot"),
        (LINUX, gzip.compress(b"x" * 100, mtime=0)[:-10], "is damaged: gzip"),
        (LINUX, boot_formats.PACKED["zstd"] + b"junk", "is damaged: zstd"),
        (LINUX, gzip.compress(elf(), mtime=0), r"\(ELF32\)"),
        (MACH, elf(bits=64), "it is a 64-bit ELF file, and arch: i386 needs a 32-bit one"),
        (MACH, elf(), "it has no Multiboot header"),
        (MACH, bzimage(), "it is no ELF file"),
        (MACH, multiboot()[:1000], "it is cut short: it has 1000 bytes"),
        (MACH.replace("protocol: multiboot, ", ""), bzimage(), "it is a Linux for 64-bit machines"),
    ],
    ids=map(str, range(21)),
)
def test_what_could_not_start_is_refused(text: str, data: bytes, what: str, build: TreeBuild) -> None:
    """Whatever a file is called, what it is decides; the error names the file and what it is. W7, L3."""
    with pytest.raises(StageError, match=what) as caught:
        take(build, data, text)
    assert "recipes/own" in caught.value.message
    assert not build.site.kernel.exists()


def test_a_recipe_without_a_kernel_has_no_stage(build: TreeBuild) -> None:
    """`kernel: none` takes none."""
    recipe = build.recipe("")
    entry = dataclasses.replace(recipe.boot.entries["default"], kernel="none")
    recipe = dataclasses.replace(
        recipe, boot=dataclasses.replace(recipe.boot, kernel="none", entries={"default": entry})
    )
    assert kernel.stages(recipe, build.site) == []
