"""The root partition and its filesystem, grown to the disk by the guest itself, each time it starts.

Only what the guest's own kernel may do to a mounted filesystem, and its own sfdisk to a table, is made use of.
"""

from __future__ import annotations

from typing import Final

from bootsmith.tasks.errors import StageError, Together
from bootsmith.tasks.tree import own_unit
from bootsmith.tasks.tree.delta import Delta

UNIT: Final = "grow-root.service"
SCRIPT: Final = f"{own_unit.FOLDER}/grow-root"
_TEXT: Final = f"""\
[Unit]
Description=Grow the root partition and its filesystem to the disk
DefaultDependencies=no
Wants=systemd-remount-fs.service
After=systemd-remount-fs.service
Conflicts=shutdown.target
Before=local-fs.target shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/{SCRIPT}

[Install]
WantedBy=local-fs.target
"""
# Nothing but the shell finds out where the root is. A table is written only where 2 MiB (4096 sectors) or more are free
# behind its last partition, which then is the root: a growth leaves less, for the second GPT and up to a whole MiB.
# sfdisk moves that GPT to the disk's end as it writes.
_FIND: Final = r"""#!/bin/sh
# Gives the root what is free behind it on its disk.
set -eu
while read -r _ _ number _ point rest; do
    if [ "$point" = / ]; then
        here=/sys/dev/block/$number source=${rest#* - }
    fi
done </proc/self/mountinfo
if [ ! -e "$here" ]; then # what spans several disks has no number of its own
    source=${source#* }
    source=${source%% *}
    here=/sys/class/block/${source##*/}
fi
named() {
    while IFS== read -r key value; do
        [ "$key" != DEVNAME ] || echo "/dev/$value"
    done <"$1/uevent"
}
"""
_PARTITION: Final = r"""
grow_partition() {
    [ -e "$here/partition" ] || return 0
    read -r start <"$here/start"
    read -r length <"$here/size"
    read -r whole <"$here/../size"
    for other in "$here"/../*/start; do
        read -r behind <"$other"
        [ "$behind" -le "$start" ] || return 0
    done
    [ $((whole - start - length)) -ge 4096 ] || return 0
    read -r number <"$here/partition"
    disk=$(named "$here/..")
    echo ', +' | sfdisk --no-reread --no-tell-kernel --force --quiet -N "$number" "$disk"
    partx --update --nr "$number" "$disk"
}
grow_partition
"""
_FILESYSTEM: Final = {
    "lib/systemd/systemd-growfs": "exec /lib/systemd/systemd-growfs /\n",
    "sbin/resize2fs": 'exec resize2fs "$(named "$here")"\n',
}
_PROGRAMS: Final = (("sbin/sfdisk", "fdisk"), ("bin/partx", "util-linux"))


def declare(delta: Delta, table: str | None) -> None:
    """Have the root grow, on a disk with a table of that kind; None where it is not to. Raises StageError."""
    if table is None:
        return
    tree = delta.tree
    partitioned = table != "none"
    together = Together()
    for path, package in _PROGRAMS if partitioned else ():
        with together:
            if not any(tree.find(f"{top}{path}") for top in ("", "usr/")):
                raise StageError(
                    f"system.grow: {path.rpartition('/')[2]}, by which a partition grows, is not in the tree",
                    f"Add the package {package}, or leave system.grow out.",
                )
    last = next((line for path, line in _FILESYSTEM.items() if tree.find(path)), "")
    with together:
        if not last:
            raise StageError(
                "system.grow: nothing in the tree grows a filesystem: neither systemd-growfs nor resize2fs",
                "Add the package systemd or e2fsprogs, or leave system.grow out.",
            )
    with together:
        own_unit.start(delta, "system.grow", UNIT, _TEXT, by="local-fs.target")
    together.settle()
    delta.add_file(SCRIPT, f"{_FIND}{_PARTITION if partitioned else ''}{last}".encode(), 0o755)
