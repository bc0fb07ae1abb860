"""Where firmware looks for a loader, in the words of a refusal: only one loader of a disk may be there."""

REMOVABLE = "EFI/BOOT/BOOTX64.EFI"
BOOT_SECTOR = "the boot sector"
