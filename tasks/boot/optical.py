"""The stage `convert/iso`: a CD for BIOS and UEFI that, written to a disk or a stick, starts from there as well.

As a CD it is started by its boot catalog (El Torito 1.0; the section for UEFI by UEFI 2.10, 12.3.2.1). As a disk, a
BIOS runs its first sector, which finds the same loader, and UEFI looks into its second partition, the same FAT
filesystem that the catalog names. Loaders find the rest by the volume's UUID, wherever it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.boot import efistub, grub, signing, syslinux
from bootsmith.tasks.boot.loader import Making
from bootsmith.tasks.boot.menu import NO_KERNEL, Menu
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import content, fat, iso9660, sources
from bootsmith.tasks.disk.kernel_paths import Placement
from bootsmith.tasks.tree import live_root

if TYPE_CHECKING:
    from bootsmith.tasks.tree.layer import LayerWriter

_CD: Final = "cd"
_ESP: Final = "esp"
_GRUB: Final = ("grub-mkimage",)
_TOOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "isolinux": ("isolinux", "syslinux-menu"),
    "grub-bios": (*_GRUB, "grub-bios-modules"),
    "grub-efi": (*_GRUB, "grub-efi-modules"),
    "efistub": efistub.HOST,
}
_FAT_TOOLS: Final = ("mkfs.vfat", "mcopy", "mmd")
_MIB: Final = 1 << 20
_SMALLEST: Final = 4 * _MIB
"""Bytes of the FAT filesystem: of less than that there is none with 16 bits an entry."""


@dataclass(frozen=True)
class OpticalParams(Params):
    """The volume's label and UUID, the serial of its FAT filesystem, and what starts it; see `LoaderParams`."""

    epoch: int
    label: str
    uuid: str
    serial: str
    loaders: tuple[str, ...]
    menu: Menu
    grub_modules: tuple[str, ...]
    signed: bool


def tools(loaders: Sequence[str], *, signed: bool) -> tuple[str, ...]:
    """Return the host programs that make a CD with these loaders."""
    found = [*iso9660.TOOLS, *(tool for name in loaders for tool in _TOOLS[name])]
    if _of_uefi(loaders):
        found += _FAT_TOOLS
    return tuple(dict.fromkeys([*found, *(signing.TOOLS if signed else ())]))


def _of_uefi(loaders: Sequence[str]) -> bool:
    return any(name in ("grub-efi", "efistub") for name in loaders)


def run(ctx: Context) -> None:
    """Make the loaders' files, the FAT filesystem, and of all of it the CD."""
    from bootsmith.tasks.tree.layer import LayerWriter, open_member, read_index

    params = OpticalParams.of(ctx)
    tar, index = ctx.work / "loader.tar", ctx.work / "loader.index"
    with LayerWriter(tar, index, params.epoch) as writer:
        making = _making(ctx, params, writer)
        firsts = [word for name in params.loaders for word in _LOADERS[name](making)]
    files = {}
    for number, entry in enumerate(read_index(index)):
        if entry.type == "f" and entry.path.startswith(f"{_CD}/"):
            copy = ctx.work / f"file-{number}"
            with open_member(tar, entry) as data:
                copy.write_bytes(data.read())
            files[entry.path.removeprefix(f"{_CD}/")] = copy
    for item in making.menu.items:
        files[item.kernel] = making.kernel_file(item)
        if (initrd := making.initrd_file(item)) is not None:
            files[str(item.initrd)] = initrd
    if "root" in ctx.inputs:
        files[live_root.PATH] = ctx.inputs["root"]
    words = _esp(ctx, params, tar, index) if _of_uefi(params.loaders) else []
    if firsts and words:
        words.insert(0, "-eltorito-alt-boot")
    boot = [*firsts, *words, "-c", "boot/boot.cat", "-partition_offset", "16"]
    ordered = {path: files[path] for path in sorted(files, key=lambda path: (path == live_root.PATH, path))}
    iso9660.write(
        ctx, ctx.outputs["image"], ordered, label=params.label, uuid=params.uuid, epoch=params.epoch, boot=boot
    )


def _making(ctx: Context, params: OpticalParams, writer: LayerWriter) -> Making:
    """Return what the loaders are told: kernels are on the CD, whose root is the root of the paths of its menu."""
    known = sources.read_facts(ctx)
    kernels = {item.kernel_of: _place(item.kernel_of, "vmlinuz") for item in params.menu.items}
    initrds = {item.initrd_of: _place(item.initrd_of, "initrd.img") for item in params.menu.items}
    placed = Placement(_CD, kernels, initrds, tuple(kernels)).named(known)
    shown = params.menu.completed(known, placed.kernels, placed.initrds)
    facts = known.get(shown.default_item.kernel_of, NO_KERNEL)
    return Making(
        ctx=ctx, layer=writer, menu=shown, version=facts["version"], table="none", mounts={_CD: "/"}, esp=_ESP,
        active="", kernels=_CD, kernels_uuid=params.uuid, loaders=params.loaders, facts=facts, removable="only",
        from_host=True, grub_modules=params.grub_modules, signer=signing.Signer(ctx) if params.signed else None,
    )  # fmt: skip


def _place(owner: str, name: str) -> str:
    return f"boot/entries/{owner}/{name}" if owner else f"boot/{name}"


def _isolinux(making: Making) -> list[str]:
    """Add ISOLINUX, which looks for its configuration beside itself; return what makes it start."""
    program = making.ctx.tool("isolinux")
    modules = making.ctx.tool("syslinux-menu").parent
    making.add("isolinux/isolinux.bin", program, partition=_CD)
    making.add("isolinux/isolinux.cfg", syslinux.configuration(making.menu).encode(), partition=_CD)
    for name in ("ldlinux.c32", *(syslinux.MENU_MODULES if making.menu.timeout else ())):
        making.add(f"isolinux/{name}", modules / name, partition=_CD)
    return [
        "-b", "isolinux/isolinux.bin", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
        "-isohybrid-mbr", str(program.parent / "isohdpfx.bin"),
    ]  # fmt: skip


def _grub_bios(making: Making) -> list[str]:
    """Add GRUB as a BIOS loads it from a CD, its menu besides; return what makes it start."""
    image = making.ctx.work / "eltorito.img"
    grub.make_image(making, "i386-pc", "grub-bios-modules", ("biosdisk", "iso9660"), image, form="i386-pc-eltorito")
    making.add("boot/grub/eltorito.img", image, partition=_CD)
    grub.add_configuration(making)
    first = grub.modules(making, "i386-pc", "grub-bios-modules") / "boot_hybrid.img"
    return [
        "-b", "boot/grub/eltorito.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
        "--grub2-boot-info", "--grub2-mbr", str(first), "--mbr-force-bootable",
    ]  # fmt: skip


def _grub_efi(making: Making) -> list[str]:
    image = making.ctx.work / "grub.efi"
    grub.make_image(making, "x86_64-efi", "grub-efi-modules", ("iso9660",), image)
    making.add_started("EFI/linux/grubx64.efi", image.read_bytes())
    grub.add_configuration(making)
    return []


def _efistub(making: Making) -> list[str]:
    efistub.make(making)
    return []


_LOADERS: Final = {"isolinux": _isolinux, "grub-bios": _grub_bios, "grub-efi": _grub_efi, "efistub": _efistub}


def _esp(ctx: Context, params: OpticalParams, tar: Path, index: Path) -> list[str]:
    """Make the FAT filesystem that UEFI looks into; return what makes it the CD's and its second partition's."""
    from bootsmith.tasks.tree.layer import read_index

    tree: content.Tree = {}
    size = 0
    for entry in read_index(index):
        if entry.type == "f" and entry.path.startswith(f"{_ESP}/"):
            inside = entry.path.removeprefix(f"{_ESP}/")
            content.make_directories(tree, ["", inside.rpartition("/")[0]], params.epoch)
            tree[inside] = (0, entry._replace(path=inside))
            size += entry.size
    image = ctx.work / "esp.img"
    room = max(_SMALLEST, -(-(size + size // 16 + _MIB) // _MIB) * _MIB)  # clusters and tables take less than that
    fat.make_small(ctx, image, room, serial=params.serial, label="ESP")
    fat.fill(ctx, image, _ESP, tree, [tar])
    return [
        "-append_partition", "2", "0xef", str(image),
        "-e", "--interval:appended_partition_2:all::", "-no-emul-boot",
    ]  # fmt: skip
