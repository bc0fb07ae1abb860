"""The initramfs of a live system: as the tree's own initramfs-tools make it, with a way to a root that is on a CD.

`boot=live` has them run the script `live`, by which Debian's live-boot finds a root, too: where a tree has that, it is
left to it. Ours needs no package, but for what initramfs-tools and `mount` are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.tree import initramfs, live_root

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_THEIRS: Final = "usr/share/initramfs-tools/scripts/live"
"""What live-boot brings."""

# The modules, their own needs besides: a root in a file on a CD, and what CDs and sticks are behind. Of drivers a
# kernel may lack any; but without a layer over a packed tree nothing comes up.
_HOOK: Final = """\
#!/bin/sh
# What a live system's initramfs holds besides. Written by bootsmith.
set -e
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
for module in loop squashfs overlay isofs; do
    if ! modprobe --set-version "$version" --dry-run --quiet "$module"; then
        echo "this kernel has no $module, which a live system needs" >&2
        exit 1
    fi
    manual_add_modules "$module"
done
manual_add_modules cdrom sr_mod sd_mod ahci ata_piix ata_generic usb_storage uas xhci_pci ehci_pci virtio_blk \\
    virtio_pci virtio_scsi nvme
copy_exec "$(command -v mount)" /usr/lib/bootsmith/mount
"""

SCRIPT: Final = """\
# The root of a live system: a packed tree on a CD or a stick, and over it a layer in memory. Written by bootsmith.

mountroot() {
    medium=
    # shellcheck disable=SC2013
    for word in $(cat /proc/cmdline); do
        case $word in live-media=*) medium=${word#live-media=} ;; esac
    done
    for module in loop squashfs overlay isofs; do
        modprobe -q "$module" || true
    done
    case $medium in  # of a drive with a CD in it udev makes such a link only by what no initramfs has
    /dev/disk/by-uuid/*) medium=UUID=${medium##*/} ;;
    esac
    local_device_setup "$medium" "live medium"
    lower=/run/live/root upper=/run/live/changes
    mkdir -p /run/live/medium "$lower" "$upper"
    live_mount -t iso9660 -o ro "$DEV" /run/live/medium
    live_mount -t squashfs -o ro,loop /run/live/medium/ROOT "$lower"
    live_mount -t tmpfs -o mode=0755 changes "$upper"
    mkdir -m 0755 "$upper/files" "$upper/work"
    live_mount -t overlay -o "lowerdir=$lower,upperdir=$upper/files,workdir=$upper/work" overlay "$rootmnt"
}

live_mount() {
    /usr/lib/bootsmith/mount "$@" || panic "bootsmith: mount $* failed: is the medium whole?"
}
""".replace("ROOT", live_root.PATH)
"""Sourced by the initramfs's /init, which has defined `panic`, `local_device_setup` and $rootmnt."""


def run(ctx: Context) -> None:
    """Make the initramfs. Raises StageError."""
    from bootsmith.tasks.tree.layer import LayerWriter

    def added(paths: Collection[str]) -> Path | None:
        if _THEIRS in paths:
            ctx.say("the tree's live-boot finds the live root")
            return None
        tar = ctx.work / "live.tar"
        with LayerWriter(tar, ctx.work / "live.index", initramfs.InitramfsParams.of(ctx).epoch) as writer:
            writer.add_file("usr/share/initramfs-tools/hooks/bootsmith-live", _HOOK.encode(), 0o755)
            writer.add_file(_THEIRS, SCRIPT.encode())
        return tar

    initramfs.make(ctx, added)
