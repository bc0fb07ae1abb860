"""An explanation of one thing in a store: what it is, what it needs, who needs it, when it was last used."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from bootsmith.cache.display import ago, count, human
from bootsmith.cache.errors import UsageError
from bootsmith.cache.keep import roots
from bootsmith.cache.keep.contents import Contents, scan
from bootsmith.cache.keep.roots import Root
from bootsmith.cache.store.lease import Leased

NAME = re.compile(r"[0-9a-f]{4,64}")
WHAT = {"results": "result of the key", "blobs": "file", "chunks": "chunk", "sha256": "download"}
SHOWN = 10  # of a list that may be long


def explain(root: Path, name: str) -> str:
    """Return what `name`, a key, digest or SHA-256 or how one begins, stands for in the store below `root`.

    Raises UsageError where it stands for nothing or too much.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no key or digest", "Give at least its first 4 of 32 or 64 hex digits.")
    contents = scan(root)
    now = time.time()
    builds = [(each, state) for each in roots.read(root).values() if (state := each.state(now)) != "gone"]
    found = sorted(each for each in contents.items if each.partition("/")[2].startswith(name))
    if not found:
        users = [f"{line} of {each.build}" for each, _ in builds for line in _stages(each, name)]
        told = f"It was removed, but it is {'; '.join(users)}." if users else "It was removed, or never there."
        raise UsageError(f"nothing in {root} is called {name}", told)
    if len({each.partition("/")[2] for each in found}) > 1:
        listed = "\n".join(f"  {each}" for each in found[:SHOWN])
        raise UsageError(f"{len(found)} things in {root} begin with {name}:\n{listed}", "Give more digits.")
    leased = Leased(root, clear=False)
    leased.refresh()
    held = contents.closure(leased.names)
    needs = [(each, contents.closure(each.names(state))) for each, state in builds]
    lines: list[str] = []
    for each in found:
        lines += [*_what(contents, each, now), *_users(contents, each)]
        for user, names in needs:
            if each in names:
                lines += [
                    f"  needed by {user.build}",
                    *(f"    {line}" for line in _stages(user, each.partition("/")[2])),
                ]
        lines += ["  in use by a running build"] * (each in held)
    return "\n".join(lines)


def _what(contents: Contents, name: str, now: float) -> Iterator[str]:
    kind, _, digest = name.partition("/")
    item = contents.items[name]
    used = "" if kind in ("blobs", "chunks") else f", last used {ago(now - item.used)}"
    lack = ", not whole: it counts as absent" if kind == "blobs" and not contents.is_whole(name) else ""
    yield f"{WHAT.get(kind, kind)} {digest}: {human(item.size)} on disk{used}{lack}"
    for output in contents.outputs(name) or () if kind == "results" else ():
        blob = f"blobs/{output.digest}"
        lack = "" if contents.is_whole(blob) else ", not there"
        yield f"  {output.role}: {human(output.size)}, {output.digest}{lack}"
    index = contents.index(name) if kind == "blobs" else None
    if index is not None:
        chunks = contents.named(name)
        size = sum(contents.items[chunk].size for chunk in chunks if chunk in contents.items)
        yield f"  {human(index.size)} in {count(len(chunks), 'chunk')} of {human(size)} on disk"


def _users(contents: Contents, name: str) -> Iterator[str]:
    """Yield what in the store names a thing."""
    above = {"blobs": "results", "chunks": "blobs"}.get(name.partition("/")[0], "")
    users = [item.name for item in contents.of(above) if name in contents.named(item.name)]
    for user in users[:SHOWN]:
        kind, _, digest = user.partition("/")
        yield f"  part of the {WHAT[kind]} {digest}"
    if len(users) > SHOWN:
        yield f"  and of {len(users) - SHOWN} more"


def _stages(root: Root, digest: str) -> Iterator[str]:
    """Yield what the current records of a build say of a key or a digest, or of how one begins."""
    for record in root.records():
        if record.key.startswith(digest):
            yield f"the key of stage {record.stage}"
        for role, output in record.outputs.items():
            if output["hash"].startswith(digest):
                yield f"the output {role} of stage {record.stage}"
