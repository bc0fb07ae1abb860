"""Multiboot kernels, told by their headers. L3."""

from __future__ import annotations

import pytest
from bootsmith.tasks.boot import multiboot
from bootsmith.tasks.tree import boot_formats

from tests.support.kernel_files import bzimage, elf
from tests.support.kernel_files import multiboot as kernel
from tests.support.kernel_files import multiboot2 as kernel2


@pytest.mark.parametrize("at", [64, 68, 4096, 8192 - 12])
def test_a_header_is_found(at: int) -> None:
    """It may stand at any word of the first 8 KiB; what looks like one before it does not count."""
    assert multiboot.has_header(kernel(at=at), "multiboot")
    decoy = bytearray(kernel(at=4096))
    decoy[70:74] = b"\x02\xb0\xad\x1b"
    assert multiboot.has_header(bytes(decoy), "multiboot")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"#!/bin/sh\n", "is no ELF file"),
        (bzimage(), "is no ELF file"),
        (elf(bits=64), "is a 64-bit ELF file, and arch: i386 needs a 32-bit one"),
        (elf(), "has no Multiboot header in its first 8 KiB"),
        (kernel(at=8192), "has no Multiboot header in its first 8 KiB"),
        (kernel(at=8192 - 8)[:8192], "has no Multiboot header in its first 8 KiB"),
        (kernel(at=66), "has no Multiboot header in its first 8 KiB"),
        (kernel(off=1), "has no Multiboot header in its first 8 KiB"),
        (kernel2(), "has no Multiboot header in its first 8 KiB; it has one for protocol: multiboot2"),
    ],
)
def test_what_no_loader_could_start_is_refused(data: bytes, what: str) -> None:
    """Another format, another width, no header, one too late, askew or with a wrong checksum: each is said."""
    assert multiboot.refusal(data, "multiboot", "i386", boot_formats.kernel(data)) == what


def test_the_second_form_has_its_own_header() -> None:
    """Multiboot2 looks at 32 KiB, in steps of eight bytes, and takes 64-bit files on amd64."""
    assert multiboot.refusal(kernel2(at=32768 - 16), "multiboot2", "amd64", "ELF64") is None
    assert multiboot.refusal(kernel2(at=68), "multiboot2", "amd64", "ELF64") is not None
    assert multiboot.refusal(kernel(), "multiboot2", "i386", "ELF32") == (
        "has no Multiboot2 header in its first 32 KiB; it has one for protocol: multiboot"
    )
