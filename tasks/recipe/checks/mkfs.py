"""Words for the program that makes a filesystem: those whose effect is all in the words, and no others.

mke2fs and mkfs.vfat can read folders, write undo files, take a journal from another disk and numbers from chance. What
they read no key would see, and what they write would lie outside the build directory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from bootsmith.tasks.recipe.model import Recipe
from bootsmith.tasks.recipe.text.problems import Finding

FEATURES: Final = (
    *("64bit", "bigalloc", "casefold", "dir_index", "dir_nlink", "ea_inode", "encrypt", "ext_attr", "extent"),
    *("extents", "extra_isize", "fast_commit", "filetype", "flex_bg", "has_journal", "huge_file", "inline_data"),
    *("large_dir", "large_file", "meta_bg", "metadata_csum", "metadata_csum_seed", "orphan_file", "project", "quota"),
    *("resize_inode", "sparse_super", "sparse_super2", "stable_inodes", "uninit_bg", "verity"),
)
"""Of ext. Not mmp, which writes down the host's name, the file's and the time; nor journal_dev, which has no files."""
_FEATURE: Final = rf"\^?({'|'.join(FEATURES)})"
_NUMBER: Final = r"\d{1,10}"
_EXT: Final[Mapping[str, str]] = {
    "-O": rf"(none|{_FEATURE})(,{_FEATURE})*",
    "-r": r"[01]",  # revision
    "-I": _NUMBER,  # bytes of an inode
    "-i": _NUMBER,  # bytes for which there is an inode
    "-N": _NUMBER,  # inodes
    "-m": r"\d{1,2}(\.\d{1,3})?",  # per cent reserved for root
    "-e": r"continue|remount-ro|panic",  # on errors
}
_FAT: Final[Mapping[str, str]] = {
    "-s": _NUMBER,  # sectors of a cluster
    "-R": _NUMBER,  # reserved sectors
    "-f": r"[12]",  # tables
    "-h": _NUMBER,  # hidden sectors
}
_PURE: Final[Mapping[str, Mapping[str, str]]] = {"ext2": _EXT, "ext3": _EXT, "ext4": _EXT, "vfat": _FAT}
"""Filesystem -> option -> what its value looks like."""


def check(recipe: Recipe) -> Iterable[Finding]:
    """Find words that shape a filesystem by more than themselves."""
    for name, part in recipe.disk.partitions.items():
        pure = _PURE.get(part.fs, {})
        path = ("disk", "partitions", name, "mkfs")
        if part.mkfs and not pure:
            yield path, "there is no filesystem to make; remove it, or write fs:"
            continue
        words = iter(part.mkfs)
        for option in words:
            if option not in pure:
                known = ", ".join(pure)
                yield path, f"{option!r} is no option that {part.fs} may be made with here; write some of {known}"
                break
            value = next(words, "")
            if not re.fullmatch(pure[option], value, re.ASCII):
                yield path, f"{value!r} is no value of {option}; write it as a word behind {option}, as in [-m, '5']"
                break
