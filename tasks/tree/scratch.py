"""Work as uid 0 on a tree that is thrown away: in memory where there is room, else on disk.

In memory the tree lives in a file system that only the program's own mount namespace knows: whatever ends the program
ends the tree, and nothing is left that its owner could not remove.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.errors import ToolFailed
from bootsmith.tasks.tools import capacity

if TYPE_CHECKING:
    from bootsmith.tasks.build.stage import Context
    from bootsmith.tasks.tools.process import Completed

TOOLS: Final = ("sh", "unshare", "mount", "hostname", "rm")
"""What a stage declares that works this way, beside its own."""

HIDDEN: Final = ("cpuinfo", "cmdline", "mdstat", "modules", "partitions", "swaps")
"""What of /proc tells of the host's processor, disks and command line: empty files, as in a machine not there yet."""
RESERVE: Final = 1 << 30
"""Bytes of memory left to everybody else."""

# $1: size of the tree's tmpfs or "", $2: where the tree goes, $3: where our own files are, $4: what of /proc is hidden;
# the rest is the program and its arguments.
# Of the host, programs see no name, no name servers, and no settings of apt and dpkg, which are its own affair: dpkg
# may be told to leave files out, and what PATH packages run with is asked of apt. Nor do they see in /proc what it is
# made of. What they mount into the tree is gone before the tree goes.
_PRELUDE: Final = r"""
set -eu
umask 022
hostname localhost
size=$1 TMPDIR=$2 from=$3 hidden=$4
shift 4
export TMPDIR
for file in hostname resolv.conf hosts; do
    [ ! -e "/etc/$file" ] || mount --bind "$from/$file" "/etc/$file"
done
for file in apt/apt.conf dpkg/dpkg.cfg; do
    [ ! -e "/etc/$file" ] || mount --bind "$from/resolv.conf" "/etc/$file"
done
for folder in apt/apt.conf.d dpkg/dpkg.cfg.d; do
    [ ! -d "/etc/$folder" ] || mount --bind "$from/nothing" "/etc/$folder"
done
for file in $hidden; do
    [ ! -e "/proc/$file" ] || mount --bind "$from/resolv.conf" "/proc/$file"
done
if [ "$size" ]; then
    mount -t tmpfs -o "mode=0755,size=$size" tmpfs "$TMPDIR"
else
    trap 'rm -rf --one-file-system -- "$TMPDIR"' EXIT
fi
unset file folder from size hidden
unshare --mount -- "$@"
"""


def run_as_root(
    ctx: Context,
    name: str,
    need: int,
    *words: str | Path,
    env: Mapping[str, str] | None = None,
    network: bool = False,
    hidden: Sequence[str] = HIDDEN,
) -> Completed:
    """Run a program as uid 0 with an empty directory for `need` bytes, named to it by TMPDIR.

    Of /proc the `hidden` files are empty to it. Raises ToolFailed, where the program goes by `name`.
    """
    tree = ctx.work / "tree"
    tree.mkdir()
    (ctx.work / "nothing").mkdir(exist_ok=True)
    for file, text in (("hostname", "localhost\n"), ("resolv.conf", ""), ("hosts", "127.0.0.1 localhost\n")):
        (ctx.work / file).write_text(text)
    available = capacity.memory_available() - RESERVE
    size = str(available) if available > need else ""
    prelude: list[str | Path] = ["--uts", "--", "sh", "-c", _PRELUDE, "sh", size, tree, ctx.work, " ".join(hidden)]
    try:
        return ctx.run("unshare", *prelude, *words, root=True, env=env, network=network)
    except ToolFailed as error:
        raise ToolFailed(f"{name} failed", error.hint, tail=error.tail, status=error.status) from error
