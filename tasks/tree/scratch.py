"""Work as uid 0 on a tree that is thrown away: in memory where there is room, else on disk.

In memory the tree lives in a file system that only the program's own mount namespace knows: whatever ends the program
ends the tree, and nothing is left that its owner could not remove.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bootsmith.tasks.stage import Completed, Context
from bootsmith.tasks.tools import room

TOOLS: Final = ("sh", "unshare", "mount", "hostname", "rm")
"""What a stage declares that works this way, beside its own."""

RESERVE: Final = 1 << 30
"""Bytes of memory left to everybody else."""

# $1: size of the tree's tmpfs or "", $2: where the tree goes; the rest is the program and its arguments.
# Of the host, programs see no name and no name servers. What they mount into the tree is gone before the tree goes.
_PRELUDE: Final = r"""
set -eu
umask 022
hostname localhost
size=$1 TMPDIR=$2 from=$3
shift 3
export TMPDIR
for file in hostname resolv.conf hosts; do
    [ ! -e "/etc/$file" ] || mount --bind "$from/$file" "/etc/$file"
done
if [ "$size" ]; then
    mount -t tmpfs -o "mode=0755,size=$size" tmpfs "$TMPDIR"
else
    trap 'rm -rf --one-file-system -- "$TMPDIR"' EXIT
fi
unset file from size
unshare --mount -- "$@"
"""


def run_as_root(
    ctx: Context, need: int, *words: str | Path, env: Mapping[str, str] | None = None, stdout: Path | None = None
) -> Completed:
    """Run a program as uid 0 with an empty directory for `need` bytes, named to it by TMPDIR. Raises ToolFailed."""
    tree = ctx.work / "tree"
    tree.mkdir()
    for name, text in (("hostname", "localhost\n"), ("resolv.conf", ""), ("hosts", "127.0.0.1 localhost\n")):
        (ctx.work / name).write_text(text)
    available = room.memory_available() - RESERVE
    size = str(available) if available > need else ""
    return ctx.run(
        "unshare", "--uts", "--", "sh", "-c", _PRELUDE, "sh", size, tree, ctx.work, *words,
        root=True, env=env, stdout=stdout,
    )  # fmt: skip
