"""What a key need not see but words about a change want: names inside trees, listed packages, modules of the code.

Kept as JSON in the store when a stage is built, named by the stage's record. All of it may be lost at any time: words
about a change then only say less. So may the digests of trees' folders, by which a patch finds what changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsmith.cache.digest.tree import UNLISTED
from bootsmith.tasks.errors import BootsmithError

if TYPE_CHECKING:
    from bootsmith.cache.digest.tree import TreeLook
    from bootsmith.tasks.build.identities import Identities
    from bootsmith.tasks.build.stage import Stage

LARGEST = 4 << 20  # bytes of a file that lists packages; a lock file of a thousand has a fifth of a MiB


def keep(stage: Stage, identities: Identities, trees: Mapping[str, TreeLook]) -> dict[str, Any]:
    """Keep the evidence of a stage that is being built, and return its names; `trees` are looks at inputs, by role."""
    listed = of_inputs(stage, {role: look.listing() for role, look in trees.items()})
    kept = {
        "inputs": {role: identities.keep(each) for role, each in listed.items()},
        "folders": {role: identities.keep(look.folders()) for role, look in trees.items()} if stage.carry else {},
    }
    found = {kind: {role: digest for role, digest in names.items() if digest} for kind, names in kept.items()}
    return {"code": identities.keep(identities.modules(stage)), **found}


def of_inputs(stage: Stage, trees: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """Return what is told of each input: {"tree": path -> entry} or {"packages": "NAME ARCH" -> version}."""
    found: dict[str, dict[str, Any]] = {
        role: {"tree": dict(listing)} for role, listing in trees.items() if listing != UNLISTED
    }
    for role, reader in stage.listings.items():
        packages = _packages(stage.inputs[role], reader)
        if packages is not None:
            found[role] = {"packages": packages}
    return found


def _packages(path: Path, reader: str) -> dict[str, str] | None:
    """Return the packages that a file lists; None where it cannot be read."""
    from importlib import import_module

    module, _, function = reader.partition(":")
    try:
        if path.stat().st_size > LARGEST:
            return None
        return dict(getattr(import_module(module), function)(path))
    except (OSError, BootsmithError):
        return None
