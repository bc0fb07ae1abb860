"""What is told before anything is built: files that are no kernel, or no initrd. V14, W7."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.planning import preflight
from bootsmith.tasks.tree import boot_formats

from tests.support.kernel_files import bzimage, elf, multiboot
from tests.support.recipe_folder import SOURCE, RecipeFolder

OWN = SOURCE + "boot: {kernel: k, initrd: none}\n"
ENTRY = SOURCE + "boot: {entries: {debian: {}, mine: {kernel: k, initrd: i}}}\n"
MACH = (
    "arch: i386\nsource: none\ndisk: {partitions: {root: {fs: ext2, mount: /}}}\n"
    "boot: {loader: grub-bios, protocol: multiboot, kernel: {first: [k], as: /boot/k}}\n"
)
I386 = MACH.replace("protocol: multiboot, ", "initrd: none, ")


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecipeFolder:
    monkeypatch.chdir(tmp_path)
    return RecipeFolder(tmp_path)


def told(recipes: RecipeFolder, text: str, kernel: bytes, initrd: bytes = b"070701") -> list[str]:
    """Return what is told of a recipe with these files."""
    (recipes.folder / "recipes/k").write_bytes(kernel)
    (recipes.folder / "recipes/i").write_bytes(initrd)
    return preflight.files(recipes.load(text), recipes.folder / "build")


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("text", "kernel"),
    [
        (OWN, bzimage()),
        (OWN, gzip.compress(bzimage())),
        (OWN, zstd(b"not known before it is unpacked")),
        (OWN, boot_formats.PACKED["gzip"] + b"told by the stage, which knows all of it"),
        (MACH, multiboot()),
        (MACH, gzip.compress(multiboot(at=8000))),
        (OWN, bzimage() + bytes(1 << 20)),
        (ENTRY, bzimage()),
    ],
    ids=map(str, range(8)),
)
def test_what_may_start_passes(text: str, kernel: bytes, recipes: RecipeFolder) -> None:
    """Plain or packed; where the beginning does not tell, the stage judges."""
    assert told(recipes, text, kernel) == []


NO_LINUX = "is no Linux: what is needed is a bzImage, as make bzImage or a distribution's /boot/vmlinuz-* has it"


@pytest.mark.parametrize(
    ("text", "kernel", "key", "why"),
    [
        (OWN, b"#!/bin/sh\n", "boot.kernel", NO_LINUX),
        (OWN, gzip.compress(b"text"), "boot.kernel", NO_LINUX),
        (ENTRY, b"", "boot.entries.mine.kernel", NO_LINUX),
        (OWN, bzimage()[:-1], "boot.kernel", "is cut short: it has 4095 bytes, and its header tells of 4096"),
        (OWN, bzimage()[:0x208], "boot.kernel", "is cut short: it ends within its header"),
        (MACH, multiboot()[:-1], "boot.kernel", "is cut short"),
        (MACH, elf(bits=64), "boot.kernel", "is a 64-bit ELF file, and arch: i386 needs a 32-bit one"),
        (MACH, gzip.compress(elf()), "boot.kernel", "has no Multiboot header in its first 8 KiB"),
        (
            MACH.replace("protocol: multiboot, ", "initrd: none, "),
            bzimage(),
            "boot.kernel",
            "is a Linux for 64-bit mac",
        ),
    ],
    ids=map(str, range(9)),
)
def test_what_cannot_start_is_told_with_its_key(
    text: str, kernel: bytes, key: str, why: str, recipes: RecipeFolder
) -> None:
    """File, key and reason, for the menu as a whole and for one entry."""
    (line,) = told(recipes, text, kernel)
    assert line.startswith(f"recipes/x.yaml: {key}: recipes/k cannot be the kernel: it {why}")
    assert line.endswith("; name another file")


def test_a_module_that_is_no_program_is_told(recipes: RecipeFolder) -> None:
    """A server that GNU Mach would start and never run a line of; one that is packed is for the stage (L3)."""
    text = MACH.replace("as: /boot/k}", "as: /boot/k}, modules: [{file: i, as: /boot/i, args: i $(task-create)}]")
    (line,) = told(recipes, text, multiboot(), b"text")
    assert line == (
        "recipes/x.yaml: boot.modules: recipes/i cannot be the module /boot/i: it is no ELF file; name another file"
    )
    assert told(recipes, text, multiboot(), elf()) == told(recipes, text, multiboot(), gzip.compress(b"text")) == []


def test_what_is_no_initrd_is_told(recipes: RecipeFolder) -> None:
    """An entry's own as well as that of all."""
    (line,) = told(recipes, ENTRY, bzimage(), b"no")
    assert line.startswith("recipes/x.yaml: boot.entries.mine.initrd: recipes/i cannot be the initrd: it is no cpio")


def test_a_file_that_went_away_is_for_the_stage(recipes: RecipeFolder) -> None:
    """What cannot be read is no kernel that was judged."""
    recipe = recipes.load(OWN) if (recipes.folder / "recipes/k").write_bytes(b"") == 0 else None
    assert recipe is not None
    (recipes.folder / "recipes/k").unlink()
    assert preflight.files(recipe, recipes.folder / "build") == []


def test_what_another_recipe_makes_is_for_the_stage(recipes: RecipeFolder) -> None:
    """What is in a build directory now may not be what is there once that recipe was built, in the same run."""
    (recipes.folder / "recipes/k").write_bytes(b"cut off")
    recipe = recipes.load(OWN)
    assert len(preflight.files(recipe, recipes.folder / "build")) == 1
    assert preflight.files(recipe, recipes.folder / "recipes") == []


def test_what_is_no_tar_is_told(recipes: RecipeFolder) -> None:
    """A source that is known to be something else, with what boots that."""
    text = "source: {tar: k}\nboot: {kernel: i, initrd: none}\n"
    (recipes.folder / "recipes/i").write_bytes(bzimage())
    assert told(recipes, text, b"\x1f\x8b", bzimage()) == []
    (line,) = told(recipes, text, b"QFI\xfb" + bytes(100), bzimage())
    assert line.startswith("recipes/x.yaml: source.tar: recipes/k is no tar: it is a disk image, qcow2; `doit run-uefi")


def test_modules_that_this_hosts_grub_has_not_are_doubted(
    recipes: RecipeFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A misspelt one is told before the tree is made, which may bring another GRUB that has it."""
    grub = tmp_path / "grub/x86_64-efi"
    grub.mkdir(parents=True)
    for name in ("moddep.lst", "ntfs.mod", "luks2.mod"):
        (grub / name).touch()
    monkeypatch.setattr(preflight.programs, "place", lambda _: grub / "moddep.lst")
    recipe = recipes.load(SOURCE + "boot: {loader: grub-efi, grub_modules: [ntfs, luks3, quite_new]}\n")
    start = "recipes/x.yaml: boot.grub_modules: the GRUB of this host, for x86_64-efi, has no module"
    assert preflight.doubts(recipe) == [
        f"{start} luks3; did you mean luks2?",
        f"{start} quite_new; is it one of the image's GRUB?",
    ]
    monkeypatch.setattr(preflight.programs, "place", lambda _: None)
    assert preflight.doubts(recipe) == []
    assert preflight.doubts(recipes.load(SOURCE)) == []


def test_what_cloud_init_would_pass_over_is_told_before_anything_is_made(recipes: RecipeFolder) -> None:
    """By the key that names the file, and what to write (W10)."""
    (recipes.folder / "recipes/u").write_text("# cloud-config\nx: y\n")
    text = SOURCE + "system: {cloud_init: {user_data: u}}\noutputs: [cidata]\n"
    (line,) = preflight.files(recipes.load(text), recipes.folder / "build")
    assert "system.cloud_init.user_data: recipes/u begins with '# cloud-config'" in line
    assert "did you mean #cloud-config?" in line
