"""Words for the program that makes a filesystem: those whose effect is all in the words, and no others.

mke2fs and mkfs.vfat can read folders, write undo files, take a journal from another disk and numbers from chance. What
they read no key would see, and what they write would lie outside the build directory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.text.problems import Finding, suggest

FEATURES: Final = (
    *("64bit", "bigalloc", "casefold", "dir_index", "dir_nlink", "ea_inode", "encrypt", "ext_attr", "extent"),
    *("extents", "extra_isize", "fast_commit", "filetype", "flex_bg", "has_journal", "huge_file", "inline_data"),
    *("large_dir", "large_file", "meta_bg", "metadata_csum", "metadata_csum_seed", "orphan_file", "project"),
    *("resize_inode", "sparse_super", "sparse_super2", "stable_inodes", "uninit_bg", "verity"),
)
"""Of ext. Not mmp, which writes down the host's name, the file's and the time; journal_dev, which has no files; nor
quota, which counts what each user has: nobody counts here, and the guest can by `tune2fs -O quota`."""
_NUMBER: Final = r"\d{1,10}"
_EXT: Final[Mapping[str, str]] = {
    "-r": r"[01]",  # revision
    "-i": _NUMBER,  # bytes for which there is an inode
    "-N": _NUMBER,  # inodes
    "-e": r"continue|remount-ro|panic",  # on errors
}
_FAT: Final[Mapping[str, str]] = {
    "-s": _NUMBER,  # sectors of a cluster
    "-R": _NUMBER,  # reserved sectors
    "-f": r"[12]",  # tables
    "-h": _NUMBER,  # hidden sectors
}
_KEYS: Final = {"-O": "features", "-I": "inode_size", "-m": "reserved"}
"""What has a key of its own, by which the room is reckoned too."""
_PURE: Final[Mapping[str, Mapping[str, str]]] = {"ext2": _EXT, "ext3": _EXT, "ext4": _EXT, "vfat": _FAT}
"""Filesystem -> option -> what its value looks like."""


def check(recipe: Recipe) -> Iterable[Finding]:
    """Find words that shape a filesystem by more than themselves."""
    for name, part in recipe.disk.partitions.items():
        pure = _PURE.get(part.fs, {})
        path = ("disk", "partitions", name, "mkfs")
        if part.mkfs and not pure:
            plain = part.measured or part.fs == "btrfs"
            what = f"{part.fs} is made without further words" if plain else "there is no filesystem to make"
            yield path, f"{what}; remove it, or write another fs:"
            continue
        words = iter(part.mkfs)
        for option in words:
            if option in _KEYS and part.fs != "vfat":
                yield path, f"{option!r} has a key of its own; write {_KEYS[option]}: beside mkfs"
                break
            if option not in pure:
                known = ", ".join(pure)
                yield path, f"{option!r} is no option that {part.fs} may be made with here; write some of {known}"
                break
            value = next(words, "")
            if not re.fullmatch(pure[option], value, re.ASCII):
                yield path, f"{value!r} is no value of {option}; write it as a word behind {option}, as in [-i, '8192']"
                break


def check_form(recipe: Recipe) -> Iterable[Finding]:
    """Find what is said of an ext filesystem where there is none, and features that are none."""
    for name, part in recipe.disk.partitions.items():
        path = ("disk", "partitions", name)
        if not part.fs.startswith("ext"):
            for key, usual in (("features", ()), ("inode_size", 256), ("reserved", 1)):
                if getattr(part, key) != usual:
                    yield (*path, key), f"this is of ext2, ext3 and ext4, and the filesystem is {part.fs}; remove it"
        for feature in part.features:
            if feature.removeprefix("^") not in FEATURES and feature != "none":
                yield (
                    (*path, "features"),
                    f"{feature!r} is no feature that is made here; {suggest(feature.removeprefix('^'), FEATURES)}",
                )
