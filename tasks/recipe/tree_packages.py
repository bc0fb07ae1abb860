"""Packages on top of a tree that was not installed here: whether a recipe wants some, its kernel among them. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.recipe.model.layers import Packages
from bootsmith.tasks.recipe.model.source import Container, Debian, Directory, Disk, Erofs, Oci, Squashfs, Tar

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model.recipe import Recipe

GIVEN: Final = (Container, Directory, Disk, Erofs, Oci, Squashfs, Tar)
"""The sources whose trees are made elsewhere, of whatever distribution."""
LAYER: Final = "kernel"
"""The layer of a kernel that is added, below the recipe's own."""
KERNEL: Final = re.compile(r"linux-image-(?!.*-(dbg|signed-template)$)")
"""What packages of Debian's and Ubuntu's kernels are called."""


def wanted(recipe: Recipe) -> bool:
    """Tell whether packages are to come on top of a tree that says itself what it has: a container's, an archive's."""
    return is_given(recipe) and (adds_kernel(recipe) or any(isinstance(each, Packages) for each in recipe.layers))


def adds_kernel(recipe: Recipe) -> bool:
    """Tell whether such a tree is to have its distribution's kernel, unless it has one."""
    asked = any(entry.kernel == "install" for entry in recipe.boot.entries.values())
    return is_given(recipe) and asked and not names_kernel(recipe)


def names_kernel(recipe: Recipe) -> bool:
    """Tell whether a layer of packages names a kernel."""
    layers = (layer for layer in recipe.layers if isinstance(layer, Packages))
    return any(KERNEL.match(name) for layer in layers for name in layer.install)


def makes_initrds(recipe: Recipe) -> bool:
    """Tell whether initrds are made here, by the tree's initramfs-tools: wherever kernels come as packages."""
    return isinstance(recipe.source, Debian) or (is_given(recipe) and (adds_kernel(recipe) or names_kernel(recipe)))


def is_given(recipe: Recipe) -> bool:
    """Tell whether a recipe's tree is made elsewhere, and says itself what is installed in it, if anything is."""
    return isinstance(recipe.source, GIVEN)
