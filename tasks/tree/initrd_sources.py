"""The initrd, however a recipe has it: made by the tree's own tools, the tree itself, a file, or none."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import acl, initrd_archive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bootsmith.tasks.tree.merged import Tree

PACK: Final[Mapping[str, tuple[str, ...]]] = {
    # neither name nor time of what is packed, and the same bytes on any number of cores
    "gzip": ("gzip", "-nc"),
    "zstd": ("zstd", "-qc", "-9", "--single-thread"),
}
_MAKE_INIT: Final = "Put the program or script that is to run first there: in the source, or by a files layer."


def pack(ctx: Context) -> None:
    """Write the tree as a cpio archive. Raises StageError where Linux would find nothing to start in it."""
    from bootsmith.tasks.tree import cpio
    from bootsmith.tasks.tree.merged import tree_below

    tree = tree_below(ctx)
    check_init(tree)
    listed = sorted(path for path, (_, entry) in tree.entries.items() if acl.NAMES & entry.xattrs.keys())
    if listed:
        raise StageError(
            f"/{shown(listed[0])} has an access control list, which no initramfs can hold",
            f"Make the tree without it, and without those of {len(listed) - 1} more: setfacl -b.",
        )
    with ctx.outputs["cpio"].open("wb") as target:
        cpio.write(target, tree)
    deprived = sorted(path for path, (_, entry) in tree.entries.items() if "security.capability" in entry.xattrs)
    if deprived:
        among = f" and {len(deprived) - 1} more" if deprived[1:] else ""
        ctx.tell(
            f"/{deprived[0]}{among}: without its capabilities, which no initramfs can hold: root may all the same, "
            "others where mode 4755 lets them"
        )


def check_init(tree: Tree) -> None:
    """Refuse a tree whose /init is missing or cannot run."""
    init = tree.find("init")
    if init is not None and init.type == "h":
        init = tree.entries[init.link][1]
    if init is None:
        what = "is a link to nothing" if tree.link("init") else "is not there"
        raise StageError(f"an initramfs starts with /init, which {what}", _MAKE_INIT)
    if init.type != "f":
        raise StageError("an initramfs starts with /init, which is no file", _MAKE_INIT)
    if not init.mode & 0o111:
        raise StageError(
            "an initramfs starts with /init, which is not executable",
            "chmod +x it, or give it mode: 0755 in the files layer it comes from.",
        )


@dataclass(frozen=True)
class CompressionParams(Params):
    """How the archive is packed: a name in PACK, or "none"."""

    compress: str


def compress(ctx: Context) -> None:
    """Pack the archive."""
    how = CompressionParams.of(ctx).compress
    if how == "none":
        shutil.copyfile(ctx.inputs["cpio"], ctx.outputs["initrd"])
        return
    tool, *words = PACK[how]
    ctx.run(tool, *words, ctx.inputs["cpio"], stdout=ctx.outputs["initrd"])


def find(ctx: Context) -> None:
    """Copy the initrd that the tree has for the kernel. Raises StageError where it has none."""
    from bootsmith.tasks.tree import installed_kernel
    from bootsmith.tasks.tree.merged import tree_below

    tree = tree_below(ctx)
    known = json.loads(ctx.inputs["facts"].read_bytes())
    path = known.get("initrd")
    if path is None:
        version = known["version"]
        suffix = installed_kernel.suffix(known["path"]) if "path" in known else version
        names = ", ".join(f"/{name}" for name in installed_kernel.initrd_names(version, suffix))
        raise StageError(
            f"the tree has no initrd for its kernel {version} ({names})",
            f"Name one by {ctx.hints['key']}, or --initrd; none, where the kernel has the drivers for its disk within.",
        )
    initrd_archive.take(tree, path, ctx.outputs["initrd"], f"name one by {ctx.hints['key']}, or --initrd")


def take(ctx: Context) -> None:
    """Copy the recipe's own initrd. Raises StageError where it is none, or not all of one."""
    file, initrd = ctx.inputs["file"], ctx.outputs["initrd"]
    shutil.copyfile(file, initrd)
    why = initrd_archive.refusal(initrd)
    if why:
        raise StageError(f"{file} cannot be the initrd: it {why}", f"Let {ctx.hints['key']} name another file.")
