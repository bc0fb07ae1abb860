"""Recipes whose kernel could not start, or would find nothing: told before anything is built. W4, L3, L5, L6, A9."""

from __future__ import annotations

import pytest
from bootsmith.tasks.errors import RecipeError

from tests.support.recipe_folder import SOURCE, RecipeFolder

MACH = (
    "arch: i386\nsource: none\ndisk: {partitions: {root: {fs: ext2, mount: /}}}\n"
    "boot: {loader: grub-bios, protocol: multiboot, kernel: {first: [k], as: /boot/k}}\n"
)
TREE = "source: {directory: tree}\nboot: {loader: direct, kernel: k, initrd: tree}\noutputs: [initramfs]\n"


@pytest.fixture
def with_files(recipes: RecipeFolder) -> RecipeFolder:
    """A kernel `k` and a folder `tree` with an init that can run."""
    folder = recipes.folder / "recipes"
    (folder / "k").write_bytes(b"kernel")
    (folder / "tree").mkdir()
    (folder / "tree/init").write_text("#!/bin/sh\n")
    (folder / "tree/init").chmod(0o755)
    (folder / "bare").mkdir()
    return recipes


LONG = SOURCE + "boot: {root: none, console: [], cmdline: " + "x" * 2047 + "}\n"


def test_a_command_line_may_be_as_long_as_linux_keeps(recipes: RecipeFolder) -> None:
    """The last byte that Linux keeps is no mistake; nor is a root= of an entry's own, which is meant."""
    assert len(recipes.load(LONG).boot.cmdline) == 2047
    assert recipes.load(SOURCE + "boot: {entries: {a: {}, b: {cmdline: root=/dev/sdb1}}}\n").boot.root == "partuuid"


@pytest.mark.parametrize("text", [MACH, TREE], ids=["multiboot", "initramfs"])
def test_the_least_that_is_right(text: str, with_files: RecipeFolder) -> None:
    """What the mistakes below are made in is right; nothing of a guest is declared in it."""
    assert with_files.load(text).system == "none"


BAD = [
    # -- where a kernel comes from
    (
        "source: none\nboot: {initrd: none}\n",
        ["2:1: boot.kernel: there is no kernel in an empty tree; name one: a PATH, or {package:, path:}"],
    ),
    (
        TREE.replace("kernel: k, ", "kernel: none, ").replace("[initramfs]", "[kernel]"),
        [
            "boot.kernel: direct would have nothing to start; write auto, or name a kernel",
            "outputs: boot.kernel is none, so there is no kernel to keep; remove that output",
        ],
    ),
    (SOURCE + "boot: {kernel: tree}\n", ["boot.kernel.file: recipes/tree is not a file; name a file"]),
    (
        SOURCE + "boot: {kernel: {first: [k], as: /boot/efi/k}, loader: grub-efi}\n",
        ["boot.kernel.as: it must be on root, where the loader looks; write a path below /"],
    ),
    # -- multiboot
    (
        MACH.replace("kernel: {first: [k], as: /boot/k}", "kernel: auto"),
        ["boot.kernel: bootsmith finds no multiboot kernel by itself; name one: {first: [PATH], as: /boot/kernel}"],
    ),
    (
        MACH.replace("{first: [k], as: /boot/k}", "k"),
        ["boot.kernel: it has no usual place in the tree; add as: /boot/kernel, or another place"],
    ),
    (
        MACH.replace("as: /boot/k}", "as: /boot/k}, initrd: k"),
        ["boot.initrd: multiboot kernels take modules, not an initrd; write none, and name the file in boot.modules"],
    ),
    (
        MACH.replace("as: /boot/k}", "as: /boot/k}, root: uuid"),
        ["boot.root: root= is for Linux; write it into boot.cmdline as the kernel reads it"],
    ),
    (
        SOURCE + "boot: {loader: grub-efi, protocol: multiboot, kernel: {first: [k], as: /boot/k}}\n",
        ["boot.loader: grub-efi starts no multiboot kernels; write grub-bios"],
    ),
    (
        MACH.replace("as: /boot/k}", "as: /boot/k}, modules: [{file: tree/init, as: /boot/k}]"),
        ["boot.modules.as: another file stands at /boot/k already; take another place"],
    ),
    (
        SOURCE + "boot: {modules: [{file: k, as: /boot/k}]}\n",
        ["boot.modules: Linux takes no modules from its loader; write protocol: multiboot, or put it in the initrd"],
    ),
    (
        MACH.replace("as: /boot/k}", "as: /boot/k}, modules: [{file: none, as: /boot/m}]"),
        ["boot.entries: there is nothing to boot; write at least one entry"],
    ),
    (MACH.replace("as: /boot/k}", "as: k}"), ["boot.kernel.as: 'k' is not a path in the tree; begin it with /, and"]),
    # -- command lines
    (
        SOURCE + "boot: {root: none, console: [], cmdline: " + "x" * 2048 + "}\n",
        ["boot.cmdline: the command line comes to 2048 bytes, and Linux drops all after 2047 without a word; shorten"],
    ),
    (
        SOURCE + "boot: {root: none, cmdline: " + "x" * 1000 + ", entries: {a: {}, b: {cmdline: " + "é" * 520 + "}}}\n",
        ["boot.entries.b.cmdline: the command line comes to 2068 bytes"],
    ),
    (
        SOURCE + "boot: {cmdline: quiet root=/dev/sda2}\n",
        [
            (
                "boot.cmdline: boot.root writes root= already, and of two Linux takes the last; "
                "remove it here, or write boot.root: none"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {size: 64M}, root: {mount: /, label: my root}}}\nboot: {root: label}\n",
        ["boot.root: the label 'my root' of root is not one word of a command line; take another label, or write uuid"],
    ),
    # -- an architecture
    (
        "arch: i386\n" + SOURCE + "boot: {loader: systemd-boot}\n",
        ["boot.loader: systemd-boot is for 64-bit machines; with arch: i386 write grub-bios"],
    ),
    # -- initrds
    (
        "source: none\nboot: {kernel: k}\n",
        [
            (
                "boot.initrd: an empty tree has neither an initrd nor the tools that make one; "
                "write none, tree, or a file of your own"
            )
        ],
    ),
    (
        SOURCE + "boot: {initrd: none}\noutputs: [initramfs]\n",
        ["outputs.initramfs: boot.initrd is none, so there is none to keep; remove this output"],
    ),
    (
        SOURCE + "outputs: [initramfs: {compress: zstd}]\n",
        [
            (
                "outputs.initramfs.compress: what the tree's tools or others made stays as it is packed; "
                "remove this, or write boot.initrd: tree"
            )
        ],
    ),
    (TREE.replace("[initramfs]", "[raw, qcow2]"), ["outputs.raw: there is no disk", "outputs.qcow2: there is no disk"]),
    (
        TREE.replace("directory: tree", "directory: bare"),
        ["source: an initramfs starts with /init, and there is none (recipes/bare/init); write the program or script"],
    ),
    (
        TREE.replace("{directory: tree}", "none"),
        ["source: an initramfs starts with /init, and there is none; write the program or script that is to run first"],
    ),
    # -- device nodes
    (
        SOURCE + "layers: [devices: {/dev/x: c}]\n",
        ["layers.devices./dev/x.node: 'c' is not a device node; write"],
    ),
    (SOURCE + "layers: [devices: {/dev/x: p 1 2}]\n", ["layers.devices./dev/x.node: 'p 1 2' is not a device node"]),
    (SOURCE + "layers: [devices: {/dev/x: c 5000 2}]\n", ["'c 5000 2' is beyond what Linux numbers; write a major"]),
    # -- trees
    ("source: {tar: tree}\n", ["source.tar.file: recipes/tree is not a file; name a file"]),
    ("source: {directory: k}\n", ["source.directory.path: recipes/k is not a directory; name a directory"]),
    ("source: {directory: {path: tree, owner: me}}\n", ["source.directory.owner: 'me' is not a choice"]),
]


@pytest.mark.parametrize(("text", "lines"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_a_mistake_is_told_with_place_key_reason_and_remedy(
    with_files: RecipeFolder, text: str, lines: list[str]
) -> None:
    """Each mistake is one line; nothing else is complained about."""
    with pytest.raises(RecipeError) as caught:
        with_files.load(text)
    assert len(caught.value.problems) == len(lines), caught.value.problems
    for line in lines:
        assert any(line in problem for problem in caught.value.problems), caught.value.problems
    assert all(problem.startswith("recipes/x.yaml:") for problem in caught.value.problems)


def test_an_init_that_cannot_run_is_told_at_once(with_files: RecipeFolder) -> None:
    """A script without its exec bit would start nothing; the error says chmod. W4."""
    (with_files.folder / "recipes/tree/init").chmod(0o644)
    with pytest.raises(RecipeError, match=r"recipes/tree/init is not executable, so nothing would start; chmod \+x it"):
        with_files.load(TREE)


@pytest.mark.parametrize(
    "layers",
    ["[files: {/init: {from: k, mode: 0755}}]", "[links: {/init: sbin/init}]", "[overlay: tree]"],
)
def test_a_layer_may_bring_the_init(layers: str, with_files: RecipeFolder) -> None:
    """A file, a link or an overlay of the recipe's is as good as the source's own."""
    assert with_files.load(TREE.replace("directory: tree", "directory: bare") + f"layers: {layers}\n").layers
