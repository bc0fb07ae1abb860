"""A tree made by a package manager of the host, which works on it from outside: the base layer of other distributions.

It enters the tree for what packages run, and has the rights of a container's root, but no network. What it makes of one
machine is for `tidy` to take away.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bootsmith.tasks.tree import foreign_tar, installed_identities, layer, sandbox, scratch
from bootsmith.tasks.tree.tar import scan

if TYPE_CHECKING:
    from bootsmith.tasks.build.stage import Context
    from bootsmith.tasks.tree.tar import Entry

TOOLS: Final = (*sandbox.TOOLS, *installed_identities.TOOLS)

# $1: an empty file; the rest is run.
_INSIDE: Final = rf"""
set -eu
nothing=$1
shift
{sandbox.MOUNTS}
exec "$@"
"""
# $1: an empty file, $2: the tar of the tree, $3: what prepares the tree, $4: what runs the rest, $5: what tidies up.
_MAKE: Final = rf"""
set -eu
nothing=$1 after=$2 prepare=$3 inside=$4 tidy=$5
shift 5
cd "$TMPDIR"
chmod 0755 .
{chr(10).join(f"mkdir -m {mode:04o} {place}" for place, mode in sandbox.PLACES.items())}
eval "$prepare"
unshare --mount --pid --fork --kill-child -- sh -c "$inside" sh "$nothing" "$@" </dev/null
eval "$tidy"
rm -f etc/ssh/ssh_host_*_key etc/ssh/ssh_host_*_key.pub var/cache/ldconfig/aux-cache
[ ! -e etc/machine-id ] || : >etc/machine-id
{sandbox.PACK}
"""


@dataclass(frozen=True, slots=True)
class Work:
    """What makes a tree: programs of the host, one after the other, each its path and its words.

    `prepare` and `tidy` are shell scripts that begin in the tree; `need` how many bytes it may take.
    """

    name: str
    commands: Sequence[Sequence[str | Path]]
    epoch: int
    need: int
    prepare: str = ":"
    tidy: str = ":"
    env: Mapping[str, str] | None = None


def tree(ctx: Context) -> Path:
    """Return where the tree is while it is made."""
    return ctx.work / "tree"


class Made(NamedTuple):
    """What is in a tree that was made, and what the programs printed."""

    entries: list[Entry]
    printed: str


def make(ctx: Context, work: Work) -> Made:
    """Make the base layer, a tar and its index. Raises StageError, ToolFailed."""
    began = int(time.time())
    after, nothing = ctx.work / "after.tar", ctx.work / "empty"
    nothing.write_bytes(b"")
    removed, named = ctx.work / "removed", ctx.work / "named"
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(work.epoch),
        "SYSTEMD_OFFLINE": "1",
        **(work.env or {}),
    }
    rights = ",".join(["-all", *(f"+{each}" for each in sandbox.RIGHTS)])
    tidy = f"{work.tidy}\n(set -- .\n{installed_identities.removal(removed, named)})"
    words: list[str | Path] = [nothing, after, work.prepare, _INSIDE, tidy]
    words += [ctx.tool("env"), "-i", *(f"{name}={value}" for name, value in env.items())]
    words += [ctx.tool("setpriv"), f"--bounding-set={rights}", "--inh-caps=-all", "--", ctx.tool("sh"), "-ec"]
    words += ["\n".join(shlex.join(map(str, each)) for each in work.commands)]
    done = scratch.run_as_root(ctx, work.name, work.need, "sh", "-c", _MAKE, "sh", *words, hidden=())
    for line in installed_identities.told(removed.read_text(errors="replace"), named.read_text(errors="replace")):
        ctx.tell(line)
    return Made(_write(ctx, after, work.epoch, began), (done.stdout + done.stderr).decode(errors="replace"))


def _write(ctx: Context, tar: Path, epoch: int, began: int) -> list[Entry]:
    """Write the layer: what was made just now carries the image's date, as does what is younger."""
    entries = foreign_tar.settled(list(scan(tar)), tar)
    with layer.LayerWriter(ctx.outputs["tar"], ctx.outputs["index"], epoch) as writer:
        for entry in entries:
            if entry.type == "h":
                writer.add_hard_link(entry.path, entry.link)
            elif entry.path:
                kept = entry.mtime < began and entry.mtime <= epoch
                writer.add_copy(entry, tar, mtime=entry.mtime if kept else epoch)
    tar.unlink()
    return entries
