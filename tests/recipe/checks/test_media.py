"""Mistakes in the outputs that are media of their own, with the line their user sees."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.recipe.model.outputs import Iso

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

OWN = "source: {directory: files}\nsystem: none\n"
TREE = "boot: {loader: direct, initrd: tree}\n"
SIGNED = "secure_boot: {key: {file: k}, certificate: files/issue.txt}"
BAD = [
    (
        SOURCE + "outputs: [iso: {label: My disc}]\n",
        ["2:24: outputs.iso.label: 'My disc' is not a label of ISO 9660; use up to 32 of A-Z, 0-9 and _"],
    ),
    (
        SOURCE + f"outputs: [iso: {{label: {'A' * 33}}}]\n",
        [f"2:24: outputs.iso.label: '{'A' * 33}' is not a label of ISO 9660; use up to 32 of A-Z, 0-9 and _"],
    ),
    (
        SOURCE + "outputs: [iso: {loader: syslinux}]\n",
        ["2:25: outputs.iso.loader: 'syslinux' is not a choice; did you mean isolinux?"],
    ),
    (
        SOURCE + "outputs: [iso: {loader: [isolinux, grub-bios]}]\n",
        ["2:25: outputs.iso.loader: isolinux and grub-bios are both started by a BIOS; keep one of them"],
    ),
    (
        SOURCE + "arch: i386\nboot: {loader: grub-bios}\noutputs: [iso: {loader: grub-efi}]\n",
        [
            "4:25: outputs.iso.loader: grub-efi is for 64-bit machines; with arch: i386 write grub-bios or isolinux",
        ],
    ),
    (
        SOURCE + "boot: {entries: {a: {}, b: {}}}\noutputs: [iso: {loader: efistub}]\n",
        [
            (
                "3:25: outputs.iso.loader: a kernel image that the firmware starts shows no menu; "
                "write grub-efi, or keep "
                "one of boot.entries"
            ),
        ],
    ),
    (
        SOURCE + f"boot: {{loader: efistub, {SIGNED}}}\noutputs: [iso: {{loader: grub-efi}}]\n",
        [
            (
                "3:25: outputs.iso.loader: GRUB without shim verifies neither its menu nor the kernel; write efistub, "
                "which boot.secure_boot signs"
            ),
        ],
    ),
    (
        SOURCE + "outputs: [iso: {mode: initramfs}]\n",
        [
            (
                "2:23: outputs.iso.mode: with initrd: auto the entry default wants a root on a "
                "disk, and there is none; "
                "write live, or for the entry initrd: tree or a file"
            ),
        ],
    ),
    (
        OWN + "layers: [files: {/init: {content: x, mode: 0755}}]\n" + TREE + "outputs: [iso]\n",
        [
            "5:11: outputs.iso.mode: with initrd: tree the entry default finds no live root; write initramfs",
        ],
    ),
    (
        OWN + "outputs: [iso]\n",
        [
            (
                "3:11: outputs.iso.mode: whether the tree's own initrd finds a live root cannot be "
                "told; let boot.initrd "
                "name one that does, or write initramfs"
            ),
        ],
    ),
    (
        (
            "source: none\nsystem: none\nboot: {loader: grub-bios, protocol: multiboot, kernel: "
            "{file: files/issue.txt, "
            "as: /k}}\noutputs: [raw, iso]\n"
        ),
        ["4:16: outputs.iso: an ISO starts Linux, and no multiboot kernel; leave this output out"],
    ),
    (
        SOURCE + "boot: {cmdline: a\\b}\noutputs: [iso]\n",
        ["2:17: boot.cmdline: grub-bios puts a backslash before \\; leave it out, or take another loader"],
    ),
    (
        SOURCE + "outputs: [raw, iso: {file: x.raw}]\n",
        ["2:28: outputs.iso.file: two outputs are called x.raw; give one another file:"],
    ),
]


@each_of(BAD)
def test_a_mistake_is_told_with_place_key_reason_and_remedy(
    with_files: RecipeFolder, text: str, lines: list[str]
) -> None:
    """What no CD could start, or no firmware, is refused before anything is made (W6, W17)."""
    assert with_files.mistakes(text) == lines


@pytest.fixture
def isos(with_files: RecipeFolder) -> RecipeFolder:
    return with_files


@pytest.mark.parametrize(
    ("more", "label", "loader"),
    [
        ("", "X", ("grub-bios", "grub-efi")),
        ("name: my-Box.1\n", "MY_BOX_1", ("grub-bios", "grub-efi")),
        (f"name: {'n' * 40}\n", "N" * 32, ("grub-bios", "grub-efi")),
        (f"boot: {{loader: efistub, {SIGNED}}}\n", "X", ("grub-bios", "efistub")),
        ("arch: i386\nboot: {loader: grub-bios}\n", "X", ("grub-bios",)),
    ],
)
def test_what_is_unwritten(isos: RecipeFolder, more: str, label: str, loader: tuple[str, ...]) -> None:
    """The label is the recipe's name as ISO 9660 has it; every firmware that the machine can have starts the CD."""
    recipe = isos.load(SOURCE + more + "outputs: [iso]\n")
    (iso,) = recipe.outputs
    assert isinstance(iso, Iso)
    assert (iso.label, iso.loader, iso.mode, iso.file) == (label, loader, "live", f"{recipe.name}.iso")


def test_two_cds_of_a_recipe_are_told_apart(isos: RecipeFolder) -> None:
    """Each has a UUID of its own, a date as ISO 9660 has it, the same every time."""
    text = SOURCE + "outputs: [iso, iso: {file: other.iso}]\n"
    first, second = isos.load(text).outputs
    assert isinstance(first, Iso)
    assert isinstance(second, Iso)
    assert first.uuid != second.uuid
    assert (first, second) == isos.load(text).outputs
    year, month, day, hour, minute, second_, hundredth = (int(each) for each in first.uuid.split("-"))
    assert 1980 <= year < 2080
    assert 1 <= month <= 12
    assert 1 <= day <= 28
    assert max(hour - 23, minute - 59, second_ - 59, hundredth - 99) <= 0
    assert Path(first.file).suffix == ".iso"


def test_a_recipe_that_keeps_a_cd_alone_is_tested_by_it(isos: RecipeFolder) -> None:
    """Its loaders say under what firmware it can be; beside a disk the disk's do."""
    text = SOURCE + "test: {firmware: [uefi, bios]}\n"
    assert isos.load(text + "outputs: [iso]\n").test.firmware == ("uefi", "bios")
    (line,) = isos.mistakes(text + "outputs: [raw, iso]\n")
    assert "no loader here starts under bios" in line


def test_what_cloud_init_is_told_needs_something_that_holds_it(isos: RecipeFolder) -> None:
    """No key is read in vain (W10)."""
    text = SOURCE + "system: {cloud_init: {user_data: files/issue.txt}}\n"
    assert isos.mistakes(text) == ["2:10: system.cloud_init: nothing holds it; add cidata to outputs"]
    (output,) = isos.load(text + "outputs: [cidata: {format: vfat}]\n").outputs
    assert output.file == "x-cidata.img"
