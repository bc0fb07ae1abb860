"""Packages on top of a tree that was not installed here: whether a recipe wants some, its kernel among them. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.recipe.model.layers import Packages
from bootsmith.tasks.recipe.model.source import Arch, Debian, Nothing

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model.recipe import Recipe

LAYER: Final = "kernel"
"""The layer of a kernel that is added, below the recipe's own."""
KERNEL: Final = re.compile(r"linux-image-(?!.*-(dbg|signed-template)$)")
"""What packages of Debian's and Ubuntu's kernels are called."""


def wanted(recipe: Recipe) -> bool:
    """Tell whether packages are to come on top of a tree that says itself what it has: a container's, an archive's."""
    return _is_given(recipe) and (adds_kernel(recipe) or any(isinstance(each, Packages) for each in recipe.layers))


def adds_kernel(recipe: Recipe) -> bool:
    """Tell whether such a tree is to have its distribution's kernel, unless it has one."""
    asked = any(entry.kernel == "install" for entry in recipe.boot.entries.values())
    return _is_given(recipe) and asked and not names_kernel(recipe)


def names_kernel(recipe: Recipe) -> bool:
    """Tell whether a layer of packages names a kernel."""
    layers = (layer for layer in recipe.layers if isinstance(layer, Packages))
    return any(KERNEL.match(name) for layer in layers for name in layer.install)


def makes_initrds(recipe: Recipe) -> bool:
    """Tell whether initrds are made here, by the tree's initramfs-tools: wherever kernels come as packages."""
    return isinstance(recipe.source, Debian) or (_is_given(recipe) and (adds_kernel(recipe) or names_kernel(recipe)))


def _is_given(recipe: Recipe) -> bool:
    return not isinstance(recipe.source, Arch | Debian | Nothing)
