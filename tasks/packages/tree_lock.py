"""The lock file of packages on top of a tree that says itself what it has: whether it fits that tree, and its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.packages.lockfile import LockFile

STATUS: Final = "status"
"""The role of what the tree says that it has."""
LAYER: Final = "layer/"
"""What stands before a layer's name in the role of its part."""


OF_TREE: Final = ("tree", "distribution", "suite", "kernel")
"""What a lock says beside that: what was installed, by its digest, whose tree it is, and the kernel that was added."""
_ASKED: Final = ("arch", "components", "recommends", "security", "release")


@dataclass(frozen=True)
class TreeLockParams(Params):
    """What of the recipe the packages are resolved for, see `request.on_tree`; whether a kernel may be added."""

    request: Mapping[str, str]
    kernel: bool


def run(ctx: Context) -> None:
    """Write the parts of a lock that fits the tree. Raises StageError."""
    from bootsmith.tasks.packages import lockfile, tree_status

    params = TreeLockParams.of(ctx)
    lock, status = lockfile.read(ctx.inputs["lock"]), tree_status.read(ctx.inputs[STATUS])
    names = {role: role.removeprefix(LAYER) for role in ctx.outputs}
    digest = tree_status.digest(status, kernel=params.kernel)
    reason = status.refusal or stale(lock, params.request, digest, names.values())
    if reason:
        raise StageError(f"{ctx.inputs['lock'].name} does not fit: {reason}", "Run `doit update`.")
    for role, path in ctx.outputs.items():
        path.write_text(lockfile.to_text(lockfile.part(lock, names[role])), encoding="utf-8")


def stale(lock: LockFile, wanted: Mapping[str, str], digest: str, layers: Iterable[str]) -> str | None:
    """Return why a lock does not fit what is wanted on top of a tree, or None where it does."""
    said = {key: value for key, value in lock.request.items() if is_on_tree(key)}
    if "tree" not in said:
        return "it has no packages for the top of a tree"
    derived = said.keys() & OF_TREE
    for key in {**wanted, **said}.keys() - derived:
        before, now = said.get(key, ""), wanted.get(key, "")
        if before != now:
            return f"{key}: {before or 'none'} became {now or 'none'}"
    if said["tree"] != digest:
        return "what is installed in the tree below changed"
    return None if [*lock.layers] == [*layers] else "it lacks a layer"


def is_on_tree(fact: str) -> bool:
    """Tell whether a lock says something so called of packages on top of a tree."""
    return fact in (*_ASKED, *OF_TREE) or fact.startswith(("layer", "repository"))


def but_layers(request: Mapping[str, str]) -> dict[str, str]:
    """Return of what a recipe or a lock says all that holds for each of the layers."""
    return {key: value for key, value in request.items() if key in _ASKED or key.startswith("repository")}
