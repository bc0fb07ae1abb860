"""Mistakes in `disk`, with the line their user sees."""

from __future__ import annotations

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

MANY = ", ".join(f"p{number}: {{fs: none, size: 1M}}" for number in range(127))
BAD = [
    (
        SOURCE + f"disk: {{partitions: {{esp: {{}}, root: {{mount: /}}, {MANY}}}}}\n",
        ["2:3466: disk.partitions.p126: a GPT has room for 128 partitions; leave some out"],
    ),
    (SOURCE + "disk: {table: bsd}\n", ["2:15: disk.table: 'bsd' is not a choice; known here: gpt, mbr, none"]),
    (SOURCE + "disk: {sector: 520}\n", ["2:16: disk.sector: no disk has sectors of 520 bytes; write 512, or 4096"]),
    (
        SOURCE + "disk: {id: 1234}\n",
        [
            (
                "2:12: disk.id: '1234' is not a disk's id; write a UUID, or on an MBR disk eight hex "
                "digits that are not all 0"
            )
        ],
    ),
    (
        SOURCE + "disk: {size: 40M}\n",
        [
            (
                "2:14: disk.size: 40M is too small: the partitions need 515M, and what their files "
                "take; raise it, or make them smaller"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {root: {mount: /}}}\n",
        ["2:8: disk.partitions: systemd-boot needs an ESP; write `esp: {size: 512M, mount: /boot/efi}` too"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}}}\n",
        [
            (
                "2:8: disk.partitions: no partition is mounted at /; this replaces the usual layout, "
                "so write `root: {mount: /}` too"
            )
        ],
    ),
    (
        SOURCE
        + (
            "disk:\n  size: 8G\n  partitions:\n    esp: {size: 32M}\n    root: {mount: /, size: "
            "remaining}\n    home: {mount: /home, size: remaining}\n"
        ),
        [
            "5:17: disk.partitions.esp.size: 32M is too small for FAT32; write at least 33M",
            "7:32: disk.partitions.home.size: root takes what is remaining already; write a size",
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, size: remaining}}}\n",
        [
            (
                "2:53: disk.partitions.root.size: there is no disk.size for it to be remaining of; "
                "write disk.size, or auto here"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {fs: ext4}, root: {mount: /}}}\n",
        ["2:31: disk.partitions.esp.fs: firmware reads no ext4; write vfat, or another type:"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, efi: {mount: /efi}, root: {mount: /}}}\n",
        ["2:30: disk.partitions.efi.type: esp is the ESP already; give this one another type"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: vfat}}}\n",
        ["2:51: disk.partitions.root.fs: vfat cannot hold the root filesystem; write ext4"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /}, b: {mount: /}}}\n",
        ["2:59: disk.partitions.b.mount: root is mounted at / already; take another place"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /}, b: {mount: home}}}\n",
        [
            (
                "2:59: disk.partitions.b.mount: 'home' is not a path in the tree; begin it with /, "
                "and leave out //, /., /.. and a last /"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /}, b: {fs: none}}}\n",
        ["2:48: disk.partitions.b.size: there is no filesystem to measure; write a size"],
    ),
    (
        SOURCE + ("disk: {partitions: {esp: {}, root: {mount: /}, b: {fs: none, size: 1M, mount: /b, label: x}}}\n"),
        ["2:79: disk.partitions.b.mount: there is no filesystem to mount; write fs:, or remove the mount"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {start: 1M, size: 64M}, root: {mount: /, start: 32M}}}\n",
        [
            (
                "2:74: disk.partitions.root.start: it begins at 32M, inside esp, which needs up to "
                "65M; move one of them, or make esp smaller"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {start: 1s}, root: {mount: /}}}\n",
        ["2:34: disk.partitions.esp.start: 1s is within the GPT, which takes 17K; write more, or disk.table: mbr"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {type: 0x0F}, root: {mount: /, type: rot}}}\n",
        [
            "2:33: disk.partitions.esp.type: 0x0F is an extended partition; write the type of a partition, like 0x83",
            "2:63: disk.partitions.root.type: 'rot' is not a partition type; did you mean root?",
        ],
    ),
    (
        SOURCE + ("disk: {partitions: {esp: {label: much-too-long}, root: {mount: /, label: also-much-too-long}}}\n"),
        [
            (
                "2:34: disk.partitions.esp.label: 'much-too-long' cannot be a FAT label; write at "
                "most 11 plain letters and digits"
            ),
            (
                "2:74: disk.partitions.root.label: 'also-much-too-long' cannot be a label of ext4; "
                "write at most 16 bytes"
            ),
        ],
    ),
    (
        SOURCE + ("disk: {partitions: {esp: {name: a-name-of-more-than-thirty-six-letters}, root: {mount: /}}}\n"),
        [
            (
                "2:33: disk.partitions.esp.name: 'a-name-of-more-than-thirty-six-letters' cannot be "
                "a name in GPT; write at most 36 letters"
            )
        ],
    ),
    (
        SOURCE
        + (
            "disk: {partitions: {esp: {uuid: 01234567-89ab-cdef-0123-456789abcdef}, root: "
            "{mount: /, uuid: 1234-ABCD}}}\n"
        ),
        [
            (
                "2:33: disk.partitions.esp.uuid: 01234567-89ab-cdef-0123-456789abcdef cannot be the "
                "UUID of vfat; write one like ABCD-1234"
            ),
            (
                "2:95: disk.partitions.root.uuid: 1234-ABCD cannot be the UUID of ext4; write one "
                "like 01234567-89ab-cdef-0123-456789abcdef"
            ),
        ],
    ),
    (
        SOURCE
        + (
            "disk: {partitions: {esp: {partuuid: 01234567-89ab-cdef-0123-456789abcdef}, root: "
            "{mount: /, partuuid: 01234567-89AB-cdef-0123-456789abcdef}}}\n"
        ),
        [
            (
                "2:103: disk.partitions.root.partuuid: 01234567-89ab-cdef-0123-456789abcdef belongs "
                "to esp already; write another one"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {attributes: [boot]}, root: {mount: /, pass: 3}}}\n",
        [
            (
                "2:40: disk.partitions.esp.attributes: 'boot' is not an attribute of GPT; write a "
                "bit: 0, 1, 2 or 48 to 63, or legacy-boot or no-auto or read-only"
            ),
            "2:71: disk.partitions.root.pass: 3 is too large; write at most 2",
        ],
    ),
    (
        SOURCE + "disk: {partitions: {e.sp: {}, root: {mount: /}}}\n",
        ["2:21: disk.partitions.e.sp: 'e.sp' is not a name; use letters, digits, and _ - after the first"],
    ),
    (
        SOURCE
        + (
            "system: {fstab: label}\ndisk: {partitions: {esp: {}, root: {mount: /, label: a}, b: "
            "{mount: /b, label: a}}}\n"
        ),
        ["3:80: disk.partitions.b.label: root has the same label, by which they are found; write another one"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, options: 'ro, noatime'}}}\n",
        [
            (
                "2:56: disk.partitions.root.options: 'ro, noatime' is not a set of mount options; "
                "write them with commas and without blanks"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: squashfs, extra: 1M}}}\nboot: {root: uuid}\n",
        [
            "2:68: disk.partitions.root.extra: nobody writes to a squashfs, so nothing stays free in it; remove it",
            "3:14: boot.root: a squashfs has none to be found by; write partuuid",
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: xfs}}}\n",
        [
            (
                "2:51: disk.partitions.root.fs: xfs is read here, not made: mkfs.xfs can be told of no attributes, "
                "hard links or names with blanks; write ext4 or btrfs"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: btrfs, subvolumes: [/srv/a]}, "
        "srv: {mount: /srv}}}\n",
        ["2:70: disk.partitions.root.subvolumes: /srv/a is not on this partition; write a folder below /"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, subvolumes: [/home]}}}\n",
        ["2:59: disk.partitions.root.subvolumes: only btrfs has subvolumes, and the filesystem is ext4; remove it"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: btrfs, subvolumes: [/]}, srv: {mount: /srv}}}\n",
        [
            "2:70: disk.partitions.root.subvolumes: / is root's own top; write a folder below /",
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: btrfs, mkfs: [-s]}}}\n",
        ["2:64: disk.partitions.root.mkfs: btrfs is made without further words; remove it, or write another fs:"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: erofs}}}\nboot: {loader: grub-efi, place: root}\n",
        [
            (
                "2:51: disk.partitions.root.fs: grub-efi cannot read kernels from erofs; "
                "write ext4 or ext3 or ext2 or vfat or btrfs"
            ),
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: erofs, extra: 1M}}}\nboot: {root: label}\n",
        [
            "2:65: disk.partitions.root.extra: nobody writes to an erofs, so nothing stays free in it; remove it",
            "3:14: boot.root: an erofs has none to be found by; write partuuid",
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: squashfs, label: x}}}\n",
        ["2:68: disk.partitions.root.label: a squashfs has nothing to label; remove it, or write another fs:"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: squashfs, mkfs: [-s]}}}\n",
        ["2:67: disk.partitions.root.mkfs: squashfs is made without further words; remove it, or write another fs:"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /}, home: {mount: /home, overlay: memory}}}\n",
        ["2:78: disk.partitions.home.overlay: a layer in memory goes over the root, which this is not; remove it"],
    ),
    (
        "source: {directory: .}\ndisk: {partitions: {esp: {}, root: {mount: /, fs: squashfs}}}\n",
        [
            (
                "2:30: disk.partitions.root.overlay: it takes root= and an initrd that is made here, by the "
                "initramfs-tools of a Debian; write overlay: none, or boot.initrd: auto"
            )
        ],
    ),
    (
        SOURCE + "boot: {loader: direct, root: /dev/vda}\n"
        "disk: {table: none, partitions: {root: {mount: /, fs: squashfs, overlay: none}}}\n",
        [
            (
                "1:1: system.fstab: a squashfs on a disk without a table has nothing that a line could name it by; "
                "write none"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {encrypt: {passphrase: {env: X}}}, root: {mount: /},"
        " a: {fs: none, size: 1M, encrypt: {passphrase: {env: X}}}}}\n",
        [
            "2:27: disk.partitions.esp.encrypt: firmware unlocks nothing; remove it",
            "2:103: disk.partitions.a.encrypt: there is no filesystem to encrypt; remove it, or write fs:",
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, encrypt: {passphrase: {env: X}}}}}\n"
        "boot: {loader: grub-efi}\n",
        [
            (
                "2:47: disk.partitions.root.encrypt: grub-efi reads no kernels from what is encrypted; put a /boot of "
                "its own beside it, or write boot.place: esp"
            )
        ],
    ),
    (
        "source: {directory: .}\ndisk: {partitions: {esp: {}, root: {mount: /, encrypt: {passphrase: {env: X}}}}}\n",
        [
            (
                "2:47: disk.partitions.root.encrypt: a root is unlocked by an initrd that is made here, of a Debian's "
                "initramfs-tools; remove it, or write boot.initrd: auto"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /}, a: {size: 16M, encrypt: {passphrase: {env: X}}}}}\n",
        ["2:58: disk.partitions.a.size: 16M is all taken by the header of LUKS2; write more than 16M"],
    ),
]


@each_of(BAD)
def test_a_mistake_is_told_with_place_key_reason_and_remedy(
    with_files: RecipeFolder, text: str, lines: list[str]
) -> None:
    """Sizes, types, mounts, and what of them does not go together. C3, C17."""
    assert with_files.mistakes(text) == lines
