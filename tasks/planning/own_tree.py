"""What a tree that is a directory of the host lacks, told before all of it is packed: a kernel, users.

Where a link or an overlay may lead to what is looked for, nothing is told: the stages that need it find out.
"""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.disk.kernel_paths import key
from bootsmith.tasks.recipe import boot_files
from bootsmith.tasks.recipe.model.layers import Files, Links, Overlay, Run, Script
from bootsmith.tasks.recipe.model.source import Directory
from bootsmith.tasks.tree.installed_kernel import PATTERNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsmith.tasks.recipe.model.layers import LayerSpec
    from bootsmith.tasks.recipe.model.recipe import Recipe

_ACCOUNTS: Final = ("etc/passwd", "etc/group")


def lacks(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    """Yield the key, what its tree has not, and what to do, where the recipe needs it."""
    source = recipe.source
    if not isinstance(source, Directory):
        return
    entry = next((entry for entry, kernel in boot_files.kernels(recipe.boot).items() if kernel == "auto"), None)
    if entry is not None and not may_have_kernel(source.path, recipe.layers):
        yield key(entry, "kernel"), f"there is no kernel in {_named(source.path)}", "name one, or bring one in a layer"
    if recipe.system != "none" and not all(_may_have(source.path, recipe.layers, each) for each in _ACCOUNTS):
        what = f"{_named(source.path)} has no /etc/passwd and /etc/group, so it can have no users"
        yield "source.directory", what, "bring both files in a layer, or write system: none"


def may_have_kernel(top: Path, layers: tuple[LayerSpec, ...] = ()) -> bool:
    """Tell whether a kernel is in a directory with layers over it, or may be."""
    return any(_may_have(top, layers, each) for each in PATTERNS)


def _named(folder: Path) -> str:
    return shown(Path(os.path.normpath(folder)))


def _may_have(top: Path, layers: tuple[LayerSpec, ...], pattern: str) -> bool:
    """Tell whether a file like that is in a directory or a layer, or may be by ways that are not looked into."""
    tops = [top]
    for layer in layers:
        if isinstance(layer, Overlay):
            tops.append(layer.source)
        other_place = isinstance(layer, Overlay) and layer.to != "/"
        if other_place or isinstance(layer, Links | Run | Script):
            return True
        if isinstance(layer, Files) and any(fnmatch(path.lstrip("/"), pattern) for path in layer.files):
            return True
    return any(_leads_away(each, pattern) or _has(each, pattern) for each in tops)


def _has(top: Path, pattern: str) -> bool:
    """Tell whether a name like that is there, be it of a link that leads elsewhere in the tree."""
    folder, _, name = pattern.rpartition("/")
    folders = top.glob(folder) if folder else [top]
    return any((each / name).is_symlink() or any(each.glob(name)) for each in folders)


def _leads_away(top: Path, pattern: str) -> bool:
    """Tell whether a link on the way there means another place in the tree than on the host."""
    ways = [top / each for each in Path(pattern).parents]
    return any(way.is_symlink() and way.readlink().is_absolute() for way in ways)
