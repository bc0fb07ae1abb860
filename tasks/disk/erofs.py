"""A tree as one EROFS: packed, read-only, made by mkfs.erofs, which takes a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.tree import merged_tar, scratch, unpacked_tree

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.tree.tar import Entry

TOOLS: Final = (*scratch.TOOLS, "tar", "mkfs.erofs")

# $1: the tree's tar, the rest is what makes the image of the folder that it is unpacked to.
_UNPACK: Final = r"""
set -eu
from=$1
shift
tar --extract --file="$from" --directory="$TMPDIR" --numeric-owner --same-owner --same-permissions \
    --xattrs --xattrs-include=security.capability --xattrs-include='system.posix_acl_*'
exec "$@" "$TMPDIR"
"""


def pack(
    ctx: Context,
    tree: Mapping[str, tuple[int, Entry]],
    sources: Sequence[Path],
    image: Path,
    *,
    epoch: int,
    uuid: str,
    compress: str = "lz4",
) -> None:
    """Pack a tree, whose files' data is in the tars `sources`, by number: unpacked where its owners are the tree's."""
    lost: list[str] = []
    tar = ctx.work / "packed.tar"
    merged_tar.write(tar, unpacked_tree.fitting(tree, lost), sources)
    if lost:
        ctx.tell(unpacked_tree.told(lost, "the files that mkfs.erofs reads"))
    ctx.say("packing the tree")
    packed = [] if compress == "none" else [f"-z{compress}"]
    scratch.run_as_root(
        ctx, "mkfs.erofs", 2 * tar.stat().st_size, "sh", "-c", _UNPACK, "sh", tar,
        ctx.tool("mkfs.erofs"), "--quiet", *packed, f"-T{epoch}", f"-U{uuid}", image,
    )  # fmt: skip
