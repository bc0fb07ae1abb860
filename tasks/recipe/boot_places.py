"""What only one loader of a disk may have, in the words of a refusal."""

REMOVABLE = "EFI/BOOT/BOOTX64.EFI"
BOOT_SECTOR = "the boot sector"
