"""The packages of a distribution without which its tree cannot be what `system` declares, told by the lock file.

Only what a recipe cannot have without one of them: whether a package's content will do, the stage that needs it says.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import TYPE_CHECKING, NamedTuple

from bootsmith.tasks.recipe.model.layers import Files, Links, Overlay, Run, Script
from bootsmith.tasks.recipe.model.source import Debian

if TYPE_CHECKING:
    from bootsmith.tasks.packages.lockfile import LockFile
    from bootsmith.tasks.recipe.model.layers import LayerSpec
    from bootsmith.tasks.recipe.model.recipe import Recipe
    from bootsmith.tasks.recipe.model.system import System


class Need(NamedTuple):
    """What a key needs: one of some packages, the first of which is named, or a file that a layer brings."""

    key: str
    packages: tuple[str, ...]
    file: str


_MANAGERS = {
    "networkd": (("systemd",), "systemd-networkd"),
    "networkmanager": (("network-manager",), "NetworkManager"),
    "ifupdown": (("ifupdown", "ifupdown-ng", "ifupdown2"), "ifup"),
    "netplan": (("netplan.io",), "netplan"),
}
_NO_LOCALE = ("C", "POSIX", "C.UTF-8", "C.utf8")
_NO_ZONE = ("UTC", "Etc/UTC")
_NO_KEYMAP = "us"


def missing(recipe: Recipe, lock: LockFile) -> list[tuple[str, str]]:
    """Return the keys that nothing in a tree would serve, each with what to do about it."""
    if not isinstance(recipe.source, Debian) or recipe.system == "none":
        return []
    there = {package.name for package in lock.of_tree}
    found = []
    for need in _needs(recipe.system, recipe.disk.table):
        if not there.intersection(need.packages) and not any(_may_bring(each, need.file) for each in recipe.layers):
            what = f"none of the {len(lock.packages)} packages brings {need.file}, and no layer does"
            found.append((need.key, f"{what}; add {need.packages[0]} to source.debian.packages"))
    return found


def _needs(system: System, table: str) -> Iterator[Need]:
    for name, user in system.users.items():
        if user.sudo:
            yield Need(f"system.users.{name}.sudo", ("sudo", "sudo-ldap", "sudo-rs"), "sudo")
    if system.locale is not None and system.locale not in _NO_LOCALE:
        yield Need("system.locale", ("locales-all",), system.locale)
    if system.timezone is not None and system.timezone not in _NO_ZONE:
        yield Need("system.timezone", ("tzdata",), system.timezone.rpartition("/")[2])
    if system.keymap is not None and system.keymap != _NO_KEYMAP:
        yield Need("system.keymap", ("console-setup", "console-setup-mini", "kbd"), "setupcon")
    if system.network in _MANAGERS:
        yield Need("system.network", *_MANAGERS[system.network])
    if system.grow and table != "none":
        yield Need("system.grow", ("fdisk",), "sfdisk")
    for key in ("first_boot", "grow", "autologin"):
        if getattr(system, key):
            yield Need(f"system.{key}", ("systemd",), "systemd")


def _may_bring(layer: LayerSpec, name: str) -> bool:
    """Tell whether a layer could put a file of that name into the tree."""
    match layer:
        case Run() | Script():
            return True
        case Overlay():
            return any(True for _ in layer.source.rglob(name))
        case Files() | Links():
            paths = layer.files if isinstance(layer, Files) else layer.links
            return any(fnmatch(path, f"*/{name}") for path in paths)
    return False
