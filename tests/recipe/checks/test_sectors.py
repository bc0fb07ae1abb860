"""Disks with sectors of 4096 bytes: what starts from none, and what cannot hold one. C1."""

from __future__ import annotations

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

MISTAKES = [
    (
        SOURCE + "disk: {sector: 4096}\nboot: {loader: [grub-efi, grub-bios]}\n",
        [
            (
                "3:27: boot.loader: a BIOS reads no disk with sectors of 4096 bytes; write a loader for UEFI, or "
                "disk.sector: 512"
            )
        ],
    ),
    (
        SOURCE
        + "disk: {sector: 4096, table: mbr, partitions: {esp: {}, root: {mount: /}}}\nboot: {loader: grub-efi}\n",
        ["2:29: disk.table: an MBR is for disks with sectors of 512 bytes; write gpt, or leave disk.sector out"],
    ),
    (
        SOURCE
        + "disk: {sector: 4096, size: 4194305s, partitions: {esp: {}, root: {mount: /, start: 600M, size: 9s}}}\n",
        [
            "2:28: disk.size: it is no whole number of sectors of 4096 bytes; write one in K or M",
            ("2:96: disk.partitions.root.size: it is no whole number of sectors of 4096 bytes; write one in K or M"),
        ],
    ),
    (
        SOURCE + "disk: {sector: 4096, partitions: {esp: {size: 200M}, root: {mount: /}}}\n",
        ["2:47: disk.partitions.esp.size: 200M is too small for FAT32; write at least 257M"],
    ),
    (
        SOURCE + "disk: {sector: 4096}\noutputs: [raw, vhd, qcow2, ova]\nmachine: {drive: sata}\n",
        [
            "3:16: outputs.vhd: vhd is of disks with sectors of 512 bytes; write raw or qcow2",
            "3:28: outputs.ova: ova is of disks with sectors of 512 bytes; write raw or qcow2",
            "4:18: machine.drive: sata has sectors of 512 bytes alone; write virtio, nvme or scsi",
        ],
    ),
]


@each_of(MISTAKES)
def test_what_counts_512_is_refused(recipes: RecipeFolder, text: str, lines: list[str]) -> None:
    """With its place, the reason and what to write."""
    assert recipes.mistakes(text) == lines
