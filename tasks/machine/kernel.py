"""A kernel file as QEMU's -kernel will meet it: told by magic, never by its name."""

from __future__ import annotations

from pathlib import Path

from bootsmith.tasks.errors import BootsmithError, InputMissing

_BOOT_PROTOCOL = 0x202  # Linux, Documentation/arch/x86/boot.rst: "HdrS"
_PACKED = {b"\x1f\x8b": "gunzip", b"\xfd7zX": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}


def check(path: Path) -> None:
    """Raise InputMissing or BootsmithError where QEMU could not start a kernel: it would only stand still."""
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except FileNotFoundError:
        raise InputMissing(f"the kernel {path} does not exist", "Name a kernel, such as /boot/vmlinuz-*.") from None
    except OSError as error:
        raise BootsmithError(f"the kernel {path} cannot be read: {error.strerror}") from error
    if head[_BOOT_PROTOCOL : _BOOT_PROTOCOL + 4] == b"HdrS" or head.startswith(b"\x7fELF"):
        return
    for magic, program in _PACKED.items():
        if head.startswith(magic):
            raise BootsmithError(f"{path} is packed, and QEMU unpacks no kernels", f"Unpack it: {program} FILE")
    raise BootsmithError(
        f"{path} is no kernel that QEMU can start: neither a bzImage nor an ELF file",
        "For a disk image use `doit run-uefi FILE` or `doit run-bios FILE`.",
    )
