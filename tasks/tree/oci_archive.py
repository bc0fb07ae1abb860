"""The output `oci`: the finished tree as a container image in an OCI archive, which is an OCI layout in a tar.

The form is OCI's image-spec 1.0: layout, index, manifest, configuration; blobs go by their SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.tree import finished_tree, merged_tar
from bootsmith.tasks.tree.finished_tree import Finished, TreeParams
from bootsmith.tasks.tree.layer import LayerWriter
from bootsmith.tasks.tree.packing import packing
from bootsmith.tasks.tree.tar import Entry

ARCHITECTURES: Final[Mapping[str, str]] = {"amd64": "amd64", "i386": "386"}
"""What Go, and so OCI, calls a machine."""
_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TYPE: Final = "application/vnd.oci.image"
_LAYER: Final[Mapping[str, str]] = {"none": "tar", "gzip": "tar+gzip", "zstd": "tar+zstd"}


@dataclass(frozen=True)
class OciParams(TreeParams):
    """`layers` are the names of the tree's, where each is one of the image, else none; `arch` is the recipe's."""

    compress: str
    layers: tuple[str, ...]
    tag: str
    command: tuple[str, ...]
    arch: str


def run(ctx: Context) -> None:
    """Write the image."""
    params = OciParams.of(ctx)
    tree = finished_tree.gather(ctx, params)
    blobs = _Blobs(ctx.work / "blobs")
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(params.epoch))
    layers, ids, history = [], [], []
    for name, tar in _tars(ctx, params, tree):
        ctx.say(f"packing the layer {name}")
        ids.append(f"sha256:{_digest(tar)}")
        history.append({"created": created, "created_by": f"bootsmith {name}"})
        packed = tar
        if params.compress != "none":
            packed = ctx.work / "packed"
            ctx.run(*packing(params.compress), input=tar, stdout=packed)
        layers.append(blobs.file(packed, f"{_TYPE}.layer.v1.{_LAYER[params.compress]}"))
    config = {
        "created": created,
        "architecture": ARCHITECTURES[params.arch],
        "os": "linux",
        "config": {"Env": [_PATH], **({"Cmd": list(params.command)} if params.command else {})},
        "rootfs": {"type": "layers", "diff_ids": ids},
        "history": history,
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_TYPE}.manifest.v1+json",
        "config": blobs.json(config, f"{_TYPE}.config.v1+json"),
        "layers": layers,
    }
    about = blobs.json(manifest, f"{_TYPE}.manifest.v1+json")
    about["annotations"] = {"org.opencontainers.image.ref.name": params.tag}
    blobs.write(ctx.outputs["archive"], {"schemaVersion": 2, "manifests": [about]}, params.epoch)


def _tars(ctx: Context, params: OciParams, tree: Finished) -> list[tuple[str, Path]]:
    """Return the layers of the image, each with its name: the whole tree, or the recipe's and what is added to them."""
    if not params.layers:
        whole = ctx.work / "tree.tar"
        merged_tar.write(whole, merged_tar.members(tree.entries), tree.sources)
        return [("tree", whole)]
    found = [(name, ctx.inputs[f"{number}.tar"]) for number, name in enumerate(params.layers)]
    if tree.added:
        added = ctx.work / "added.tar"
        with LayerWriter(added, ctx.work / "added.index", params.epoch) as writer:
            for path in tree.added:
                number, entry = tree.entries[path]
                if entry.type == "d":
                    writer.add_directory(path, entry.mode)
                else:
                    writer.add_file(path, tree.sources[number], entry.mode)
        found.append(("boot", added))
    return found


class _Blobs:
    """The parts of an image, each by its digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    def file(self, file: Path, kind: str) -> dict[str, Any]:
        """Take a file; return what refers to it."""
        digest, size = _digest(file), file.stat().st_size
        if not (self._folder / digest).exists():
            shutil.copyfile(file, self._folder / digest)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": size}

    def json(self, value: object, kind: str) -> dict[str, Any]:
        """Take a document; return what refers to it."""
        data = _encoded(value)
        digest = hashlib.sha256(data).hexdigest()
        (self._folder / digest).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    def write(self, target: Path, index: object, epoch: int) -> None:
        """Write them all, and the index that leads to them, as one tar."""
        files: dict[str, bytes | Path] = {
            "oci-layout": _encoded({"imageLayoutVersion": "1.0.0"}),
            "index.json": _encoded(index),
            **{f"blobs/sha256/{path.name}": path for path in self._folder.iterdir()},
        }
        members: Sequence[merged_tar.Member] = [
            *((Entry(path, "d", 0o755, mtime=epoch), b"") for path in ("blobs", "blobs/sha256")),
            *((Entry(path, "f", size=_size(data), mtime=epoch), data) for path, data in files.items()),
        ]
        merged_tar.write(target, members, [])


def _encoded(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _size(data: bytes | Path) -> int:
    return data.stat().st_size if isinstance(data, Path) else len(data)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
