"""A kernel file as QEMU's -kernel will meet it: told by its content, never by its name."""

from __future__ import annotations

from pathlib import Path

from bootsmith.tasks.errors import BootsmithError, InputMissing
from bootsmith.tasks.tree import boot_formats, file_kinds


def check(path: Path) -> None:
    """Raise InputMissing or BootsmithError where QEMU could not start a kernel: it would only stand still."""
    try:
        with path.open("rb") as file:
            head = file.read(file_kinds.HEAD)
    except FileNotFoundError:
        raise InputMissing(f"the kernel {path} does not exist", "Name a kernel, such as /boot/vmlinuz-*.") from None
    except OSError as error:
        raise BootsmithError(f"the kernel {path} cannot be read: {error.strerror}") from error
    if boot_formats.kernel(head):
        return
    packing = boot_formats.packing(head)
    if packing:
        raise BootsmithError(f"{path} is packed by {packing}, and QEMU unpacks no kernels", "Unpack it first.")
    kind = file_kinds.identify(head)
    raise BootsmithError(
        f"{path} is no kernel that QEMU can start: " + (f"it is {kind.what}" if kind else "no bzImage and no ELF file"),
        kind.to_do if kind else "Name a kernel, such as /boot/vmlinuz-*.",
    )
