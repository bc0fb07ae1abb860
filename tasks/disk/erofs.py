"""A tree as one EROFS: packed, read-only, made by mkfs.erofs, which takes a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.tree import merged_tar, sandbox, scratch

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
    merged_tar.write(tar, _fitting(tree, lost), sources)
    if lost:
        among = f" and {len(lost) - 1} more" if lost[1:] else ""
        ctx.tell(
            f"/{shown(min(lost))}{among}: device nodes, and attributes but for capabilities and access control lists, "
            "only real root could give to the files that mkfs.erofs reads: left out"
        )
    ctx.say("packing the tree")
    packed = [] if compress == "none" else [f"-z{compress}"]
    scratch.run_as_root(
        ctx, "mkfs.erofs", 2 * tar.stat().st_size, "sh", "-c", _UNPACK, "sh", tar,
        ctx.tool("mkfs.erofs"), "--quiet", *packed, f"-T{epoch}", f"-U{uuid}", image,
    )  # fmt: skip


def _fitting(tree: Mapping[str, tuple[int, Entry]], lost: list[str]) -> Iterator[merged_tar.Member]:
    """Yield the members that can be unpacked without real root; what is `lost` of others but those of /dev."""
    for path, (number, entry) in tree.items():
        if tree[entry.link if entry.type == "h" else path][1].type in sandbox.UNMADE:
            if not path.startswith("dev/"):  # there the kernel makes them
                lost.append(path)
            continue
        kept = {name: value for name, value in entry.xattrs.items() if name in sandbox.KEPT_ATTRIBUTES}
        if len(kept) < len(entry.xattrs):
            lost.append(path)
        yield entry._replace(xattrs=kept) if len(kept) < len(entry.xattrs) else entry, number
