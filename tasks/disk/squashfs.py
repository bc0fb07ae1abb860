"""A tree as one squashfs: packed, read-only, made by mksquashfs of a tar, so that owners and devices need no root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.tree import acl

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.tree.tar import Entry

TOOLS: Final = ("sh", "mksquashfs")
_FSTAB: Final = "etc/fstab"
_NO_FSTAB: Final = b"# a live system: its root is where it was started from, and no disk is mounted by itself\n"
_HELD: Final = ("user.", "trusted.", "security.")
"""The kinds of attributes that squashfs has a number for."""
_COMMAND: Final = 'tar=$1; shift; exec "$@" <"$tar"'


@dataclass(frozen=True)
class SquashfsParams(Params):
    """When all of it was made; `fstab` says that the tree's own, which names a disk's partitions, is not in it."""

    epoch: int
    fstab: bool


def run(ctx: Context) -> None:
    """Pack the tree of the layers that are the inputs."""
    from bootsmith.tasks.tree import layer
    from bootsmith.tasks.tree.merged import tree_below

    params = SquashfsParams.of(ctx)
    count = sum(role.endswith(".tar") for role in ctx.inputs)
    sources = [ctx.inputs[f"{number}.tar"] for number in range(count)]
    tree = dict(tree_below(ctx).entries)
    if params.fstab and tree.get(_FSTAB, (0, None))[1] is not None:
        sources.append(_one_file(ctx, _FSTAB, _NO_FSTAB))
        (entry,) = layer.read_index(ctx.work / "one.index")
        tree[_FSTAB] = (count, entry)
    pack(ctx, tree, sources, ctx.outputs["image"], epoch=params.epoch)


def pack(
    ctx: Context,
    tree: Mapping[str, tuple[int, Entry]],
    sources: Sequence[Path],
    image: Path,
    *,
    epoch: int,
    compress: str = "zstd",
) -> None:
    """Pack a tree, whose files' data is in the tars `sources`, by number."""
    from bootsmith.tasks.tree import layer

    _, top = tree[""]
    tar = ctx.work / "packed.tar"
    with tar.open("wb") as out:
        layer.write_tree(out, _fitting(ctx, tree), sources, epoch)
    ctx.say("packing the tree")
    ctx.run(
        "sh", "-c", _COMMAND, "sh", tar, ctx.tool("mksquashfs"), "-", image,
        "-tar", "-comp", compress, "-noappend", "-exit-on-error", "-no-progress", "-quiet",
        # of a tar's own root it takes nothing; when the whole was made, SOURCE_DATE_EPOCH tells it
        "-root-mode", f"{top.mode:o}", "-root-time", str(epoch),
    )  # fmt: skip


def _one_file(ctx: Context, path: str, data: bytes) -> Path:
    """Return a layer of one file."""
    from bootsmith.tasks.tree.layer import LayerWriter

    tar = ctx.work / "one.tar"
    with LayerWriter(tar, ctx.work / "one.index", 0) as writer:
        writer.add_file(path, data)
    return tar


def _fitting(ctx: Context, tree: Mapping[str, tuple[int, Entry]]) -> dict[str, tuple[int, Entry]]:
    """Return the tree as squashfs holds it, and tell of access control lists: without them nobody may more."""
    found, listed = {}, []
    for path, (number, entry) in tree.items():
        if not all(name.startswith(_HELD) for name in entry.xattrs):
            entry = _plain(entry)  # noqa: PLW2901  the same entry, less what it cannot have
            listed.append(path)
        found[path] = (number, entry)
    if listed:
        among = f" and {len(listed) - 1} more" if listed[1:] else ""
        ctx.tell(f"/{min(listed)}{among}: without its access control list, which no squashfs can hold")
    return found


def _plain(entry: Entry) -> Entry:
    """Return an entry without its lists; the group's bits were the mask, and are now what the group itself may."""
    mode = entry.mode
    rows = entry.xattrs.get(acl.ACCESS)
    if rows is not None:
        rights = {tag: right for tag, _, right in acl.decode(rows)}
        mode = mode & ~0o070 | (rights[acl.GROUP] & rights.get(acl.MASK, 7)) << 3
    kept = {name: value for name, value in entry.xattrs.items() if name.startswith(_HELD)}
    return entry._replace(mode=mode, xattrs=kept)
