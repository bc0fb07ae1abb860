"""The output `directory`: the finished tree as a folder of this host, whose files have the tree's owners.

For root these are the tree's numbers. For an ordinary user root of the tree is the user, and everybody else one of its
subordinate ids, as in the user namespaces of containers: so run-dir, which looks at a folder this way, sees whose they
are. What the user could then not read is refused: nobody could tell whether it is still as it was made.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from bootsmith.cache.display import shown
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import finished_tree, merged_tar, unpacked_tree
from bootsmith.tasks.tree.finished_tree import TreeParams
from bootsmith.tasks.tree.tar import Entry

TOOLS: Final = ("tar",)
_NEEDED: Final = {"d": 0o5, "f": 0o4}
"""The rights without which a file of a type cannot be looked at."""
_INSTEAD: Final = "keep `tar` instead, which run-tgz boots, or build as root"


def run(ctx: Context) -> None:
    """Unpack the tree."""
    params = TreeParams.of(ctx)
    tree = finished_tree.gather(ctx, params)
    lost: list[str] = []
    members = list(unpacked_tree.fitting(tree.entries, lost))
    entries = [entry for entry, _ in members]
    if os.geteuid() != 0:
        _check(entries)
    if lost:
        ctx.tell(unpacked_tree.told(lost, "a folder's files"))
    tar, top = ctx.work / "tree.tar", ctx.outputs["tree"]
    merged_tar.write(tar, members, tree.sources)
    top.mkdir(0o755)
    top.chmod(0o755)
    os.utime(top, (params.epoch, params.epoch))
    ctx.say("unpacking the tree")
    others = any((entry.uid, entry.gid) != (0, 0) or entry.xattrs for entry in entries)
    owner = "--same-owner" if others else "--no-same-owner"
    ctx.run("tar", "--extract", f"--file={tar}", f"--directory={top}", owner, *unpacked_tree.FLAGS, root=others)


def _check(entries: Sequence[Entry]) -> None:
    """Refuse a tree that an ordinary user cannot have as a folder. Raises StageError."""
    from bootsmith.tasks.tools import subordinate_ids

    for entry in entries:
        if not entry.path and (entry.uid, entry.gid) != (0, 0):
            raise StageError(
                "the top of the tree belongs to somebody else than root, as which an ordinary user's folder stands",
                f"Let a layer give it to root (`directories: {{/: {{}}}}`), {_INSTEAD}.",
            )
    for what, kind in (("user", "subuid"), ("group", "subgid")):
        most = sum(count for _, count in subordinate_ids.mine(kind))
        beyond = [(entry.path, number) for entry in entries if (number := _owner(entry, kind)) > most]
        if beyond and most:  # without any the refusal is that of the namespace
            path, number = min(beyond)
            raise StageError(
                f"/{shown(path)} belongs to {what} {number}, and you have {most} subordinate ids in /etc/{kind}",
                f"Have more of them, {_INSTEAD}.",
            )
    closed = [entry.path for entry in entries if entry.type in _NEEDED and not _is_readable(entry)]
    if closed:
        among = f" and {len(closed) - 1} more" if closed[1:] else ""
        raise StageError(
            f"/{shown(min(closed))}{among}: only its owner, or root, may read it, and in a folder of an ordinary "
            "user's that would be nobody: whether it is as it was made could not be told",
            f"Remove it in a layer (`remove:`), {_INSTEAD}.",
        )


def _owner(entry: Entry, kind: str) -> int:
    return entry.uid if kind == "subuid" else entry.gid


def _is_readable(entry: Entry) -> bool:
    """Tell whether the user who stands for root, and its group, may look at a file."""
    shift = 6 if entry.uid == 0 else 3 if entry.gid == 0 else 0
    return not _NEEDED[entry.type] & ~(entry.mode >> shift)
