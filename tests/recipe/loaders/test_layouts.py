"""Bootloaders in recipes: the disks they usually have, where kernels stand, and what cannot be together."""

from __future__ import annotations

import pytest
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.recipe.loaders.kinds import KINDS
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.show import show
from bootsmith.tasks.recipe.values.units import show_size

from tests.support.checkout import CHECKOUT
from tests.support.recipe_folder import SOURCE, RecipeFolder

PLAIN = "disk: {partitions: {root: {mount: /}}}\n"


def recipe_with(recipes: RecipeFolder, loader: str, more: str = "") -> Recipe:
    """Return a recipe with these loaders."""
    return recipes.load(SOURCE + f"boot: {{loader: {loader}}}\n" + more)


@pytest.mark.parametrize(("loader", "table", "partitions", "place"),
    [("systemd-boot", "gpt", "esp root", "esp"), ("grub-efi", "gpt", "esp root", "root"),
     ("grub-bios", "mbr", "root", "root"), ("syslinux", "mbr", "boot root", "active"),
     ("[grub-efi, grub-bios]", "gpt", "bios-boot esp root", "root"),
     ("[grub-bios, grub-efi]", "gpt", "bios-boot esp root", "root"),
     ("[systemd-boot, grub-bios]", "gpt", "bios-boot esp root", "esp"),
     ("[syslinux, systemd-boot]", "gpt", "esp root", "esp"), ("[grub-efi, syslinux]", "gpt", "esp root", "esp")],
)  # fmt: skip
def test_a_loaders_usual_disk(recipes: RecipeFolder, loader: str, table: str, partitions: str, place: str) -> None:
    """Its table, its partitions and the place of kernels, alone and with others (C5, A9)."""
    recipe = recipe_with(recipes, loader)
    assert (recipe.disk.table, " ".join(recipe.disk.partitions), recipe.boot.place) == (table, partitions, place)


@pytest.mark.parametrize(("loader", "more", "marked"),
    [("grub-bios", "", {"root"}), ("syslinux", "", {"boot"}), ("systemd-boot", "disk: {table: mbr}\n", set()),
     ("grub-bios", "disk: {partitions: {boot: {mount: /boot}, root: {mount: /}}}\n", {"boot"}),
     ("[grub-bios, grub-efi]", "", set()), ("[syslinux, systemd-boot]", "", {"esp"}),
     ("[syslinux, systemd-boot]", "disk: {table: mbr}\n", {"esp"}),
     ("syslinux", "disk: {table: gpt}\n", {"boot"}),
     ("grub-bios", "disk: {partitions: {root: {mount: /}, more: {mount: /srv, active: true}}}\n", {"more"}),
     ("grub-bios", "disk: {partitions: {root: {mount: /, active: false}}}\n", set())],
)  # fmt: skip
def test_the_partition_a_bios_boots_is_marked(recipes: RecipeFolder, loader: str, more: str, marked: set[str]) -> None:
    """By MBR's flag or GPT's attribute, unless the recipe does it itself."""
    disk = recipe_with(recipes, loader, more).disk
    parts = disk.partitions.values()
    assert {part.name for part in parts if part.active or "legacy-boot" in part.attributes} == marked
    assert disk.table == "mbr" or not any(part.active for part in parts)


def test_an_mbr_disk_identifies_its_partitions_by_its_signature(recipes: RecipeFolder) -> None:
    """Signature from the seed, PARTUUID from signature and number, no names; the types are those of MBR."""
    recipe = recipe_with(recipes, "syslinux", "disk: {id: CAFE0001}\n")
    parts = recipe.disk.partitions
    assert [part.partuuid for part in parts.values()] == ["cafe0001-01", "cafe0001-02"]
    assert [(part.type, part.gpt_name) for part in parts.values()] == [("0x0c", ""), ("root", "")]
    derived = recipe_with(recipes, "syslinux").disk
    assert (
        derived.id == recipe_with(recipes, "grub-bios").disk.id != recipe_with(recipes, "syslinux", "seed: y\n").disk.id
    )
    assert len(bytes.fromhex(derived.id)) == 4


@pytest.mark.parametrize("loader", ["grub-bios", "syslinux", "[grub-efi, grub-bios]", "[systemd-boot, syslinux]"])
def test_what_is_shown_loads_back(recipes: RecipeFolder, loader: str) -> None:
    """The recipe in full says the same as the short one."""
    recipe = recipe_with(recipes, loader)
    assert recipes.load(show(recipe)) == recipe


BAD = [
    (
        "[systemd-boot, grub-efi]",
        "",
        [
            "2:31: boot.loader: systemd-boot and grub-efi both want EFI/BOOT/BOOTX64.EFI; keep one of them",
        ],
    ),
    (
        "[grub-bios, syslinux]",
        "",
        [
            "2:28: boot.loader: grub-bios and syslinux both want the boot sector; keep one of them",
        ],
    ),
    (
        "[grub-bios, grub-bios]",
        "",
        [
            "2:28: boot.loader: grub-bios stands here twice; write it once",
        ],
    ),
    (
        "[]",
        "",
        [
            (
                "2:16: boot.loader: the list is empty; write at least one of "
                "systemd-boot|grub-efi|grub-bios|syslinux|efistub|direct|PATH.py"
            ),
        ],
    ),
    (
        "[lilo]",
        "",
        [
            (
                "2:17: boot.loader: 'lilo' is not a choice; known here: systemd-boot, grub-efi, grub-bios, "
                "syslinux, efistub, direct"
            ),
        ],
    ),
    (
        "grub-efi",
        "disk: {partitions: {root: {mount: /}}}\n",
        [
            "3:8: disk.partitions: grub-efi needs an ESP; write `esp: {size: 512M, mount: /boot/efi}` too",
        ],
    ),
    (
        "[grub-bios, systemd-boot]",
        "disk: {table: mbr, partitions: {root: {mount: /}}}\n",
        [
            "3:20: disk.partitions: systemd-boot needs an ESP; write `esp: {size: 512M, mount: /boot/efi}` too",
        ],
    ),
    (
        "grub-bios",
        "disk: {table: gpt, partitions: {root: {mount: /}}}\n",
        [
            (
                "3:20: disk.partitions: grub-bios needs a place on a GPT disk; write `bios-boot: {type: "
                "bios-boot, size: 1M}` too"
            ),
        ],
    ),
    (
        "syslinux",
        "disk: {partitions: {root: {mount: /}}}\n",
        [
            (
                "3:8: disk.partitions: syslinux needs a FAT partition; write `boot: {fs: vfat, size: 256M, "
                "mount: /boot/syslinux}` too"
            ),
        ],
    ),
    (
        "syslinux",
        "disk: {partitions: {boot: {mount: /boot, active: true}, root: {mount: /}}}\n",
        [
            "3:21: disk.partitions.boot.fs: syslinux cannot read kernels from ext4; write vfat",
        ],
    ),
    (
        "syslinux, place: root",
        "",
        [
            (
                "2:33: boot.place: syslinux reads kernels from the active partition only; write active, or "
                "loader: grub-bios"
            ),
        ],
    ),
    (
        "systemd-boot, place: root",
        "",
        [
            (
                "2:37: boot.place: systemd-boot reads kernels from the ESP or a partition of type xbootldr "
                "only; write esp, or loader: grub-efi"
            ),
        ],
    ),
    (
        "[syslinux, systemd-boot]",
        "disk: {table: mbr, partitions: {boot: {fs: vfat, mount: /boot}, esp: {size: 64M}, root: {mount: /}}}\n",
        ["2:1: boot.place: systemd-boot reads kernels from the ESP only; write esp, or loader: grub-efi"],
    ),
    (
        "grub-bios",
        "disk: {partitions: {root: {mount: /, start: 63s}}}\n",
        [
            ("3:45: disk.partitions.root.start: GRUB lies before the first partition of an MBR disk; write 1M or more"),
        ],
    ),
    (
        "grub-bios",
        "machine: {firmware: uefi}\n",
        [
            (
                "3:21: machine.firmware: no loader here starts under uefi; add systemd-boot or grub-efi or "
                "efistub to boot.loader, or write auto"
            ),
        ],
    ),
    (
        "syslinux",
        "test: {firmware: [auto, uefi]}\n",
        [
            (
                "3:25: test.firmware: no loader here starts under uefi; add systemd-boot or grub-efi or efistub "
                "to boot.loader, or write auto"
            ),
        ],
    ),
    (
        "grub-bios",
        "disk: {partitions: {a: {}, b: {}, c: {}, d: {}, root: {mount: /}}}\n",
        [
            (
                "3:49: disk.partitions.root: an MBR has room for four partitions; leave some out, or write "
                "disk.table: gpt"
            ),
        ],
    ),
    (
        "grub-bios",
        "disk: {partitions: {root: {mount: /, type: 4f68bce3-e8cd-4db1-96e7-fbcaf984b709}}}\n",
        [
            (
                "3:44: disk.partitions.root.type: a GUID is a type of GPT, and this is MBR; write a name like "
                "linux, or a code like 0x83"
            ),
        ],
    ),
    (
        "grub-bios",
        "disk: {partitions: {bios: {type: bios-boot, size: 1M}, root: {mount: /}}}\n",
        [
            (
                "3:34: disk.partitions.bios.type: an MBR disk has no such partition: GRUB lies before the first "
                "one; remove it"
            ),
        ],
    ),
    (
        "systemd-boot, place: active",
        "",
        [
            "2:37: boot.place: there is no such partition: the active partition; add it, or write auto",
        ],
    ),
    (
        "grub-bios",
        "disk: {size: 3T}\n",
        [
            "3:14: disk.size: an MBR reaches no further than 2T; make it smaller, or write disk.table: gpt",
        ],
    ),
    (
        "grub-bios",
        "disk: {id: 01234567-89ab-cdef-0123-456789abcdef}\n",
        [
            "3:12: disk.id: an MBR disk has no UUID; write its signature: eight hex digits",
        ],
    ),
    (
        "grub-bios",
        "disk: {id: cafe0001, partitions: {root: {mount: /, partuuid: cafe0001-02}}}\n",
        [
            (
                "3:62: disk.partitions.root.partuuid: on an MBR disk it follows from disk.id and the "
                "partition's place: cafe0001-01; remove it"
            ),
        ],
    ),
    (
        "grub-bios",
        "disk: {partitions: {root: {mount: /, name: top, attributes: [legacy-boot]}}}\n",
        [
            (
                "3:44: disk.partitions.root.name: partitions of an MBR have no names; remove it, or write "
                "disk.table: gpt"
            ),
            (
                "3:61: disk.partitions.root.attributes: partitions of an MBR have none; write active: true, or "
                "disk.table: gpt"
            ),
        ],
    ),
    (
        "grub-bios",
        "disk: {partitions: {a: {active: true, mount: /srv}, root: {mount: /, active: true}}}\n",
        [
            "3:78: disk.partitions.root.active: a is the active partition already; only one can be",
        ],
    ),
    (
        "grub-efi",
        (
            "disk: {id: cafe0001, partitions: {esp: {type: 0x83, mount: /srv}, root: {mount: /, active: "
            "true, partuuid: cafe0001-01}}}\n"
        ),
        [
            "3:12: disk.id: cafe0001 is a signature of MBR disks, and this is GPT; write a UUID",
            (
                "3:47: disk.partitions.esp.type: 0x83 is a type of MBR tables, and this is GPT; write a name "
                "like linux, or a GUID"
            ),
            (
                "3:92: disk.partitions.root.active: a GPT has no active flag; write attributes: [legacy-boot], "
                "or disk.table: mbr"
            ),
            "3:108: disk.partitions.root.partuuid: cafe0001-01 is of an MBR disk, and this is GPT; write a UUID",
        ],
    ),
]


@pytest.mark.parametrize(("loader", "more", "told"), BAD)
def test_what_cannot_be_is_refused(recipes: RecipeFolder, loader: str, more: str, told: list[str]) -> None:
    """Before any work, with the place and the reason (A9)."""
    with pytest.raises(RecipeError) as caught:
        recipe_with(recipes, loader, more)
    assert [line.partition("x.yaml:")[2] for line in caught.value.problems] == told


@pytest.mark.parametrize("loader", ["syslinux", "systemd-boot", "grub-efi"])
def test_a_loader_that_starts_no_such_kernel_is_refused(recipes: RecipeFolder, loader: str) -> None:
    """Multiboot is GRUB's, under a BIOS."""
    kernel = recipes.write("kernel.elf", b"")
    words = f"protocol: multiboot, initrd: none, kernel: {{first: [{kernel.name}], as: /boot/kernel}}"
    with pytest.raises(
        RecipeError, match=rf"2:16: boot\.loader: {loader} starts no multiboot kernels; write grub-bios$"
    ):
        recipe_with(recipes, f"{loader}, {words}")


def test_the_reference_tells_the_usual_disks(recipes: RecipeFolder) -> None:
    """Its table is what recipes without partitions get."""
    text = (CHECKOUT / "docs/reference/recipe.md").read_text()
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines() if row.startswith("|")]
    told = {row[0]: row[1:] for row in rows if len(row) == 3 and row[1] in ("gpt", "mbr", "none")}
    assert {name for names in told for name in names.strip("[]").split(", ")} == {*KINDS}
    for names, row in told.items():
        disk = recipe_with(recipes, names, "outputs: [raw]\n").disk
        usual = []
        for part in disk.partitions.values():
            size = part.size if isinstance(part.size, str) else show_size(part.size)
            words = [size if size != "auto" else "", part.fs if part.fs != "none" else "", f"`{part.mount}`"]
            usual.append(f"`{part.name}`: " + ", ".join(word for word in words if word not in ("", "`None`")))
        assert row == [disk.table, "; ".join(usual)]


def test_loaders_and_tables_of_the_command_line_choose_the_disk(recipes: RecipeFolder) -> None:
    """As if they stood in the recipe."""
    words = {"boot.loader": "grub-efi,grub-bios"}
    assert [*recipes.load(SOURCE, words).disk.partitions] == ["bios-boot", "esp", "root"]
    assert [*recipes.load(SOURCE, {"boot.loader": "grub-bios", "disk.table": "gpt"}).disk.partitions] == [
        "bios-boot",
        "root",
    ]
