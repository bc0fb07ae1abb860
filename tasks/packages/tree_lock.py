"""The lock file of packages on top of a tree that says itself what it has: whether it fits that tree, and its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.packages.lockfile import LockFile
    from bootsmith.tasks.packages.tree_status import TreeStatus

STATUS: Final = "status"
"""The role of what the tree says that it has."""
LAYER: Final = "layer/"
"""What stands before a layer's name in the role of its part."""


@dataclass(frozen=True)
class TreeLockParams(Params):
    """What of the recipe the packages are resolved for, see `request.on_tree`."""

    request: Mapping[str, str]


def run(ctx: Context) -> None:
    """Write the parts of a lock that fits the tree. Raises StageError."""
    from bootsmith.tasks.packages import lockfile, tree_status

    wanted = TreeLockParams.of(ctx).request
    lock, status = lockfile.read(ctx.inputs["lock"]), tree_status.read(ctx.inputs[STATUS])
    names = {role: role.removeprefix(LAYER) for role in ctx.outputs}
    reason = status.refusal or stale(lock, wanted, digest(status, names.values()), names.values())
    if reason:
        raise StageError(f"{ctx.inputs['lock'].name} does not fit: {reason}", "Run `doit update`.")
    for role, path in ctx.outputs.items():
        path.write_text(lockfile.to_text(lockfile.part(lock, names[role])), encoding="utf-8")


def stale(lock: LockFile, wanted: Mapping[str, str], digest: str, layers: Iterable[str]) -> str | None:
    """Return why a lock does not fit what is wanted on top of a tree, or None where it does."""
    from bootsmith.tasks.packages import request

    said = {key: value for key, value in lock.request.items() if request.is_on_tree(key)}
    if "tree" not in said:
        return "it has no packages for the top of a tree"
    derived = said.keys() & request.OF_TREE
    for key in {**wanted, **said}.keys() - derived:
        before, now = said.get(key, ""), wanted.get(key, "")
        if before != now:
            return f"{key}: {before or 'none'} became {now or 'none'}"
    if said["tree"] != digest:
        return "what is installed in the tree below changed"
    return None if [*lock.layers] == [*layers] else "it lacks a layer"


def digest(status: TreeStatus, layers: Iterable[str]) -> str:
    """Return the digest of all of a tree that packages on top of it depend on.

    Whether it has a kernel is part of it only where one of the layers would add one.
    """
    import hashlib
    import json

    from bootsmith.tasks.recipe import tree_packages

    facts = asdict(status)
    if tree_packages.LAYER not in layers:
        facts.pop("kernel")
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
