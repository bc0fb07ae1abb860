"""The keys of `disk:`: the disk and its partitions."""

from __future__ import annotations

from bootsmith.tasks.recipe.model import disk as model
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.files import File
from bootsmith.tasks.recipe.values.scalars import Bool, Choice, integer, size
from bootsmith.tasks.recipe.values.shapes import Key, ListOf, Named, Section

_REFUSED = {
    "xfs": (
        "xfs is read here, not made: mkfs.xfs can be told of no attributes, hard links or names with blanks",
        "write ext4 or btrfs",
    ),
}
PARTITION = Section(
    {
        "fs": Key(
            Choice(
                *("ext4", "ext3", "ext2", "vfat", "btrfs", "squashfs", "erofs", "swap", "verity", "none"),
                refused=_REFUSED,
            ),
            "the filesystem; squashfs and erofs are packed and read-only, as large as what they hold; verity is a hash "
            "tree, written only to say where that of the partition with verity: true stands",
            derived="vfat for an ESP, swap and verity for their types, none for bios-boot, lvm and content, else ext4",
        ),
        "mount": Key(words.MOUNT, "where the guest mounts it; the files below are put on it"),
        "size": Key(
            Choice("auto", "remaining", other=size()),
            "auto: what its content needs, a tenth more, and extra; remaining: what disk.size leaves. "
            "Where disk.size is given and nothing is remaining, an auto / becomes it",
            "auto",
        ),
        "extra": Key(
            size(0),
            "free space promised to the guest",
            derived="256M for a / that can be written and whose size is not, else 0s",
        ),
        "start": Key(size(512), "where it begins", derived="the next whole MiB"),
        "type": Key(
            words.PARTITION_TYPE,
            "what the table says it is: a name, gdisk's code, a GUID, or MBR's code like 0x83",
            derived="by mount",
        ),
        "active": Key(Bool(), "MBR's flag for the partition that a BIOS boots", derived="the loader's, on MBR"),
        "label": Key(words.LINE, "the filesystem's label", derived="the partition's name, for vfat in capitals"),
        "name": Key(words.LINE, "its name in a GPT", derived="the partition's name", attr="gpt_name"),
        "uuid": Key(words.VOLUME_ID, "the filesystem's UUID; vfat's is like ABCD-1234", derived="from seed and name"),
        "partuuid": Key(
            words.PARTUUID,
            "the partition's GUID",
            derived="from seed and name; on MBR from disk.id and its place; with verity from the root hash",
        ),
        "attributes": Key(
            ListOf(Choice("legacy-boot", "no-auto", "read-only", other=words.ATTRIBUTE), once=True),
            "flags in a GPT, by name or bit; syslinux adds legacy-boot",
            [],
        ),
        "options": Key(
            words.OPTIONS,
            "mount options in fstab",
            derived="defaults; ro for squashfs and erofs; for vfat with umask=0077; with nofail what a system comes up "
            "without, which is all but / and what lies at or below /usr, /var, /etc, /opt and /srv",
        ),
        "pass": Key(
            integer(0, 2),
            "fsck's turn in fstab",
            derived="1 for /; 0 for vfat, btrfs, read-only or unmounted; else 2",
            attr="fsck_pass",
        ),
        "overlay": Key(
            Choice("memory", "none"),
            "what a system writes to a read-only / goes to: a layer in memory, found by an initrd of ours; or nowhere",
            derived="memory for a squashfs or erofs at /, else none",
        ),
        "content": Key(File(), "what stands there as it is, such as firmware: a partition without a filesystem"),
        "in_table": Key(Bool(), "whether the table has it; if not, it has its place all the same", True),
        "encrypt": Key(
            Section(
                {
                    "luks": Key(integer(1, 2), "the version of LUKS", 2),
                    "passphrase": Key(words.SecretRef(holds="the passphrase"), "what it is unlocked by", required=True),
                },
                model.Encryption,
            ),
            "put the filesystem into an encrypted volume, unlocked at boot",
        ),
        "verity": Key(
            Bool(),
            "have the kernel verify every block of a packed / as it is read: by a hash tree in a partition behind it, "
            "and the root hash on the kernel's command line",
            False,
        ),
        "features": Key(
            ListOf(words.FEATURE),
            "of ext: added to the usual ones, or with ^ before it taken away; none before them takes all away",
            [],
        ),
        "inode_size": Key(words.INODE_SIZE, "bytes of each inode of ext", 256),
        "reserved": Key(integer(0, 50), "per cent of ext's blocks that only root may fill", 1),
        "subvolumes": Key(
            ListOf(words.MOUNT, once=True),
            "of btrfs: folders that are subvolumes, by where the guest has them; nothing has to mount them",
            [],
        ),
        "mkfs": Key(
            ListOf(words.LINE),
            "further words for mke2fs (-r -i -N -e) or mkfs.vfat (-s -R -f -h)",
            [],
        ),
    }
)

DISK = Section(
    {
        "table": Key(
            Choice("gpt", "mbr", "none"), "the partition table; none: the disk is one filesystem", derived="by loader"
        ),
        "size": Key(Choice("auto", other=size(1 << 20)), "the whole disk", "auto"),
        "sector": Key(
            words.SECTOR, "bytes in a sector, as the machine's disk counts them; 4096 is for UEFI alone", 512
        ),
        "id": Key(words.DISK_ID, "the disk's GUID, or MBR's signature: eight hex digits", derived="from seed"),
        "partitions": Key(
            Named(words.PLAIN, PARTITION), "the partitions in order; replaces the usual layout", derived="by loader"
        ),
    }
)
