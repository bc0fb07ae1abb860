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


def keep(
    stage: Stage, identities: Identities, trees: Mapping[str, TreeLook], code: str | None = None
) -> dict[str, Any]:
    """Keep the evidence of a stage that is being built, and return its names; `trees` are looks at inputs, by role.

    `code` is the name under which that of its very code was kept before.
    """
    listed = of_inputs(stage, {role: look.listing() for role, look in trees.items()})
    kept = {
        "inputs": {role: identities.keep(each) for role, each in listed.items()},
        "folders": {role: identities.keep(look.folders()) for role, look in trees.items()} if stage.carry else {},
    }
    found = {kind: {role: digest for role, digest in names.items() if digest} for kind, names in kept.items()}
    if code is None or not identities.store.has(code):
        code = identities.keep(identities.modules(stage))
    return {"code": code, **found}


def of_inputs(stage: Stage, trees: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """Return what is told of each input of which anything is, as `of_input` does."""
    found = {role: of_input(stage, role, trees.get(role)) for role in dict.fromkeys([*trees, *stage.listings])}
    return {role: told for role, told in found.items() if told}


def of_input(stage: Stage, role: str, tree: Mapping[str, str] | None) -> dict[str, Any]:
    """Return what is told of an input: {"tree": path -> entry} or {"packages": "NAME ARCH" -> version}, or nothing.

    `tree` lists one that is a tree.
    """
    packages = _packages(stage.inputs[role], stage.listings[role]) if role in stage.listings else None
    if packages is not None:
        return {"packages": packages}
    return {} if tree is None or tree == UNLISTED else {"tree": dict(tree)}


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
