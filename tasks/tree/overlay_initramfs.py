"""The initramfs of a system whose root is only read: as the tree's own initramfs-tools make it, and a layer over that.

`boot=` and its name has them run a script of ours: it mounts the root as they do, and lays a layer in memory over it.
What the system writes is gone with it; what lies beneath is there to look at, in /run/bootsmith/root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.tree import initramfs

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

# What only reads may be of a kind that initramfs-tools think of no root to be. A kernel that has it within is as good.
_HOOK: Final = """\
#!/bin/sh
# What an initramfs holds besides that puts a layer over its root. Written by bootsmith.
set -e
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
for module in MODULES; do
    if ! modprobe --set-version "$version" --dry-run --quiet "$module"; then
        echo "this kernel has no $module, which its root needs" >&2
        exit 1
    fi
    manual_add_modules "$module"
done
copy_exec "$(command -v mount)" /usr/lib/bootsmith/mount
"""

SCRIPT: Final = """\
# A root that is only read, and over it a layer in memory. Written by bootsmith.

mountroot() {
    local_mount_root
    modprobe -q overlay || true
    lower=/run/bootsmith/root upper=/run/bootsmith/changes
    mkdir -p "$lower" "$upper"
    overlay_mount -o move "$rootmnt" "$lower"
    overlay_mount -t tmpfs -o mode=0755 changes "$upper"
    mkdir -m 0755 "$upper/files" "$upper/work"
    overlay_mount -t overlay -o "lowerdir=$lower,upperdir=$upper/files,workdir=$upper/work" overlay "$rootmnt"
}

overlay_mount() {
    /usr/lib/bootsmith/mount -n "$@" || panic "bootsmith: mount $* failed"
}
"""
"""Sourced by the initramfs's /init, which has defined `panic`, `local_mount_root` and $rootmnt."""


@dataclass(frozen=True)
class OverlaidParams(Params):
    """When all of it was made, what `boot=` calls it, and the modules that the root's filesystem needs."""

    epoch: int
    name: str
    modules: tuple[str, ...]


def run(ctx: Context) -> None:
    """Make the initramfs. Raises StageError."""
    from bootsmith.tasks.tree.layer import LayerWriter

    params = OverlaidParams.of(ctx)

    def added(paths: Collection[str]) -> Path:  # noqa: ARG001  they are the same whatever there is
        tar = ctx.work / "overlay.tar"
        modules = " ".join(("overlay", *params.modules))
        with LayerWriter(tar, ctx.work / "overlay.index", params.epoch) as writer:
            writer.add_file(
                "usr/share/initramfs-tools/hooks/bootsmith-overlay", _HOOK.replace("MODULES", modules).encode(), 0o755
            )
            writer.add_file(f"usr/share/initramfs-tools/scripts/{params.name}", SCRIPT.encode())
        return tar

    initramfs.make(ctx, added)
