"""Every loader that a recipe can name: ours by their names, and a user's own by the path of its file."""

from __future__ import annotations

from collections.abc import Sequence

from bootsmith.tasks.recipe.loaders.boot_places import REMOVABLE
from bootsmith.tasks.recipe.loaders.builtin import BUILT_IN, LoaderKind


class _Kinds(dict[str, LoaderKind]):
    """The loaders by name; one of a user's own, by the path of its file, is looked up there."""

    def __missing__(self, name: str) -> LoaderKind:
        from pathlib import Path

        from bootsmith.tasks.recipe.loaders import own

        if not own.is_own(name):
            raise KeyError(name)
        return own.read(Path(name)).kind


KINDS = _Kinds(BUILT_IN)


def served(loaders: Sequence[str]) -> list[str]:
    """Return the firmware under which a disk with these loaders starts, in the loaders' order."""
    return list(dict.fromkeys(KINDS[name].firmware for name in loaders))


def boot_places(name: str, loaders: Sequence[str], removable: str) -> tuple[str, ...]:
    """Return the places where firmware looks that a loader must have for itself on a disk with these loaders."""
    leaves = removable == "no" or (name == "efistub" and "systemd-boot" in loaders)
    return tuple(place for place in KINDS[name].boot_places if not (leaves and place == REMOVABLE))


def readers(loaders: Sequence[str]) -> list[str]:
    """Return those of the loaders that read kernels; systemd-boot starts the kernel images of efistub instead."""
    return [name for name in loaders if KINDS[name].places and not (name == "systemd-boot" and "efistub" in loaders)]
