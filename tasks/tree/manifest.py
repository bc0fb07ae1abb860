"""The output `manifest`: every package and every file of the finished tree, each in a line of one JSON document."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.tree import finished_tree, installed_packages
from bootsmith.tasks.tree.finished_tree import Finished, TreeParams
from bootsmith.tasks.tree.member_data import Data
from bootsmith.tasks.tree.merged import tree_below
from bootsmith.tasks.tree.tar import Entry

FORM: Final = 1
_TYPES: Final[Mapping[str, str]] = {
    "f": "file", "h": "file", "d": "directory", "l": "link", "c": "character device", "b": "block device", "p": "pipe",
}  # fmt: skip
_PIECE: Final = 1 << 20


@dataclass(frozen=True)
class ManifestParams(TreeParams):
    """What the recipe calls the image."""

    name: str
    version: str
    arch: str


def run(ctx: Context) -> None:
    """Write the manifest."""
    params = ManifestParams.of(ctx)
    tree = finished_tree.gather(ctx, params)
    packages = [
        {"name": each.name, "version": each.version, "arch": each.arch, "source": each.source}
        for each in installed_packages.read(tree_below(ctx))
    ]
    head = {
        "manifest": FORM,
        "name": params.name,
        "version": params.version,
        "arch": params.arch,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(params.epoch)),
    }
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items())
    rows = {"packages": map(json.dumps, packages), "files": map(json.dumps, _files(tree))}
    text = "".join(f",\n{json.dumps(key)}: [\n" + ",\n".join(each) + "\n]" for key, each in rows.items())
    ctx.outputs["manifest"].write_text(f"{{\n{lines}{text}\n}}\n", encoding="ascii")


def _files(tree: Finished) -> Iterator[dict[str, Any]]:
    """Yield what is told of each file, by path."""
    descriptors = [os.open(source, os.O_RDONLY | os.O_CLOEXEC) for source in tree.sources]
    digests: dict[str, str] = {}
    try:
        for path in sorted(tree.entries, key=lambda path: os.fsencode(path).split(b"/")):
            _, entry = tree.entries[path]
            about = _about(path, entry)
            if entry.type in "fh":
                place = entry.link if entry.type == "h" else path
                number, file = tree.entries[place]
                if file.type == "f":
                    about["size"] = file.size
                    if place not in digests:
                        digests[place] = _digest(descriptors[number], file)
                    about["sha256"] = digests[place]
                about |= {"mode": f"{file.mode:04o}", "owner": file.uid, "group": file.gid}
            yield about
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _about(path: str, entry: Entry) -> dict[str, Any]:
    about: dict[str, Any] = _named("path", f"/{path}")
    about["type"] = _TYPES[entry.type]
    about |= {"mode": f"{entry.mode:04o}", "owner": entry.uid, "group": entry.gid}
    if entry.type == "l":
        about |= _named("target", entry.link)
    if entry.type == "h":
        about |= _named("same_as", f"/{entry.link}")
    if entry.type in "cb":
        about |= {"major": entry.major, "minor": entry.minor}
    if entry.xattrs:
        about["attributes"] = {name: base64.b64encode(value).decode() for name, value in sorted(entry.xattrs.items())}
    return about


def _named(key: str, text: str) -> dict[str, Any]:
    """Return a name; one that is not UTF-8, which JSON cannot hold, in base64 as well."""
    raw = os.fsencode(text)
    shown = raw.decode("utf-8", "replace")
    return {key: shown} if shown.encode() == raw else {key: shown, f"{key}_base64": base64.b64encode(raw).decode()}


def _digest(descriptor: int, entry: Entry) -> str:
    """Return the SHA-256 of a file's content, holes and all."""
    found, data = hashlib.sha256(), Data(descriptor, entry)
    for at in range(0, entry.size, _PIECE):
        found.update(data.read(at, min(_PIECE, entry.size - at)))
    return found.hexdigest()
