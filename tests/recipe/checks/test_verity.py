"""Verified roots that cannot be, each with its place in the file and what to do. C12."""

from __future__ import annotations

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

DISK = SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: squashfs, verity: true}}}\n"
MISTAKES = [
    (
        DISK.replace("fs: squashfs", "fs: ext4"),
        [
            (
                "2:51: disk.partitions.root.fs: the table, which names partitions by the hash, is written "
                "before ext4 is made; write squashfs"
            )
        ],
    ),
    (
        DISK.replace("root: {mount: /, ", "root: {mount: /}, data: {mount: /srv, "),
        [
            (
                "2:90: disk.partitions.data.verity: only a root is verified: the hash of another would stand in "
                "the tree that it is made of; remove it"
            )
        ],
    ),
    (
        DISK.replace("disk: {", "disk: {table: mbr, ") + "boot: {loader: syslinux}\n",
        ["2:15: disk.table: its partitions are found by their GUIDs; write gpt, or leave verity out"],
    ),
    (
        DISK.replace("verity: true", "verity: true, encrypt: {passphrase: {env: X}}"),
        ["2:75: disk.partitions.root.encrypt: what is encrypted is not verified here; remove it, or verity"],
    ),
    (
        DISK + "boot: {loader: efistub, place: root}\n",
        [
            (
                "3:32: boot.place: kernels on it would hold the command line with its own hash; "
                "write esp, or give /boot a partition"
            )
        ],
    ),
    (
        DISK.replace("verity: true", "verity: true, partuuid: 01234567-89ab-cdef-0123-456789abcdef"),
        ["2:85: disk.partitions.root.partuuid: it follows from the root hash, by which it is found; remove it"],
    ),
    (
        DISK.replace("true}", "true}, root-verity: {fs: none, size: 1M}"),
        [
            (
                "2:69: disk.partitions.root.verity: its hash tree would be called root-verity, which another "
                "partition is; write one with fs: verity"
            )
        ],
    ),
    (
        DISK.replace("true}", "true}, a: {fs: verity}, b: {fs: verity}"),
        ["2:101: disk.partitions.b.fs: a is the hash tree already; remove this one"],
    ),
    (
        DISK.replace("verity: true}", "}, a: {fs: verity}"),
        ["2:72: disk.partitions.a.fs: no partition has verity: true; remove this one"],
    ),
    (
        DISK.replace("true}", "true}, a: {fs: verity, mount: /a, label: b, extra: 1M}"),
        ["2:99: disk.partitions.a.mount: there is no filesystem to mount; write fs:, or remove the mount"],
    ),
    (
        DISK.replace("verity: true", "verity: true, overlay: none") + "boot: {root: none}\n",
        ["3:14: boot.root: nobody would be told the root hash; write partuuid, or leave verity out"],
    ),
    (
        DISK + "boot: {cmdline: a roothash=b}\n",
        ["3:17: boot.cmdline: the root hash follows from what the root holds, and is added; remove it"],
    ),
    (
        DISK.replace("verity: true", "verity: true, overlay: none") + "boot: {entries: {a: {initrd: none}}}\n",
        [
            (
                "3:30: boot.entries.a.initrd: a kernel alone cannot open a verified root; write auto, or the "
                "file of one that can"
            )
        ],
    ),
]


@each_of(MISTAKES)
def test_a_root_that_cannot_be_verified_is_refused(recipes: RecipeFolder, text: str, lines: list[str]) -> None:
    """Each is told before anything is made, with what to write."""
    assert recipes.mistakes(text) == lines


def test_its_hash_tree_stands_behind_it_or_where_it_is_written(recipes: RecipeFolder) -> None:
    """A partition that nobody wrote is one like any other; who writes it says where it is and what it is called."""
    parts = recipes.load(DISK.replace("true}", "true}, last: {mount: /srv}")).disk.partitions
    assert list(parts) == ["esp", "root", "root-verity", "last"]
    assert (parts["root-verity"].type, parts["root-verity"].partuuid, parts["root"].partuuid) == ("root-verity", "", "")
    assert parts["root"].mapped == "/dev/mapper/root"
    text = DISK.replace("esp: {}, root: {", "tree: {fs: verity, start: 4M}, esp: {start: 8M}, root: {")
    written = recipes.load(text).disk.partitions
    assert list(written) == ["tree", "esp", "root"]
    assert written["tree"].uuid != parts["root-verity"].uuid
