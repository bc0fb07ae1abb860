"""A unified kernel image: kernel, initrd, command line and os-release in one EFI program, which needs no loader.

It begins with systemd's stub (systemd-stub(7)), which finds the rest as sections of itself. The large ones come first:
another command line moves neither kernel nor initrd. systemd-boot, where it is on the disk too, shows one image for
each entry; else the firmware starts the only one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.boot import pe
from bootsmith.tasks.boot.pe import Addition
from bootsmith.tasks.boot.systemd import FOLDER, packages
from bootsmith.tasks.tools import os_release

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.boot.loader import Making

__all__ = ["HOST", "TOOLS", "make", "packages"]

TOOLS: tuple[str, ...] = ()
HOST: tuple[str, ...] = ("systemd-stub",)
_STUB = "linuxx64.efi.stub"
_SIZE_OF_IMAGE = 56  # in the optional header


def make(making: Making) -> None:
    """Add an image for each entry."""
    found = making.tree_files(FOLDER, [_STUB]).get(_STUB)
    stub = making.host_file("systemd-stub").read_bytes() if found is None else found
    several = len(making.menu.items) > 1
    for number, item in enumerate(making.menu.items, 1):
        about = {
            "ID": making.facts.get("id", "linux"),
            "VERSION_ID": making.facts.get("version_id", ""),
            "PRETTY_NAME": item.title or item.name,
            "IMAGE_ID": f"{number:04}.{item.name.lower()}" if several else "",  # what systemd-boot sorts by
        }
        image = unify(
            stub,
            kernel=making.kernel_file(item),
            initrd=making.initrd_file(item),
            cmdline=item.cmdline,
            release=os_release.text(about),
            version=item.version,
        )
        name = f"EFI/Linux/{item.name}.efi"
        if "systemd-boot" in making.loaders:
            making.add(name, making.signed(image, name))
        else:
            making.add_started(name, image)


def unify(stub: bytes, *, kernel: Path, initrd: Path | None, cmdline: str, release: str, version: str) -> bytes:
    """Return the image. Raises StageError where the kernel is no EFI program itself, as the stub needs it."""
    linux = kernel.read_bytes()
    # The kernel unpacks itself where it lies when an old stub starts it: it is given the memory it says it needs.
    room = pe.parse(linux, f"the kernel ({kernel})").field(_SIZE_OF_IMAGE)
    additions = [
        Addition(".linux", linux, room),
        Addition(".initrd", initrd.read_bytes() if initrd else b""),
        Addition(".osrel", release.encode()),
        Addition(".uname", version.encode()),
        Addition(".cmdline", cmdline.encode()),
    ]
    return pe.add_sections(pe.parse(stub, "the EFI stub"), [each for each in additions if each.data])
