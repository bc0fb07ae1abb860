"""Container images made by hand: an OCI layout, and what an older docker save writes."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.support.tar_members import Member, member, write_tar

Layer = Mapping[str, "bytes | Member"]


def packed(folder: Path, layer: Layer) -> bytes:
    path = folder / "layer.tar"
    write_tar(path, layer)
    data = path.read_bytes()
    path.unlink()
    return data


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def config(tars: Sequence[bytes], arch: str = "amd64") -> bytes:
    return json.dumps(
        {"architecture": arch, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(each) for each in tars]}}
    ).encode()


def layout(
    tars: Sequence[bytes], arch: str = "amd64", pack: Callable[[bytes], bytes] = gzip.compress
) -> dict[str, bytes]:
    """Return the files of an OCI layout."""
    blobs = [pack(each) for each in tars]
    about = config(tars, arch)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"digest": digest(about), "size": len(about)},
            "layers": [{"digest": digest(each), "size": len(each)} for each in blobs],
        }
    ).encode()
    index = {"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",
                                                 "digest": digest(manifest), "size": len(manifest)}]}  # fmt: skip
    found = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode()}
    return found | {f"blobs/{digest(each).replace(':', '/')}": each for each in (*blobs, about, manifest)}


def saved(tars: Sequence[bytes]) -> dict[str, bytes | Member]:
    """Return the files of what an older docker save writes: a layer that stands there twice is a link to the first."""
    about = config(tars)
    names = [f"{number}/layer.tar" for number in range(len(tars))]
    manifest = [{"Config": "c.json", "RepoTags": ["x:1"], "Layers": names}]
    files: dict[str, bytes | Member] = dict(zip(names, tars, strict=True))
    if tars[1:] and tars[0] == tars[-1]:
        files[names[-1]] = member("l", linkname=f"../{names[0]}")
    return {**files, "c.json": about, "manifest.json": json.dumps(manifest).encode()}
