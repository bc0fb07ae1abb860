"""Where Fedora's packages come from: the release and its updates on the recipe's mirror, and further repositories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from bootsmith.tasks.packages import downloads, mirrors
from bootsmith.tasks.packages.mirrors import MAIN, UPDATES, Mirrors, extra

if TYPE_CHECKING:
    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.build.stage import Download, Json
    from bootsmith.tasks.recipe.model.source import Fedora

FETCHER: Final = "bootsmith.tasks.packages.fedora.mirror:supply"
"""What a stage that fetches Fedora's packages names as its fetcher, with `hints`."""
MACHINE: Final = "x86_64"


def hints(source: Fedora) -> dict[str, Json]:
    """Return the hints of a stage that fetches packages of a source."""
    return {
        "mirror": source.mirror,
        "release": source.release,
        "updates": source.updates,
        "extras": [each.uri for each in source.repositories],
    }


def supply(
    files: Sequence[Download], hints: Mapping[str, Json], store: Store, say: Callable[[str], None]
) -> dict[str, Path]:
    """Bring the packages into the store that a stage with these hints asks for; return where each is, by SHA-256."""
    extras, updates = cast("list[str]", hints["extras"]), bool(hints["updates"])
    return downloads.fetch(
        files, store, lambda: find(str(hints["mirror"]), str(hints["release"]), extras, updates=updates), say
    )


def find(
    mirror: str,
    release: str,
    extras: Sequence[str],
    *,
    updates: bool,
    settings: Mapping[str, str] | None = None,
) -> Mirrors:
    """Return where each repository is, by its role."""
    top = mirror.rstrip("/")
    uris = {MAIN: (f"{top}/releases/{release}/Everything/{MACHINE}/os",)}
    if updates:
        uris[UPDATES] = (f"{top}/updates/{release}/Everything/{MACHINE}",)
    uris |= {extra(number): (uri.rstrip("/"),) for number, uri in enumerate(extras, 1)}
    return Mirrors(uris, mirrors.reach(mirrors.apt_settings() if settings is None else settings, own_mirror=False))
