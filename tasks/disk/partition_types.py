"""Types of partitions, by the names that we have for them: GUIDs, and numbers of MBR tables."""

from __future__ import annotations

from collections.abc import Mapping

TYPES: Mapping[str, str] = {
    # UEFI 2.10, table 5.7, and the Discoverable Partitions Specification, for x86-64
    "esp": "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
    "bios-boot": "21686148-6449-6e6f-744e-656564454649",
    "linux": "0fc63daf-8483-4772-8e79-3d69d8477de4",
    "root": "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
    "home": "933ac7e1-2eb4-4f13-b844-0e14e2aef915",
    "var": "4d21b016-b534-45c2-a9fb-5c16e091fd2d",
    "swap": "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f",
    "lvm": "e6d6d379-f507-44c2-a23c-238f2a3df928",
    "xbootldr": "bc13c2ff-59e6-4262-a352-b275fd6f7172",
    "root-verity": "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5",
}
MBR_TYPES: Mapping[str, str] = {
    "esp": "0xef", "linux": "0x83", "root": "0x83", "home": "0x83", "var": "0x83", "swap": "0x82", "lvm": "0x8e",
    "xbootldr": "0xea",
}  # fmt: skip
