"""What a tree that somebody names is taken as: a directory, an image of a tree or a disk by its content, else a tar."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.command.actions import images
from bootsmith.tasks.errors import UsageError

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.text.nodes import Raw

NO_TREE: Final = "Name a tar of a tree, or a directory that holds one."
_PACKED: Final = {(0, b"hsqs"): "squashfs", (1024, b"\xe2\xe1\xf5\xe0"): "erofs"}
"""Where a file says that it is an image of a tree, and no tar."""


def source(tree: Path, subdir: str | None = None, said: str = "") -> dict[str, Raw]:
    """Return the source that a tree is, as a recipe says it: its folder `subdir` alone, where that is given.

    `said` is its name, as recipes write it. Raises UsageError.
    """
    kind = _kind(tree)
    path: Raw = said or literal(str(tree))
    if subdir is not None and kind == "directory":
        raise UsageError(f"--subdir {subdir}: {tree} is a directory", "Name the folder in it that holds the tree.")
    if subdir is not None and kind != "tar":
        raise UsageError(f"--subdir {subdir}: {tree} is an image ({kind}), which is taken whole")
    if kind == "directory":
        return {kind: {"path": path, "owner": "keep", "times": "keep"}}
    return {kind: path} if subdir is None else {kind: {"file": path, "subdir": subdir}}


def _kind(tree: Path) -> str:
    from bootsmith.tasks.tree import file_kinds, image_archive

    if tree.is_dir():
        return "oci" if (tree / "oci-layout").is_file() and (tree / "index.json").is_file() else "directory"
    with images.existing(tree, NO_TREE).open("rb") as file:
        head = file.read(file_kinds.HEAD)
    for (at, magic), kind in _PACKED.items():
        if head[at : at + len(magic)] == magic:
            return kind
    return "oci" if image_archive.holds_image(tree) else "tar"


def literal(text: str) -> str:
    """Return a text as a recipe writes it: variables are the recipe's own."""
    return text.replace("$", "$$")
