"""Recipes in which a single entry's kernel or initrd could not start: told before anything is built. L6, V14, A9."""

from __future__ import annotations

import pytest
from bootsmith.tasks.errors import RecipeError

from tests.support.recipe_folder import SOURCE, RecipeFolder

MACH = "arch: i386\nsource: none\ndisk: {partitions: {root: {fs: ext2, mount: /}}}\n"
MULTIBOOT = "loader: grub-bios, protocol: multiboot, kernel: {file: k, as: /boot/k}"
TREE = "source: {directory: tree}\n"
FOUND_BY_LABEL = "two: {kernel: k, initrd: none}, three: {initrd: none, cmdline: root=/dev/vda2}"

BAD = [
    # the recipe but its boot:, boot: but the entries, the entries, what is told
    (SOURCE, "", "one: {}, two: {kernel: gone}", ["two.kernel.file: recipes/gone does not exist; create that file"]),
    (
        SOURCE,
        "",
        "one: {}, two: {kernel: tree, initrd: gone}",
        [
            "two.kernel.file: recipes/tree is not a file; name a file",
            "two.initrd: recipes/gone does not exist; create that file",
        ],
    ),
    (
        SOURCE,
        "",
        "one: {}, two: {kernel: none}",
        ["two.kernel: systemd-boot would have nothing to start; write auto, or name a kernel"],
    ),
    (SOURCE, "", "one: {kernal: k}", ["one.kernal: unknown key; did you mean kernel?"]),
    (
        "source: none\n",
        "kernel: k, initrd: none, root: /dev/vda1",
        "one: {}, two: {kernel: install}",
        ["two.kernel: this source's tree has no apt to install one; name a kernel: a PATH"],
    ),
    # -- where it stands
    (
        SOURCE,
        "loader: grub-efi",
        "a: {kernel: {file: k, as: /boot/efi/k}}, b: {}",
        ["a.kernel.as: it must be on root, where the loader looks; write a path below /"],
    ),
    (
        SOURCE,
        "loader: grub-efi, kernel: {file: i, as: /boot/k}",
        "a: {kernel: {file: k, as: /boot/k}}, b: {}",
        ["a.kernel.as: another file stands at /boot/k already; take another place"],
    ),
    (
        SOURCE,
        "",
        "a: {kernel: {file: k, as: /boot/efi/k}}, b: {kernel: {file: i, as: /boot/efi/K}}",
        ["b.kernel.as: another file stands at /boot/efi/K already; take another place"],
    ),
    (
        SOURCE,
        "",
        "mine: {kernel: k}, Mine: {}",
        ["Mine: on a FAT filesystem Mine and mine are one name; take another one"],
    ),
    (
        SOURCE,
        "loader: syslinux",
        "mine: {kernel: k}, Mine: {kernel: i}, MINE: {}",
        ["Mine: on a FAT filesystem Mine and mine are one name; take another one"],
    ),
    (
        SOURCE,
        "",
        "a.: {kernel: k}, b.: {}",
        ["a.: no folder on a FAT filesystem can be called so; take a name without a dot at its end"],
    ),
    (
        SOURCE,
        "",
        "view: {initrd: k}, tree: {kernel: k}, x: {}",
        [
            "view: bootsmith has a stage initramfs/view of its own; take another name",
            "tree: bootsmith has a stage initramfs/tree of its own; take another name",
        ],
    ),
    # -- what it starts with
    (
        SOURCE,
        "root: label",
        f"one: {{}}, {FOUND_BY_LABEL}",
        [
            "two.initrd: Linux without an initrd finds no filesystem by label; write boot.root: partuuid, or root=",
        ],
    ),
    (
        "source: none\n",
        "initrd: none, kernel: k",
        "one: {}, two: {kernel: auto, initrd: auto}",
        [
            "two.kernel: there is no kernel in an empty tree; name one: a PATH, or {package:, path:}",
            "two.initrd: an empty tree has neither an initrd nor the tools that make one; write none, tree, or a file",
        ],
    ),
    (
        TREE + "outputs: [initramfs]\n",
        "loader: direct, kernel: k, initrd: tree",
        "one: {}, two: {initrd: none}",
        ["two.initrd: direct starts a kernel without a disk, so all there is must be in the initrd; write tree"],
    ),
    # -- loaders and protocols
    (
        MACH,
        MULTIBOOT,
        "one: {}, two: {kernel: auto}, three: {initrd: k}",
        [
            "two.kernel: bootsmith finds no multiboot kernel by itself; name one: {first: [PATH], as: /boot/kernel}",
            "three.initrd: multiboot kernels take modules, not an initrd; write none, and name the file in",
        ],
    ),
]


@pytest.fixture
def with_files(recipes: RecipeFolder) -> RecipeFolder:
    """Files `k` and `i`, and a folder `tree` with an init that can run."""
    folder = recipes.folder / "recipes"
    for name in ("k", "i"):
        (folder / name).write_bytes(b"")
    (folder / "tree").mkdir()
    (folder / "tree/init").write_text("#!/bin/sh\n")
    (folder / "tree/init").chmod(0o755)
    return recipes


@pytest.mark.parametrize(("text", "boot", "entries", "told"), BAD, ids=map(str, range(len(BAD))))
def test_a_mistake_is_told_at_the_entry(
    text: str, boot: str, entries: str, told: list[str], with_files: RecipeFolder
) -> None:
    """Each mistake is one line with the entry's key; nothing else is complained about."""
    with pytest.raises(RecipeError) as caught:
        with_files.load(f"{text}boot: {{{boot + ', ' if boot else ''}entries: {{{entries}}}}}\n")
    assert len(caught.value.problems) == len(told), caught.value.problems
    for line, problem in zip(told, caught.value.problems, strict=True):
        place, _, what = problem.partition(": boot.entries.")
        assert place.startswith("recipes/x.yaml:")
        assert what.startswith(line)


def test_an_empty_tree_installs_nothing(with_files: RecipeFolder) -> None:
    """`kernel: install` needs a tree with a package manager; so for all entries."""
    assert with_files.load(TREE + "boot: {kernel: install}\n").boot.kernel == "install"
    with pytest.raises(RecipeError, match=r"boot\.kernel: this source's tree has no apt to install one"):
        with_files.load("source: none\nboot: {kernel: install, initrd: none}\n")


def test_one_image_without_a_menu_has_one_entry(with_files: RecipeFolder) -> None:
    """A kernel of its own makes no menu where the firmware shows none."""
    with pytest.raises(RecipeError, match=r"boot\.entries: a kernel image that the firmware starts shows no"):
        with_files.load(SOURCE + "boot: {loader: efistub, entries: {one: {}, two: {kernel: k}}}\n")
