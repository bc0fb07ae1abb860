"""Every way to boot that cannot be, with the line its user sees (A9)."""

from __future__ import annotations

import pytest

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

KEYS = "secure_boot: {key: {file: files/key.gpg}, certificate: files/key.gpg"
BAD = [
    # -- unified kernel images
    (
        "boot: {loader: efistub, entries: {a: {}, b: {}}}\n",
        [
            (
                "2:25: boot.entries: a kernel image that the firmware starts shows no menu; keep one entry, or write "
                "loader: [systemd-boot, efistub]"
            )
        ],
    ),
    (
        "boot: {loader: [grub-efi, efistub]}\n",
        ["2:27: boot.loader: grub-efi and efistub both want EFI/BOOT/BOOTX64.EFI; keep one of them"],
    ),
    (
        "disk: {partitions: {root: {mount: /}}}\nboot: {loader: efistub}\n",
        ["2:8: disk.partitions: efistub needs an ESP; write `esp: {size: 512M, mount: /boot/efi}` too"],
    ),
    # -- where kernels stand
    (
        "boot: {place: none}\n",
        ["2:15: boot.place: systemd-boot reads kernels from somewhere; write esp, or auto"],
    ),
    (
        "disk: {partitions: {esp: {}, boot: {mount: /boot, fs: ext4, type: xbootldr}, root: {mount: /}}}\n",
        ["2:55: disk.partitions.boot.fs: systemd-boot cannot read kernels from ext4; write vfat"],
    ),
    (
        "disk: {partitions: {esp: {}, boot: {mount: /boot, type: linux}, root: {mount: /}}}\nboot: {place: root}\n",
        [
            (
                "3:15: boot.place: systemd-boot reads kernels from the ESP or a partition of type xbootldr only; "
                "write esp, or loader: grub-efi"
            )
        ],
    ),
    # -- disks without a table
    (
        "disk: {table: none}\n",
        ["2:15: disk.table: systemd-boot cannot live on none; write gpt or mbr"],
    ),
    (
        "disk: {partitions: {root: {mount: /, start: 1M}, b: {}}}\nboot: {loader: direct}\n",
        [
            "2:45: disk.partitions.root.start: there is no table to say so in; remove it, or write disk.table: gpt",
            (
                "2:50: disk.partitions.b: a disk without a table is one filesystem; "
                "leave this out, or write disk.table: gpt"
            ),
        ],
    ),
    (
        "system: {fstab: partuuid}\nboot: {loader: direct, root: partuuid}\n",
        [
            "2:17: system.fstab: there is no table to have a PARTUUID in; write uuid, or disk.table: gpt",
            "3:30: boot.root: there is no table to have a PARTUUID in; write uuid, or disk.table: gpt",
        ],
    ),
    (
        "boot: {loader: direct, initrd: none}\n",
        [
            (
                "2:1: boot.root: Linux without an initrd finds no filesystem by uuid; "
                "write partuuid, or a device like /dev/vda"
            )
        ],
    ),
    # -- paths, files and modules
    (
        "boot: {config: {grub.cfg: files/key.gpg}}\n",
        ["2:27: boot.config.grub.cfg: systemd-boot reads no grub.cfg; only loader.conf is known here"],
    ),
    (
        "boot: {loader: efistub, config: {loader.conf: files/key.gpg}}\n",
        ["2:47: boot.config.loader.conf: efistub reads no loader.conf; remove it"],
    ),
    (
        "boot: {config: {loader.conf: no-such}}\n",
        ["2:30: boot.config.loader.conf: recipes/no-such does not exist; create that file"],
    ),
    (
        "boot: {grub_modules: [png]}\n",
        ["2:22: boot.grub_modules: there is no GRUB here to have modules; remove this line"],
    ),
    (
        "boot: {loader: grub-efi, grub_modules: [png.mod]}\n",
        ["2:41: boot.grub_modules: 'png.mod' is not a GRUB module; write one like part_gpt, without .mod"],
    ),
    ("boot: {removable: yes}\n", ["2:19: boot.removable: 'yes' is not a choice; known here: only, also, no"]),
    # -- Secure Boot
    (
        f"boot: {{{KEYS}}}}}\n",
        [
            (
                "2:8: boot.secure_boot: nobody verifies the initrd and the command line that systemd-boot reads from "
                "files; write loader: [systemd-boot, efistub], which signs them with the kernel"
            )
        ],
    ),
    (
        f"boot: {{loader: grub-efi, {KEYS}}}}}\n",
        [
            (
                "2:26: boot.secure_boot: GRUB without shim verifies neither its menu nor the kernel; "
                "write loader: efistub, or [systemd-boot, efistub]"
            )
        ],
    ),
    (
        f"boot: {{loader: efistub, {KEYS}, enroll: true}}}}\n",
        [
            (
                "2:103: boot.secure_boot.enroll: only systemd-boot offers keys to a firmware; "
                "add it to boot.loader, or write false"
            )
        ],
    ),
    (
        "boot: {loader: efistub, secure_boot: {key: 0123, certificate: files/key.gpg}}\n",
        ["2:44: boot.secure_boot.key: a secret cannot stand in a recipe; write {file: PATH} or {env: NAME}"],
    ),
    (
        "boot: {loader: efistub, secure_boot: {}}\n",
        [
            "2:25: boot.secure_boot.certificate: this must be given; write `certificate: PATH`",
            "2:25: boot.secure_boot.key: this must be given; write `key: SECRET`",
        ],
    ),
    # -- keys of boot
    ("boot: {loader: grub}\n", ["2:16: boot.loader: 'grub' is not a choice; did you mean grub-efi?"]),
    (
        "boot: {loader: [systemd-boot, grub-efi]}\n",
        [("2:31: boot.loader: systemd-boot and grub-efi both want EFI/BOOT/BOOTX64.EFI; keep one of them")],
    ),
    ("boot: {root: partuid}\n", ["2:14: boot.root: 'partuid' is not a device; did you mean partuuid?"]),
    (
        "boot: {console: [tty 0]}\n",
        ["2:18: boot.console: 'tty 0' is not a console; write one like tty0 or ttyS0,115200"],
    ),
    ("boot: {entries: {}}\n", ["2:8: boot.entries: there is nothing to boot; write at least one entry"]),
    (
        "boot: {entries: {a: {}}, default: b}\n",
        ["2:35: boot.default: there is no entry 'b'; only a is known here"],
    ),
    (
        "boot: {entries: {a: {}, debug: {}}}\ntest: {entry: debig}\n",
        ["3:15: test.entry: there is no entry 'debig'; did you mean debug?"],
    ),
    ("boot: {entries: {a: {titel: A}}}\n", ["2:22: boot.entries.a.titel: unknown key; did you mean title?"]),
    (
        "boot: {place: root}\n",
        [
            (
                "2:15: boot.place: systemd-boot reads kernels from the ESP or a partition of type xbootldr only; "
                "write esp, or loader: grub-efi"
            )
        ],
    ),
    ("boot: {timeout: 5s}\n", ["2:17: boot.timeout: '5s' is not a whole number; write decimal digits"]),
]


@each_of(BAD)
def test_a_way_to_boot_that_cannot_be_is_refused_with_the_reason(
    recipes: RecipeFolder, text: str, lines: list[str]
) -> None:
    """Each at its place, before anything is built."""
    recipes.write_files()
    assert recipes.mistakes(SOURCE + text) == lines


GOOD = [
    "boot: {loader: efistub}",
    "boot: {loader: efistub, removable: also}",
    "boot: {loader: [systemd-boot, efistub], entries: {a: {}, b: {}}}",
    "boot: {loader: [systemd-boot, grub-efi], removable: no, place: esp}",
    "boot: {loader: [efistub, systemd-boot], " + KEYS + ", enroll: true}}",
    "boot: {loader: grub-efi, config: {grub.cfg: files/key.gpg}, grub_modules: [png], place: esp}",
    "disk: {partitions: {esp: {}, boot: {mount: /boot}, root: {mount: /}}}",
    "disk: {partitions: {esp: {}, boot: {mount: /boot, fs: ext4}, root: {mount: /}}}",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_can_be_is_taken(recipes: RecipeFolder, text: str) -> None:
    """And nothing beyond what was asked is demanded."""
    recipes.write_files()
    assert recipes.load(SOURCE + text + "\n").boot.loader


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("boot: {loader: efistub}", "none"),
        ("boot: {loader: [systemd-boot, efistub]}", "none"),
        ("boot: {}", "esp"),
        ("disk: {partitions: {esp: {}, boot: {mount: /boot}, root: {mount: /}}}", "root"),
    ],
)
def test_where_kernels_stand_follows_from_the_loaders(recipes: RecipeFolder, text: str, place: str) -> None:
    """Inside the image where that holds them, else where the loader looks for them; on XBOOTLDR where there is one."""
    assert recipes.load(SOURCE + text + "\n").boot.place == place
