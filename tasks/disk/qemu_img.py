"""The stages `convert/...`: other formats of the raw disk, made by qemu-img.

Every format is said, none is probed: a guest, or whoever made a backing file, may have written any header.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import cast

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import passphrase as passphrases
from bootsmith.tasks.errors import StageError

PASSPHRASE = passphrases.ID
"""The role of an encrypted image's passphrase among a stage's secrets."""
_SNAPSHOTS = 64  # in the header: where the table of snapshots is
_DATE = 16  # in that table's first entry: seconds and nanoseconds


def run_qcow2(ctx: Context) -> None:
    """Convert the disk. Never with -W, which writes clusters as they come, each time in another order."""
    image = ctx.outputs["image"]
    options = ["-O", "qcow2", "-o", ",".join(cast("list[str]", ctx.params["options"]))]
    if ctx.params["compress"]:
        options.append("-c")
    if ctx.params["backing"]:
        kind, name = cast("list[str]", ctx.params["backing"])
        base = ctx.inputs["backing"]
        _qemu_img(ctx, "convert", *options, "-F", kind, "-B", base, "-f", "qcow2", _difference(ctx, kind, base), image)
        _keep_first(ctx, image)
        _qemu_img(ctx, "rebase", "-u", "-f", "qcow2", "-F", kind, "-b", name, image)
    else:
        _qemu_img(ctx, "convert", *options, "-f", "raw", ctx.inputs["disk"], image)
        _keep_first(ctx, image)


def _difference(ctx: Context, kind: str, base: Path) -> Path:
    """Return a qcow2 over `base` of the clusters that are another in the disk: of all the disk, rebased."""
    from bootsmith.tasks.disk.image_format import Encrypted, identify

    try:
        identify(base, kind)  # a chain of further files, which no key knows of, is refused
    except Encrypted as error:
        raise StageError(error.message, "An image in clear can be a backing file.") from None
    made = ctx.work / "difference.qcow2"
    cluster = [each for each in cast("list[str]", ctx.params["options"]) if each.startswith("cluster_size=")]
    _qemu_img(ctx, "create", "-q", "-f", "qcow2", "-o", *cluster, "-F", "raw", "-b", ctx.inputs["disk"], made)
    _qemu_img(ctx, "rebase", "-f", "qcow2", "-F", kind, "-b", base, made)
    return made


def _keep_first(ctx: Context, image: Path) -> None:
    """Keep the disk as it is under a name, where one is asked for: from when it is is the recipe's to say."""
    if not ctx.params["snapshot"]:
        return
    name, epoch = cast("tuple[str, int]", ctx.params["snapshot"])
    file = str(image).replace(",", ",,")
    key = f",encrypt.key-secret={PASSPHRASE}" if ctx.params["encrypt"] else ""
    _qemu_img(ctx, "snapshot", "-c", name, "--image-opts", f"driver=qcow2,file.driver=file,file.filename={file}{key}")
    with image.open("r+b") as written:
        written.seek(_SNAPSHOTS)
        (table,) = struct.unpack(">Q", written.read(8))
        written.seek(table + _DATE)
        written.write(struct.pack(">II", epoch, 0))


def _qemu_img(ctx: Context, command: str, *words: str | Path) -> None:
    """Run qemu-img, the passphrase given through a pipe: it stands in no file and on no command line."""
    if not ctx.params["encrypt"]:
        ctx.run("qemu-img", command, *words)
        return
    text = passphrases.encode(passphrases.checked(ctx.secret(PASSPHRASE), "outputs.qcow2.encrypt"))
    by_pipe = ("--object", passphrases.definition(0))
    passphrases.patiently(lambda: ctx.run("qemu-img", command, *by_pipe, *words, input=text))
