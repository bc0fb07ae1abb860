"""The stages `convert/...`: other formats of the raw disk, made by qemu-img.

Every format is said, none is probed: a guest, or whoever made a backing file, may have written any header.
"""

from __future__ import annotations

import struct
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import packed_qcow2, splice
from bootsmith.tasks.disk import passphrase as passphrases
from bootsmith.tasks.disk.packed_qcow2 import PackedImage
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.cache.digest.index import Index

PASSPHRASE = passphrases.ID
"""The role of an encrypted image's passphrase among a stage's secrets."""
_SNAPSHOTS = 64  # in the header: where the table of snapshots is
_DATE = 16  # in that table's first entry: seconds and nanoseconds


@dataclass(frozen=True)
class Qcow2Params(Params):
    """What `-o` says, an option each; the backing file's format and name; the snapshot's name and time."""

    options: tuple[str, ...]
    compress: bool
    backing: tuple[str, str] | None
    encrypt: bool
    snapshot: tuple[str, int] | None


def run_qcow2(ctx: Context) -> None:
    """Convert the disk. Never with -W, which writes clusters as they come, each time in another order."""
    image, params = ctx.outputs["image"], Qcow2Params.of(ctx)
    options = ["-p", "-O", "qcow2", "-o", ",".join(params.options)]
    how = ""
    if params.compress:
        options.append("-c")
        how = f"packing by {'zstd' if 'compression_type=zstd' in params.options else 'zlib'}: "
    ctx.say(f"{how}0% of {ctx.inputs['disk'].stat().st_size} bytes")
    if params.backing:
        kind, name = params.backing
        base = ctx.inputs["backing"]
        difference = _difference(ctx, params, kind, base)
        _qemu_img(ctx, params, "convert", *options, "-F", kind, "-B", base, "-f", "qcow2", difference, image)
        _keep_first(ctx, params, image)
        _qemu_img(ctx, params, "rebase", "-u", "-f", "qcow2", "-F", kind, "-b", name, image)
        return
    if params.compress:
        _pack(ctx, params, options)
    else:
        _qemu_img(ctx, params, "convert", *options, "-f", "raw", ctx.inputs["disk"], image)
    _keep_first(ctx, params, image)


def _pack(ctx: Context, params: Qcow2Params, options: list[str]) -> None:
    """Have clusters packed and lay them out: all, or with the clusters of before those that are others in the disk.

    A cluster that is as it was lies in a chunk that is.
    """
    image, disk = ctx.outputs["image"], ctx.inputs["disk"]
    before = ctx.before.get("disk")
    draft = ctx.work / "packed.qcow2"
    with ExitStack() as stack:
        if ctx.previous is None or before is None or before.size != disk.stat().st_size:
            _qemu_img(ctx, params, "convert", *options, "-f", "raw", disk, draft)
            packed = PackedImage(draft, stack.enter_context(draft.open("rb")).fileno())
            packed_qcow2.write(image, packed, packed.clusters())
            return
        wanted = ctx.index("disk")
        old = PackedImage(ctx.previous, stack.enter_context(ctx.previous.open("rb")).fileno())
        others = _others(wanted, before, old.length)
        part = ctx.work / "others.raw"
        with part.open("xb") as made, disk.open("rb") as source:
            made.truncate(wanted.size)
            for start, end in others:
                splice.copy(source.fileno(), start, made.fileno(), start, end - start)
        _qemu_img(ctx, params, "convert", *options, "-f", "raw", part, draft)
        packed = PackedImage(draft, stack.enter_context(draft.open("rb")).fileno())
        numbers = {number for start, end in others for number in range(start // old.length, -(-end // old.length))}
        kept = (each for each in old.clusters() if each.number not in numbers)
        packed_qcow2.write(image, packed, sorted((*kept, *packed.clusters()), key=lambda each: each.number))


def _others(wanted: Index, before: Index, length: int) -> list[tuple[int, int]]:
    """Return stretches of whole clusters of so many bytes, and of the disk's end, outside of which nothing changed."""
    found: list[tuple[int, int]] = []
    for chunk in wanted.differs(before):
        start, end = chunk.start // length * length, -(-(chunk.start + chunk.size) // length) * length
        end = min(end, wanted.size)
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found


def _difference(ctx: Context, params: Qcow2Params, kind: str, base: Path) -> Path:
    """Return a qcow2 over `base` of the clusters that are another in the disk: of all the disk, rebased."""
    from bootsmith.tasks.disk.image_format import Encrypted, identify

    try:
        identify(base, kind)  # a chain of further files, which no key knows of, is refused
    except Encrypted as error:
        raise StageError(error.message, "An image in clear can be a backing file.") from None
    made = ctx.work / "difference.qcow2"
    cluster = [each for each in params.options if each.startswith("cluster_size=")]
    disk = ctx.inputs["disk"]
    _qemu_img(ctx, params, "create", "-q", "-f", "qcow2", "-o", *cluster, "-F", "raw", "-b", disk, made)
    _qemu_img(ctx, params, "rebase", "-f", "qcow2", "-F", kind, "-b", base, made)
    return made


def _keep_first(ctx: Context, params: Qcow2Params, image: Path) -> None:
    """Keep the disk as it is under a name, where one is asked for: from when it is is the recipe's to say."""
    if not params.snapshot:
        return
    name, epoch = params.snapshot
    file = str(image).replace(",", ",,")
    key = f",encrypt.key-secret={PASSPHRASE}" if params.encrypt else ""
    options = f"driver=qcow2,file.driver=file,file.filename={file}{key}"
    _qemu_img(ctx, params, "snapshot", "-c", name, "--image-opts", options)
    with image.open("r+b") as written:
        written.seek(_SNAPSHOTS)
        (table,) = struct.unpack(">Q", written.read(8))
        written.seek(table + _DATE)
        written.write(struct.pack(">II", epoch, 0))


def _qemu_img(ctx: Context, params: Qcow2Params, command: str, *words: str | Path) -> None:
    """Run qemu-img, the passphrase given through a pipe: it stands in no file and on no command line."""
    if not params.encrypt:
        ctx.run("qemu-img", command, *words)
        return
    text = passphrases.encode(passphrases.checked(ctx.secret(PASSPHRASE), "outputs.qcow2.encrypt"))
    by_pipe = ("--object", passphrases.definition(0))
    passphrases.patiently(lambda: ctx.run("qemu-img", command, *by_pipe, *words, input=text))
