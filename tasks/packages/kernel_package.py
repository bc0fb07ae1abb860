"""The distribution's kernel as packages: what it is called, which packages bring one, whether a recipe wants it added.

With `boot.kernel: install` it is added to what else is asked for, unless a kernel is among that. Which of the two it
was is seen in the lock file: the line `kernel: PACKAGE` stands there only where it was added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.recipe import tree_packages
from bootsmith.tasks.recipe.model.layers import Files, Links, Overlay, Run, Script
from bootsmith.tasks.recipe.model.source import Debian, Ubuntu
from bootsmith.tasks.tree.installed_kernel import PATTERNS

if TYPE_CHECKING:
    from bootsmith.tasks.packages.lockfile import LockFile, Package
    from bootsmith.tasks.recipe.model.layers import LayerSpec
    from bootsmith.tasks.recipe.model.recipe import Recipe

DEBIAN: Final[Mapping[str, str]] = {"amd64": "linux-image-amd64", "i386": "linux-image-686"}
"""Debian's kernel for any machine of an architecture; that of i386 needs no PAE."""
SMALLER: Final[Mapping[str, str]] = {"amd64": "linux-image-cloud-amd64"}
"""Its kernel for virtual machines only."""
UBUNTU: Final = "linux-image-generic"
"""Ubuntu's kernel for any machine."""
MAKERS: Final = ("initramfs-tools",)
"""What comes with a kernel that is added to a tree, for an initrd to be made there."""
FACT: Final = "kernel"
"""The lock file's line."""

_BY_OTHERS: Final = re.compile(r"(?!.*(headers|-dev|-doc|-dbg|-libc|-source|-tools))(linux-|(.*-)?kernel(-|$))")


def name(recipe: Recipe) -> str:
    """Return what the kernel of a recipe's distribution is called."""
    return of("ubuntu" if isinstance(recipe.source, Ubuntu) else "debian", recipe.arch)


def of(distribution: str, arch: str) -> str:
    """Return what the kernel of a distribution is called that a tree says it is of."""
    return UBUNTU if distribution == "ubuntu" else DEBIAN[arch]


def is_asked(recipe: Recipe) -> bool:
    """Tell whether the recipe wants the distribution's kernel wherever there is none."""
    asked = isinstance(recipe.source, Debian) and any(each.kernel == "install" for each in recipe.boot.entries.values())
    return asked and not tree_packages.names_kernel(recipe)


def is_among(packages: Iterable[Package]) -> bool:
    """Tell whether one of some packages brings a kernel; of a repository that is not Debian's, whether it may."""
    return any(
        tree_packages.KERNEL.match(package.name)
        or (package.role.startswith("extra") and _BY_OTHERS.match(package.name))
        for package in packages
    )


def missing(recipe: Recipe, lock: LockFile) -> str | None:
    """Return what is wrong where entries start the tree's kernel and nothing brings one, with what to do about it."""
    wanted = any(entry.kernel == "auto" for entry in recipe.boot.entries.values())
    if not (wanted and isinstance(recipe.source, Debian) and recipe.boot.protocol == "linux"):
        return None
    if is_among(lock.of_tree) or any(map(_may_bring, recipe.layers)):
        return None
    ubuntu = isinstance(recipe.source, Ubuntu)
    small = "linux-image-virtual" if ubuntu else SMALLER.get(recipe.arch, "")
    smaller = f" (or {small}, for virtual machines only)" if small else ""
    what = f"none of the {len(lock.packages)} packages brings a kernel, and no layer does"
    without = "; where nothing is to boot, as in a container, write none" if recipe.keeps_trees else ""
    packages = f"source.{'ubuntu' if ubuntu else 'debian'}.packages"
    return f"{what}; write install, or add {name(recipe)}{smaller} to {packages}{without}"


def _may_bring(layer: LayerSpec) -> bool:
    """Tell whether a layer could put a kernel into the tree."""
    match layer:
        case Overlay(to="/"):
            return any(path for pattern in PATTERNS for path in layer.source.glob(pattern))
        case Overlay():
            return layer.to.startswith(("/boot", "/lib", "/usr"))
        case Run() | Script():
            return True
        case Files() | Links():
            return any(
                "vmlinuz" in path or path.endswith("/bzImage")
                for path in (layer.files if isinstance(layer, Files) else layer.links)
            )
    return False
