"""Signs by which what a partition holds is known, of all that is in use: more than one means that one of them is stale.

Whoever formats a partition anew often leaves the superblock of what was there before, where the new one has no use for
that place. Each sign stands in its filesystem's own description, and in libblkid's; none is believed here but to doubt.
"""

from __future__ import annotations

from typing import Final

from bootsmith.tasks.disk.superblock import Read

_SIGNS: Final[tuple[tuple[str, int, bytes], ...]] = (
    ("xfs", 0, b"XFSB"),
    ("xfs log", 0, b"\xfe\xed\xba\xbe"),
    ("btrfs", 0x10040, b"_BHRfS_M"),
    ("bcachefs", 4120, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca"),
    ("bcache", 4120, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9"),
    ("f2fs", 1024, b"\x10\x20\xf5\xf2"),
    ("erofs", 1024, b"\xe2\xe1\xf5\xe0"),
    ("squashfs", 0, b"hsqs"),
    ("iso9660", 0x8001, b"CD001"),
    ("udf", 0x8001, b"BEA01"),
    ("NTFS", 3, b"NTFS    "),
    ("exFAT", 3, b"EXFAT   "),
    ("BitLocker", 3, b"-FVE-FS-"),
    ("ReFS", 3, b"ReFS\0"),
    ("HFS", 1024, b"BD"),
    ("HFS+", 1024, b"H+"),
    ("HFSX", 1024, b"HX"),
    ("APFS", 32, b"NXSB"),
    ("JFS", 0x8000, b"JFS1"),
    ("NILFS", 1030, b"\x34\x34"),
    ("ReiserFS", 0x10034, b"ReIsEr"),
    ("Reiser4", 0x10000, b"ReIsEr4"),
    ("GFS2", 0x10000, b"\x01\x16\x19\x70"),
    ("OCFS2", 1024, b"OCFSV2"),
    ("OCFS2", 2048, b"OCFSV2"),
    ("OCFS2", 4096, b"OCFSV2"),
    ("minix", 1040, b"\x7f\x13"),
    ("minix", 1040, b"\x8f\x13"),
    ("minix", 1040, b"\x68\x24"),
    ("minix", 1040, b"\x78\x24"),
    ("minix", 1048, b"\x5a\x4d"),
    ("UFS", 0x255C, b"\x54\x19\x01\x00"),
    ("UFS2", 0x1055C, b"\x19\x01\x54\x19"),
    ("BFS", 0, b"\xce\xfa\xad\x1b"),
    ("LUKS", 0, b"LUKS\xba\xbe"),
    ("LUKS", 0x4000, b"SKUL\xba\xbe"),
    *(("LVM", 512 * sector, b"LABELONE") for sector in range(4)),
    *(("swap", page - 10, sign) for page in (4096, 8192, 16384, 65536) for sign in (b"SWAPSPACE2", b"SWAP-SPACE")),
    *(("md", at, b"\xfc\x4e\x2b\xa9") for at in (0, 4096)),
    *(("ZFS", 0x20000 + 1024 * slot, sign) for slot in range(128) for sign in (b"\x0c\xb1\xba\0", b"\0\xba\xb1\x0c")),
    ("verity", 0, b"verity\0\0"),
    ("integrity", 0, b"integrt\0"),
    ("VMFS", 0x100000, b"\x0d\xd0\x01\xc0"),
)
"""What it is of, where it stands, its bytes."""
_REACH: Final = max(at + len(sign) for _, at, sign in _SIGNS if at < 0x40000)


def others(read: Read, size: int, own: range) -> set[str]:
    """Return what a partition of so many bytes may hold besides, by its signs outside a superblock's `own`."""
    head = read(0, min(_REACH, size))
    found = {
        kind
        for kind, at, sign in _SIGNS
        if at not in own and (head[at : at + len(sign)] if at + len(sign) <= _REACH else read(at, len(sign))) == sign
    }
    # arrays of Linux's may have theirs at the end: version 1.0 and 0.90 (drivers/md/md.c)
    ends = ((size // 512 - 16) // 8 * 8 * 512, size // 65536 * 65536 - 65536)
    return found | ({"md"} if any(at > 0 and read(at, 4) == b"\xfc\x4e\x2b\xa9" for at in ends) else set())
