"""Multiboot kernels, told by their headers. L3."""

from __future__ import annotations

import pytest
from bootsmith.tasks.boot import multiboot

from tests.support.kernel_files import bzimage, elf, stand_in
from tests.support.kernel_files import multiboot as kernel
from tests.support.kernel_files import multiboot2 as kernel2


@pytest.mark.parametrize("at", [64, 68, 4096, 8192 - 12])
def test_a_header_is_found(at: int) -> None:
    """It may stand at any word of the first 8 KiB; what looks like one before it does not count."""
    assert multiboot.has_header(kernel(at=at), "multiboot")
    decoy = bytearray(kernel(at=4096))
    decoy[170:174] = b"\x02\xb0\xad\x1b"
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
        (kernel()[:1100], "is cut short: it has 1100 bytes, and what is to be loaded ends at 1268"),
        (kernel2(), "has no Multiboot header in its first 8 KiB; it has one for protocol: multiboot2"),
    ],
)
def test_what_no_loader_could_start_is_refused(data: bytes, what: str) -> None:
    """Another format, another width, no header, one too late, askew or with a wrong checksum: each is said."""
    assert multiboot.refusal("multiboot", data, "i386", len(data)) == what


def test_the_second_form_has_its_own_header() -> None:
    """Multiboot2 looks at 32 KiB, in steps of eight bytes, and takes 64-bit files on amd64."""
    assert multiboot.refusal("multiboot2", kernel2(at=32768 - 16, bits=64), "amd64", None) is None
    assert multiboot.refusal("multiboot2", kernel2(at=68), "amd64", None) is not None
    assert multiboot.refusal("multiboot2", kernel(), "i386", None) == (
        "has no Multiboot2 header in its first 32 KiB; it has one for protocol: multiboot"
    )


SERVER = stand_in("up")
TASK = "lites_server $(task-create) $(task-resume)"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty"),
        (b"#!/bin/sh\n", "is no ELF file"),
        (SERVER[:40], "is a damaged ELF file, or none for x86"),
        (SERVER[:-1], "is cut short: it has 4121 bytes, and what is to be loaded ends at 4122"),
        (elf(bits=64), "is a 64-bit ELF file, and arch: i386 needs a 32-bit one"),
        (elf(machine=40), "is a 32-bit ELF file for ARM, and the recipe says arch: i386"),
        (elf(machine=9999), "is a 32-bit ELF file for machines of the kind 9999, and the recipe says arch: i386"),
        (elf(kind=1), "is an ELF file, but no program (an object file, or a core)"),
        (elf(at=5000)[:4900], "is cut short: it has 4900 bytes, and its table of segments ends at 5032"),
        (elf(interpreter="/lib/ld.so.1"), "needs a dynamic linker, and nothing brings it one: link it with -static"),
        (bytes(SERVER[:24]) + bytes(4) + SERVER[28:], "is an ELF file that begins at 0x0, where it has nothing loaded"),
    ],
)
def test_a_module_that_no_task_is_made_of_is_refused(data: bytes, what: str) -> None:
    """GNU Mach says that it starts one, and nothing more: the build says why, before (L3)."""
    assert multiboot.module_refusal(data, TASK, "i386", len(data)) == what


def test_a_module_is_what_its_kernel_takes_it_for() -> None:
    """A program for whoever makes a task of it, under another name too; for all others any bytes but none."""
    assert multiboot.module_refusal(SERVER, TASK, "i386", len(SERVER)) is None
    assert multiboot.module_refusal(b"text", "exec $(exec-task=task-create)", "i386", 4) == "is no ELF file"
    assert multiboot.module_refusal(b"text", "motd", "i386", 4) is None
    assert multiboot.module_refusal(b"", "motd", "i386", 0) == "is empty"
    assert multiboot.module_refusal(elf(bits=64), TASK, "amd64", 2000) is None
