"""What a bootloader's own file implements, and what it is handed to do so.

A loader is a module with `packages`, `HOST` and `make`; registry.py names them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from bootsmith.tasks.boot import pe
from bootsmith.tasks.boot.menu import Item, Menu
from bootsmith.tasks.disk import bootcode
from bootsmith.tasks.disk.bootcode import BootCode, Pointer
from bootsmith.tasks.disk.kernel_paths import role
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.recipe.loaders.boot_places import REMOVABLE

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.boot.signing import Signer
    from bootsmith.tasks.build.stage import Context
    from bootsmith.tasks.tree.layer import LayerWriter
    from bootsmith.tasks.tree.tar import Entry


class Loader(Protocol):
    """A bootloader."""

    @property
    def TOOLS(self) -> tuple[str, ...]:  # noqa: N802  a module's constant
        """Programs of the host it runs."""
        ...

    @property
    def HOST(self) -> tuple[str, ...]:  # noqa: N802
        """Tools that are files of the host, and stand in where the tree does not bring the loader's packages."""
        ...

    def packages(self, suite: str) -> tuple[str, ...]:
        """Return the packages that bring the loader's files into a tree of that release."""
        ...

    def make(self, making: Making) -> None:
        """Add the loader's files to the layer."""
        ...


@dataclass(frozen=True)
class Making:
    """One run of the loaders' `make`, the same for all loaders of a disk.

    `menu` is complete, `version` the default entry's kernel's, `table` the kind of partition table. `esp`, `active` and
    `kernels` name the partitions that hold what the firmware starts and what is started, the first two empty on a disk
    without; `mounts` says where the guest mounts each. `loaders` are all that the disk has, `facts` the id, version_id
    and pretty_name of os-release. `keys` are variables for the firmware, signed, where they are to be offered to it.
    `room` is the key that says how much a core may take, and the bytes; `from_host` whether the host's files stand in
    for loader packages; `grub_modules` what GRUB's images are to hold besides.
    """

    ctx: Context
    layer: LayerWriter
    menu: Menu
    version: str
    table: str
    mounts: Mapping[str, str]
    esp: str
    active: str
    kernels: str
    kernels_uuid: str
    loaders: tuple[str, ...]
    facts: Mapping[str, str]
    removable: str
    room: tuple[str, int] | None = None
    from_host: bool = False
    grub_modules: tuple[str, ...] = ()
    signer: Signer | None = None
    keys: Mapping[str, bytes] = field(default_factory=dict)
    _added: dict[str, bytes | Path] = field(default_factory=dict)

    def add(self, path: str, data: bytes | Path, *, partition: str = "") -> None:
        """Add a file to a partition, the ESP unless another is named. Two loaders may add the same file."""
        name = f"{partition or self.esp}/{path}"
        if self._added.setdefault(name, data) != data:
            raise StageError(f"bootloader: two loaders want different files at {name}", "Keep one of them.")
        folder = ""
        for part in name.split("/")[:-1]:
            folder = f"{folder}/{part}".lstrip("/")
            self.layer.add_directory(folder)
        self.layer.add_file(name, data)

    def add_started(self, vendors: str, program: bytes) -> None:
        """Add an EFI program that the firmware starts: on the removable path, its vendor's or both, as asked."""
        data = self.signed(program, vendors)
        if self.removable != "no":
            self.add(REMOVABLE, data)
        if self.removable != "only":
            self.add(vendors, data)

    def signed(self, program: bytes, what: str) -> bytes:
        """Return an EFI program with the recipe's signature, where it has a key. Raises StageError where it is none."""
        pe.parse(program, what)
        return self.signer.program(program, what) if self.signer else program

    def configured(self, name: str, usual: bytes) -> bytes | Path:
        """Return the recipe's own configuration file of that name, else the usual one."""
        return self.ctx.inputs.get(f"config/{name}", usual)

    def kernel_file(self, item: Item) -> Path:
        """Return the kernel that an entry starts, as a file."""
        return self.ctx.inputs[role("kernel", item.kernel_of)]

    def initrd_file(self, item: Item) -> Path | None:
        """Return the initrd that an entry starts with, as a file."""
        return None if item.initrd is None else self.ctx.inputs[role("initrd", item.initrd_of)]

    def embed(self, code: bytes, core: bytes = b"", pointers: Iterable[Pointer] = ()) -> None:
        """Put code into the disk's first sector, and a core into the room that its table leaves, if that has room."""
        assert self.room is not None, "such a loader is known to have boot code"
        bootcode.check(core, *self.room)
        bootcode.write(self.ctx.outputs, BootCode(code, core, tuple(pointers)))

    @cached_property
    def _tree(self) -> dict[str, Entry]:
        from bootsmith.tasks.tree import layer

        return {entry.path: entry for entry in layer.read_index(self.ctx.inputs["base.index"]) if entry.type == "f"}

    def tree_files(self, folder: str, suffixes: Iterable[str]) -> dict[str, bytes]:
        """Return the files of the image's own tree that stand in a folder and end so: name -> content."""
        from bootsmith.tasks.tree import layer

        endings = tuple(suffixes)
        return {
            path.rpartition("/")[2]: layer.read_member(self.ctx.inputs["base.tar"], entry)
            for path, entry in self._tree.items()
            if path.rpartition("/")[0] == folder and path.endswith(endings)
        }

    def host_file(self, tool: str) -> Path:
        """Return a file of the host that stands in for one the tree has not. Raises StageError, ToolMissing."""
        if not self.from_host:
            raise StageError(
                "bootloader: the packages in the image's tree do not hold the loader's files",
                f"Set `boot.packages: false` to use this host's ({tool}).",
            )
        return self.ctx.tool(tool)
