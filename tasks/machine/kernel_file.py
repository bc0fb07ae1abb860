"""A kernel and an initrd as QEMU's -kernel and -initrd will meet them: told by their content, never by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bootsmith.tasks.boot import multiboot
from bootsmith.tasks.errors import BootsmithError, InputMissing
from bootsmith.tasks.tree import boot_formats, elf, file_kinds, initrd_archive, linux_image

_LARGEST: Final = 512 << 20
_PVH_ENTRY: Final = 18
"""The note of Xen's by which an ELF kernel says where it begins (XEN_ELFNOTE_PHYS32_ENTRY)."""


def check(path: Path) -> None:
    """Raise InputMissing or BootsmithError where QEMU could not start a kernel: it would only stand still."""
    data = _content(path, "kernel", "Name a kernel, such as /boot/vmlinuz-*.")
    packing = boot_formats.packing(data)
    if packing:
        raise BootsmithError(f"{path} is packed by {packing}, and QEMU unpacks no kernels", "Unpack it first.")
    why = _refusal(data)
    if why:
        kind = file_kinds.identify(data[: file_kinds.HEAD])
        other = kind if kind and kind.is_a != "kernel" else None
        raise BootsmithError(
            f"{path} is no kernel that QEMU can start: it {f'is {other.what}' if other else why}",
            other.to_do if other else "Name a kernel, such as /boot/vmlinuz-*.",
        )


def check_initrd(path: Path, kernel: Path) -> None:
    """Raise BootsmithError where a kernel would not unpack an initrd; one that is no Linux takes any file."""
    with kernel.open("rb") as file:
        if multiboot.has_header(file.read(multiboot.FORMS["multiboot"].within), "multiboot"):
            return
    try:
        why = initrd_archive.refusal(path)
    except OSError as error:
        raise BootsmithError(f"the initrd {path} cannot be read: {error.strerror}") from error
    if why:
        raise BootsmithError(f"{path} cannot be the initrd: it {why}", "Name another file, or make it anew.")


def _content(path: Path, what: str, hint: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise InputMissing(f"the {what} {path} does not exist", hint) from None
    except OSError as error:
        raise BootsmithError(f"the {what} {path} cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise BootsmithError(f"{path} has more than {_LARGEST >> 20} MiB, which no kernel has", hint)
    return data


def _refusal(data: bytes) -> str | None:
    if data[:4] != b"\x7fELF":
        return linux_image.refusal(data, "amd64", len(data))
    if multiboot.has_header(data, "multiboot"):
        return elf.refusal(data, "i386", len(data))
    why = elf.refusal(data, "amd64", len(data))
    if why is None and not _says_where_it_begins(data):
        return "is an ELF file without a Multiboot header or the note of a PVH kernel (CONFIG_PVH)"
    return why


def _says_where_it_begins(data: bytes) -> bool:
    program = elf.head(data)
    assert program is not None, "it is an ELF file that was judged"
    notes = (each for each in program.segments(data) if each.kind == elf.NOTE)
    return any(
        name == b"Xen\0" and kind == _PVH_ENTRY
        for each in notes
        for name, kind in elf.notes(data[each.offset : each.offset + each.size])
    )
