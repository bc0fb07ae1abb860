"""Where Arch's packages come from: the recipe's mirror, or those that pacman of this host knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import downloads, mirrors
from bootsmith.tasks.packages.arch.configuration import MACHINE
from bootsmith.tasks.packages.mirrors import Mirrors

if TYPE_CHECKING:
    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.build.stage import Download, Json
    from bootsmith.tasks.recipe.model.source import Arch

FETCHER: Final = "bootsmith.tasks.packages.arch.mirror:supply"
"""What a stage that fetches Arch's packages names as its fetcher, with `hints`."""
_LIST: Final = Path("/etc/pacman.d/mirrorlist")
_SERVER: Final = re.compile(r"^\s*Server\s*=\s*((?:https?|file)://\S+)\s*$", re.MULTILINE)


def hints(source: Arch) -> dict[str, Json]:
    """Return the hints of a stage that fetches packages of a source."""
    return {"mirror": source.mirror, "snapshot": source.snapshot, "repositories": list(source.repositories)}


def supply(
    files: Sequence[Download], hints: Mapping[str, Json], store: Store, say: Callable[[str], None]
) -> dict[str, Path]:
    """Bring the packages into the store that a stage with these hints asks for; return where each is, by SHA-256."""
    mirror, snapshot = (None if hints[key] is None else str(hints[key]) for key in ("mirror", "snapshot"))
    return downloads.fetch(files, store, lambda: find(mirror, snapshot, cast("list[str]", hints["repositories"])), say)


def find(
    mirror: str | None,
    snapshot: str | None,
    repositories: Sequence[str],
    known: Path = _LIST,
    settings: Mapping[str, str] | None = None,
) -> Mirrors:
    """Return where each repository is, by its name. Raises StageError where neither recipe nor host names a mirror.

    A `snapshot` is a date, YYYY-MM-DD, whose state the mirror has below `repos/YYYY/MM/DD`, as Arch's archive does.
    """
    if mirror is not None:
        below = f"/repos/{snapshot.replace('-', '/')}" if snapshot else ""
        servers = [f"{mirror.rstrip('/')}{below}/$repo/os/$arch"]
    else:
        servers = _SERVER.findall(known.read_text(errors="replace")) if known.is_file() else []
    if not servers:
        raise StageError(
            f"no mirror of Arch is known: this host has no {known} that names one",
            "Set source.arch.mirror to the URL of one, below which core/os/x86_64 is.",
        )
    uris = {
        name: tuple(server.replace("$repo", name).replace("$arch", MACHINE).rstrip("/") for server in servers)
        for name in repositories
    }
    return Mirrors(uris, mirrors.reach(mirrors.apt_settings() if settings is None else settings, own_mirror=False))
