"""The guest's local time: a link to a zone that its tree has."""

from __future__ import annotations

from typing import Final

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.accounts import near
from bootsmith.tasks.tree.delta import Delta
from bootsmith.tasks.tree.merged import Tree

FOLDER: Final = "usr/share/zoneinfo"
LINK: Final = "etc/localtime"
NAME: Final = "etc/timezone"
"""What some programs read instead; brought up to date where it is."""
BY_ITSELF: Final = ("UTC", "Etc/UTC")


def declare(delta: Delta, wanted: str | None) -> None:
    """Have the guest tell the time of a zone. Raises StageError where the tree has it not."""
    if wanted is None:
        return
    tree = delta.tree
    zone = tree.find(f"{FOLDER}/{wanted}")
    if zone is not None and zone.type in ("f", "h"):
        delta.add_link(LINK, f"/{FOLDER}/{wanted}")
    elif wanted in BY_ITSELF:  # as without a word
        delta.remove(LINK)
    else:
        lacks = "no time zones" if not tree.names(FOLDER) else f"no time zone {wanted}{near(wanted, _zones(tree))}"
        what = f"system.timezone: the tree has {lacks}"
        todo = "Add the package tzdata." if not tree.names(FOLDER) else "Name one as in /usr/share/zoneinfo."
        raise StageError(what, todo)
    if tree.find(NAME):
        delta.add_file(NAME, f"{wanted}\n".encode())


def _zones(tree: Tree) -> list[str]:
    """Return the names of zones, of areas' too."""
    found = []
    for area in tree.names(FOLDER):
        inside = tree.names(f"{FOLDER}/{area}")
        found += [f"{area}/{place}" for place in inside] or [area]
    return found
