"""A Containerfile as a source: built by a container engine that sees its declared inputs and nothing else, as one tree.

The engine runs as root of a user namespace, with storage and settings of its own that are gone afterwards; the images
that the file begins with are files, read by us and handed over as one layer each. So what is built follows from what is
in the key, as far as the file's own commands do.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bootsmith.cache.display import nearest, shown
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.tree import (
    archive,
    container_image,
    containerfile,
    excerpt,
    foreign_tar,
    image_archive,
    merged_tar,
    scratch,
)
from bootsmith.tasks.tree.merged import Tree
from bootsmith.tasks.tree.saved_image import SavedImage
from bootsmith.tasks.tree.tar import scan

ENGINE: Final = "buildah"
TOOLS: Final = (*scratch.TOOLS, ENGINE, "tar", "ln", "mkdir", *archive.PACKERS)
ROOM: Final = 2 << 30
"""Bytes that the file's commands may write, beside the images, before it is done on disk and not in memory."""
_COPIES: Final = 4
"""Of each image that it begins with, while the engine works: its storage keeps whole copies."""
_MACHINES: Final[Mapping[str, str]] = {"amd64": "amd64", "i386": "386"}
_OCI: Final = "application/vnd.oci.image."

# $1: the engine, $2: the context's tar, $3: the Containerfile, $4: the folder with the images, $5: how many,
# $6: what resolves names, or "", $7: the policy, $8: where the result goes; the rest are words for the build.
# Both engines take the same words, but for the last. Nothing is pulled: what was not handed over is not there.
_BUILD: Final = r"""
set -eu
engine=$1 context=$2 file=$3 images=$4 count=$5 resolver=$6 policy=$7 result=$8
shift 8
[ ! "$resolver" ] || [ ! -e /etc/resolv.conf ] || mount --bind "$resolver" /etc/resolv.conf
export HOME="$TMPDIR/home" XDG_RUNTIME_DIR="$TMPDIR/run" XDG_CONFIG_HOME="$TMPDIR/home" XDG_DATA_HOME="$TMPDIR/home"
export CONTAINERS_STORAGE_CONF="$TMPDIR/storage.conf" CONTAINERS_CONF=/dev/null CONTAINERS_REGISTRIES_CONF=/dev/null
export _CONTAINERS_USERNS_CONFIGURED=done BUILDAH_ISOLATION=chroot TMPDIR="$TMPDIR/tmp"
top=${TMPDIR%/tmp}
cd "$top"
mkdir home run tmp context "$result"
ln -s "$images" images  # an image is named by the path to it, in which not all may stand that may in a path
ln -s "$result" result
printf '[storage]\ndriver = "vfs"\nrunroot = "%s"\ngraphroot = "%s"\n' "$top/run" "$top/store" >storage.conf
tar --extract --file="$context" --directory=context --numeric-owner --same-owner --same-permissions
: >nothing
number=0
while [ "$number" -lt "$count" ]; do
    id=$("$engine" pull --quiet --signature-policy "$policy" "oci:images/$number")
    "$engine" tag "$id" "localhost/base$number"
    number=$((number + 1))
done
"$engine" build --isolation chroot --signature-policy "$policy" --pull-never --layers=false \
    --ignorefile "$top/nothing" --file "$file" --tag localhost/made "$@" "$top/context" </dev/null
case $engine in
*/podman) "$engine" save --quiet --format oci-dir --output result localhost/made ;;
*) "$engine" push --quiet --disable-compression --signature-policy "$policy" localhost/made oci:result ;;
esac
"""


@dataclass(frozen=True)
class ContainerBuildParams(Params):
    """`images` are those that a Containerfile names, in the order of the inputs that hold them.

    `network` tells whether its commands reach one; `subdir` which folder of the result is the tree.
    """

    epoch: int
    arch: str
    target: str | None
    args: Mapping[str, str]
    images: tuple[str, ...]
    subdir: str
    network: bool


def run(ctx: Context) -> None:
    """Build the file, and write the tree that it comes to, and its index."""
    params, file = ContainerBuildParams.of(ctx), ctx.inputs["file"]
    wanted = _wanted(file, params)
    bases = ctx.work / "images"
    size = 0
    for number, name in enumerate(wanted):
        ctx.say(f"reading {name}")
        size += _hand_over(ctx, ctx.inputs[f"image/{params.images.index(name)}"], bases / str(number), params.arch)
    result = ctx.work / "result"
    ctx.say("building the Containerfile")
    _build(ctx, params, file, wanted, size + ctx.inputs["context"].stat().st_size, result)
    shutil.rmtree(bases, ignore_errors=True)
    merged = ctx.work / "merged.tar"
    container_image.lay(ctx, SavedImage(result, result, params.arch), file, merged)
    shutil.rmtree(result)
    if params.subdir == "/":
        merged.rename(ctx.outputs["tar"])
        foreign_tar.index(ctx.outputs["tar"], ctx.outputs["index"])
        return
    try:
        excerpt.write(
            merged, ctx.outputs["tar"], ctx.outputs["index"], subdir=params.subdir, strip=0, key="source.container"
        )
    except StageError as error:
        raise StageError(error.message.replace(str(merged), "the container"), error.hint) from error


def _wanted(file: Path, params: ContainerBuildParams) -> dict[str, list[str]]:
    """Return the images that a Containerfile begins with, and how it writes each. Raises StageError."""
    try:
        with file.open("rb") as opened:
            data = opened.read(containerfile.LARGEST + 1)
    except OSError as error:
        raise StageError(f"{shown(file)} cannot be read: {error.strerror}", "Name a Containerfile.") from error
    if len(data) > containerfile.LARGEST:
        raise StageError(f"{shown(file)} is no Containerfile: it has more than {containerfile.LARGEST >> 20} MiB")
    try:
        found = containerfile.images(data.decode("utf-8", "replace"), params.args, params.target)
    except StageError as error:
        raise StageError(f"{shown(file)} {error.message}", error.hint) from error
    for name in found:
        if name not in params.images:
            near = nearest(name, params.images)
            meant = f"Did you mean {shown(near)}? " if near else ""
            raise StageError(
                f"{shown(file)} begins with {shown(name)}, and which bytes that is nobody said",
                f"{meant}Name a file that holds it: source.container.images: {{{shown(name)!r}: FILE}}. "
                f"`podman save --format oci-archive -o FILE {shown(name)}`, `docker save` or `skopeo copy` make one.",
            )
    return found


def _build(  # noqa: PLR0917  what it is made of, and where it goes
    ctx: Context, params: ContainerBuildParams, file: Path, wanted: Mapping[str, list[str]], size: int, result: Path
) -> None:
    policy = ctx.work / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')  # we have read what it is
    resolver: Path | str = ""
    if params.network:
        resolver = ctx.work / "resolver"
        resolver.write_bytes(_resolver())
    words = ["--platform", f"linux/{_MACHINES[params.arch]}", "--timestamp", str(params.epoch)]
    words += [word for name, value in params.args.items() for word in ("--build-arg", f"{name}={value}")]
    words += ["--target", params.target] if params.target is not None else []
    for number, (name, written) in enumerate(wanted.items()):
        for each in sorted({name, *written}):
            words += ["--build-context", f"{each}=container-image://localhost/base{number}"]
    fixed: list[str | Path] = [ctx.tool(ENGINE), ctx.inputs["context"], file, ctx.work / "images", str(len(wanted))]
    fixed += [resolver, policy, result]
    try:
        scratch.run_as_root(
            ctx, ENGINE, _COPIES * size + ROOM, "sh", "-c", _BUILD, "sh", *fixed, *words, network=params.network
        )  # fmt: skip
    except ToolFailed as error:
        hint = error.hint or ("" if params.network else "It had no network: source.container.network: true gives it.")
        raise ToolFailed(f"{shown(file)}: {error.message}", hint, tail=error.tail, status=error.status) from error


def _resolver() -> bytes:
    try:
        return Path("/etc/resolv.conf").read_bytes()
    except OSError:
        return b""


def _hand_over(ctx: Context, file: Path, target: Path, arch: str) -> int:
    """Write an image, or a tree in a tar, as an OCI layout with one layer; return its size in bytes."""
    blobs = target / "blobs/sha256"
    blobs.mkdir(parents=True)
    tar = file
    if not file.is_dir() and archive.packing(file) is not None:
        tar = ctx.work / "image.tar"
        archive.unpack(ctx, file, tar)
    merged = ctx.work / "base.tar"
    settings: Mapping[str, Any] = {}
    if file.is_dir() or image_archive.holds_image(tar):
        image = SavedImage(file, tar, arch)
        container_image.lay(ctx, image, file, merged)
        settings = image.settings
    else:
        tree = Tree.of(foreign_tar.settled(list(scan(tar)), tar), tar)
        merged_tar.write(merged, merged_tar.members(tree.entries), [tar])
    size = merged.stat().st_size
    layer = _named(merged, blobs)
    about = {
        "architecture": _MACHINES[arch],
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        "history": [{"created_by": "bootsmith"}],
    }
    config = _put(about, blobs) | {"mediaType": f"{_OCI}config.v1+json"}
    rows = [{"mediaType": f"{_OCI}layer.v1.tar", **layer}]
    kind = f"{_OCI}manifest.v1+json"
    manifest = _put({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": rows}, blobs)
    (target / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": kind, **manifest}]}))
    (target / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return size


def _put(what: Any, blobs: Path) -> dict[str, Any]:
    data = json.dumps(what, sort_keys=True).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def _named(file: Path, blobs: Path) -> dict[str, Any]:
    """Move a file to where its digest says; return what says so."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    size = file.stat().st_size
    file.rename(blobs / digest)
    return {"digest": f"sha256:{digest}", "size": size}
