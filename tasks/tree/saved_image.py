"""A container image as it is saved: an OCI layout, in a folder or a tar, or what `docker save` writes.

The forms: OCI's image-spec (layout, index, manifest), and Docker's image specification 1.2. Nothing in an image is
trusted: what is named by a digest is read through to see that it has it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import boot_formats, layer, unpacking
from bootsmith.tasks.tree.tar import scan

_INDEX: Final = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFEST: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_NAMES: Final = "org.opencontainers.image.ref.name"
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST: Final = 4 << 20
"""Bytes of an index, a manifest or a configuration that are read."""
_MOST: Final = 1000
"""Layers of an image, and manifests of an index, at most: engines make 127."""
_DEPTH: Final = 4
_PIECE: Final = 1 << 20
_AGAIN: Final = "Save the image again."
_ARCHITECTURES: Final = {"amd64": ("amd64",), "i386": ("386", "i386")}


class SavedImage:
    """An image for a machine, in a folder, or in `tar`, which is the user's `file` or what that unpacks to."""

    def __init__(self, file: Path, tar: Path, arch: str) -> None:
        self._file = file
        self._arch = arch
        self._folder = file if file.is_dir() else None
        self._tar = tar
        self._members = {} if self._folder else {entry.path: entry for entry in scan(tar)}
        self._settings: Mapping[str, Any] = {}

    @property
    def settings(self) -> Mapping[str, Any]:
        """What its configuration says of who runs in it and how, once its layers are known."""
        return self._settings

    def layers(self) -> list[tuple[str, str, str]]:
        """Return of each layer, the lowest first, its path and its digests, packed and unpacked, "" where untold."""
        if self._has("index.json"):
            return self._of_manifest(self._manifest(self._json("index.json"), "index.json", 0))
        if self._has("manifest.json"):
            return self._of_docker(self._json("manifest.json"))
        raise self._wrong(
            "is no container image: it has neither index.json nor manifest.json at its top",
            "Write the image by `docker save`, `podman save` or `skopeo copy`; a plain tree is source: tar.",
        )

    def unpack(self, source: tuple[str, str, str], target: Path) -> None:
        """Write a layer's tar, unpacked. Raises StageError where it is not what its digests say."""
        path, packed, unpacked = source
        blob = target.with_suffix(".blob")
        with self._open(path) as file, blob.open("wb") as out:
            told = _copied(iter(lambda: file.read(_PIECE), b""), out)
        if packed and told != packed:
            raise self._wrong(f"is damaged: {shown(path)} has another content than its name says", _AGAIN)
        with blob.open("rb") as file:
            packing = boot_formats.packing(file.read(16))
            file.seek(0)
            if packing is None:
                blob.rename(target)
            elif packing in unpacking.PACKINGS:
                try:
                    with target.open("wb") as out:
                        told = _copied(unpacking.unpacked(file, packing), out)
                except unpacking.Damaged as error:
                    raise self._wrong(f"is damaged: {shown(path)}: {error}", _AGAIN) from error
                blob.unlink()
            else:
                raise self._wrong(f"has a layer packed by {packing}", "Save it with layers packed by gzip or zstd.")
        if unpacked and told != unpacked:
            raise self._wrong(f"is damaged: {shown(path)} does not unpack to what its configuration says", _AGAIN)

    # -- what says which layers there are

    def _manifest(self, index: Any, path: str, depth: int) -> Any:
        """Return the manifest of the one image that an index leads to. Raises StageError where there are several."""
        found = _rows(index, "manifests", dict)
        if found is None or len(found) > _MOST or depth > _DEPTH:
            raise self._wrong(f"is no container image: {shown(path)} lists no manifests", _AGAIN)
        fitting = [each for each in found if self._fits(each)]
        if len(fitting) != 1:
            names = [_name(each) for each in fitting]
            what = f"holds {len(fitting)} images for {self._arch}" + (
                f": {', '.join(map(shown, names))}" if names else ""
            )
            raise self._wrong(what, "Save one image for one machine, such as by skopeo copy.")
        kind, blob = fitting[0].get("mediaType"), self._blob(fitting[0])
        data = self._json(blob, fitting[0]["digest"])
        if kind in _INDEX or (kind not in _MANIFEST and isinstance(data, dict) and "manifests" in data):
            return self._manifest(data, blob, depth + 1)
        return data

    def _fits(self, told: Mapping[str, Any]) -> bool:
        """Tell whether an image may be for the machine; attestations that builders add are for none."""
        platform = told.get("platform")
        if not isinstance(platform, dict):
            return True
        return platform.get("architecture") in _ARCHITECTURES[self._arch] and platform.get("os") == "linux"

    def _of_manifest(self, manifest: Any) -> list[tuple[str, str, str]]:
        layers = _rows(manifest, "layers", dict)
        config = manifest.get("config") if isinstance(manifest, dict) else None
        if not layers or len(layers) > _MOST or not isinstance(config, dict):
            raise self._wrong("is no container image: its manifest has no layers", _AGAIN)
        ids = self._ids(self._json(self._blob(config), config["digest"]), len(layers))
        return [(self._blob(each), each["digest"], told) for each, told in zip(layers, ids, strict=True)]

    def _of_docker(self, manifest: Any) -> list[tuple[str, str, str]]:
        if not isinstance(manifest, list) or not all(isinstance(each, dict) for each in manifest):
            raise self._wrong("is no container image: manifest.json lists no images", _AGAIN)
        if len(manifest) != 1:
            names = [name for each in manifest for name in _rows(each, "RepoTags", str) or ()]
            raise self._wrong(
                f"holds {len(manifest)} images: {', '.join(map(shown, names))}", "Save one of them alone."
            )
        layers, config = _rows(manifest[0], "Layers", str), manifest[0].get("Config")
        if not layers or len(layers) > _MOST or not isinstance(config, str):
            raise self._wrong("is no container image: manifest.json names no layers", _AGAIN)
        ids = self._ids(self._json(config), len(layers))
        return [(path, "", told) for path, told in zip(layers, ids, strict=True)]

    def _ids(self, config: Any, count: int) -> list[str]:
        """Return what the layers unpack to, by the configuration. Raises StageError where it is of another image."""
        told = config.get("rootfs") if isinstance(config, dict) else None
        ids = _rows(told, "diff_ids", str)
        if ids is None or len(ids) != count or not all(_DIGEST.fullmatch(each) for each in ids):
            raise self._wrong("is no container image: its configuration does not tell its layers", _AGAIN)
        machine = config.get("architecture")
        if machine not in _ARCHITECTURES[self._arch]:
            raise self._wrong(f"is for {shown(str(machine))}, not for {self._arch}", "Save the one for this machine.")
        settings = config.get("config")
        self._settings = settings if isinstance(settings, dict) else {}
        return list(ids)

    # -- its files

    def _blob(self, told: Mapping[str, Any]) -> str:
        digest = told.get("digest")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise self._wrong(f"names a part by {shown(str(digest))}, which is no SHA-256", _AGAIN)
        return f"blobs/{digest.replace(':', '/')}"

    def _json(self, path: str, digest: str = "") -> Any:
        with self._open(path) as file:
            data = file.read(_LARGEST + 1)
        if digest and f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise self._wrong(f"is damaged: {shown(path)} has another content than its name says", _AGAIN)
        try:
            return json.loads(data) if len(data) <= _LARGEST else None
        except (ValueError, RecursionError) as error:
            raise self._wrong(f"is damaged: {shown(path)} is no JSON", _AGAIN) from error

    def _has(self, path: str) -> bool:
        return (self._folder / path).is_file() if self._folder else path in self._members

    def _open(self, path: str) -> BinaryIO:
        """Open a file of the image; links in it lead to others of its files alone."""
        if self._folder is not None:
            found = (self._folder / path).resolve()
            if not found.is_relative_to(self._folder.resolve()) or not found.is_file():
                raise self._wrong(f"lacks {shown(path)}", _AGAIN)
            return found.open("rb")
        entry = self._members.get(path)
        for _ in range(4):
            if entry is not None and entry.type in "lh":  # docker writes a layer that stands there twice so
                above = path.rpartition("/")[0] if entry.type == "l" else ""
                path = _joined(above, entry.link)
                entry = self._members.get(path)
        if entry is None or entry.type != "f":
            raise self._wrong(f"lacks {shown(path)}", _AGAIN)
        return layer.open_member(self._tar, entry)

    def _wrong(self, what: str, todo: str) -> StageError:
        return StageError(f"{shown(self._file)} {what}", todo)


def _copied(pieces: Iterable[bytes], out: BinaryIO) -> str:
    """Write pieces, and return the digest of them all."""
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
        out.write(piece)
    return f"sha256:{found.hexdigest()}"


def _joined(folder: str, link: str) -> str:
    steps = folder.split("/") if folder else []
    for step in link.split("/"):
        if step == "..":
            steps = steps[:-1]
        elif step not in ("", "."):
            steps.append(step)
    return "/".join(steps)


def _rows(value: Any, key: str, kind: type) -> Sequence[Any] | None:
    """Return the list that a mapping has under a key, None where it is none of that kind."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) and all(isinstance(each, kind) for each in found) else None


def _name(told: Mapping[str, Any]) -> str:
    notes = told.get("annotations")
    return str((notes.get(_NAMES) if isinstance(notes, dict) else None) or told.get("digest"))
