"""resize: an image's file, its last partition and the filesystem in that, larger or smaller, with nothing mounted."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.command.actions import file_conversion, images
from bootsmith.tasks.errors import StageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bootsmith.cache.files.lock import FileLock
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.disk.patch import Patch
    from bootsmith.tasks.disk.qcow2 import Shape
    from bootsmith.tasks.disk.shrinking import Cut

NAME: Final = "resize"
_SECTOR: Final = 512
_MIB: Final = 1 << 20


def resize(request: Request) -> None:
    """Give an image another size; it is the old one, whole, until it is the new one. Raises BootsmithError."""
    from bootsmith.tasks.disk import ext_resize, image_content, image_format, qcow2

    image, size = _asked(request)
    ext_resize.check_tools()
    progress = request.session.progress
    say = partial(progress.say, NAME)
    progress.start(NAME)
    began = time.monotonic()
    with _alone(image, progress.tell) as lock, file_conversion.scratch(image, "the image") as folder:
        form = _format(image, request.options["format"])
        if form not in ("raw", "qcow2"):
            known = image_format.NAMES.get(form, form)
            raise UsageError(
                f"{shown(image)} is {known}: only raw and qcow2 images are resized",
                "Convert it first: `doit convert-file -i IN -o OUT.qcow2`.",
            )
        shape = qcow2.shape(image) if form == "qcow2" else None
        if shape:
            _refuse_kept(image, shape)
        old = image_content.size_of(image.absolute(), form)
        if old == size:
            progress.tell(f"{shown(image)} is that large already")
            progress.finish(NAME, "fresh", time.monotonic() - began, image.stat().st_size)
            return
        disk = folder / "disk.raw"
        image_content.unpack(image, form, disk, on_line=say) if shape else _copy(image, disk)
        for line in _resized(image, disk, old, size, say):
            progress.tell(line)
        made = disk
        if shape:
            keys = {
                "cluster": f"{shape.cluster // _SECTOR}s", "compat": shape.compat, "compress": shape.compress,
                "preallocation": "off", "lazy_refcounts": "true" if shape.lazy else "false",
            }  # fmt: skip
            output = file_conversion.output("qcow2", keys, size)
            file_conversion.convert(replace(output, file="resized"), disk, folder, say)
            made = folder / "build/resized"
        _take_after(image, made)
        with made.open("rb") as file:
            os.fsync(file.fileno())
        _refuse_used(image, lock)  # whoever has begun meanwhile
        made.replace(image)
        if shape and shape.odd:
            progress.tell(f"not kept: {', '.join(shape.odd)}")
    progress.finish(NAME, "built", time.monotonic() - began, image.stat().st_blocks * _SECTOR)


def _asked(request: Request) -> tuple[Path, int]:
    """Return the image, and the size it is to have. Raises UsageError."""
    from bootsmith.tasks.recipe.text.problems import Wrong
    from bootsmith.tasks.recipe.values.units import read_size

    if len(request.words) != 2:
        raise UsageError("resize takes an image and a size", "Write `doit resize FILE SIZE`, such as 20G.")
    image = images.existing(request.session.shell / request.words[0], "Name a disk image.", "the image")
    if not image.is_file():
        raise UsageError(f"{shown(image)} is not a file", "`doit write --erase DEVICE --grow` fills a device.")
    image = image.resolve()
    try:
        size = read_size(request.words[1])
    except Wrong as error:
        raise UsageError(error.what, f"{error.todo[0].upper()}{error.todo[1:]}") from None
    if not size:
        raise UsageError(f"{request.words[1]}: nothing could be in it", "Write a size such as 20G.")
    if size > sys.maxsize:
        raise UsageError(f"{request.words[1]}: no file can be that large", "Write a size such as 20G.")
    if image.is_relative_to((request.session.top / "build").resolve()):
        raise UsageError(
            f"{shown(image)} is what a recipe makes, and would be made anew",
            f"Say it in the recipe, or on the command line: `doit disk.size={request.words[1]} image`.",
        )
    return image, size


@contextmanager
def _alone(image: Path, tell: Callable[[str], None]) -> Iterator[FileLock]:
    """Hold the image's lock, which whoever runs or reads it here shares. Raises UsageError where others use it."""
    from bootsmith.cache.files.lock import FileLock

    lock = FileLock(image, create=False)
    lock.acquire(waiting=lambda who: tell(f"waiting for {who}, which uses {shown(image)}"))
    try:
        _refuse_used(image, lock)
        yield lock
    finally:
        lock.release()


def _refuse_used(image: Path, lock: FileLock) -> None:
    """Refuse an image that QEMU, libvirt or qemu-nbd has open: what they write next would be lost."""
    if lock.is_used():
        raise UsageError(f"another program uses {shown(image)}", "End it first: `lslocks` may show which it is.")


def _refuse_kept(image: Path, shape: Shape) -> None:
    """Refuse an image that holds more than one disk as it is now. Raises UsageError."""
    if shape.snapshots:
        raise UsageError(
            f"{shown(image)} keeps {shape.snapshots} snapshots, of disks as large as it is",
            "`qemu-img snapshot -d NAME FILE` drops one; or copy it: `doit convert-file`.",
        )
    if shape.bitmaps:
        raise UsageError(
            f"{shown(image)} keeps {shape.bitmaps} bitmaps of what changed on a disk as large as it is",
            "`qemu-img bitmap --remove FILE NAME` drops one; or copy it: `doit convert-file`.",
        )


def _format(image: Path, given: str | None) -> str:
    """Return an image's format. Raises BootsmithError."""
    from bootsmith.tasks.disk import image_format

    try:
        return image_format.identify(image, given)
    except image_format.Encrypted as error:
        hint = "Decrypt it first: `doit convert-file --passphrase env:NAME -i IN -o OUT.qcow2`."
        raise UsageError(error.message, hint) from None


def _take_after(image: Path, made: Path) -> None:
    """Give what is made the mode and, as far as one may, the owner of what it replaces."""
    shutil.copymode(image, made)
    found = image.stat()
    with suppress(PermissionError):
        os.chown(made, found.st_uid, found.st_gid)


def _copy(image: Path, disk: Path) -> None:
    from bootsmith.tasks.disk import splice

    splice.copy_file(image, disk)


def _resized(image: Path, disk: Path, old: int, size: int, say: Callable[[str], None]) -> Iterator[str]:
    """Give a raw disk another size; yield what became of it."""
    try:
        yield from _grown(disk, old, size, say) if size > old else _shrunk(disk, old, size, say)
    except StageError as error:
        raise StageError(f"{shown(image)}: {error.message}", error.hint) from None


def _grown(disk: Path, old: int, size: int, say: Callable[[str], None]) -> Iterator[str]:
    from bootsmith.tasks.disk import ext_resize, growing
    from bootsmith.tasks.disk.sizing import human

    with disk.open("rb") as file:
        fitted = growing.fit(partial(_read, file.fileno()), old, size, grow=True)
        number, start, before, after = fitted.grown or (0, 0, old, size)
        kind = _filesystem(file.fileno(), start, before)
    if fitted.table == "none" and not kind:
        raise StageError(
            "neither a table of partitions nor a filesystem known here is on it",
            "`truncate -s SIZE FILE` makes a raw file larger; what is on it knows how to follow.",
        )
    if fitted.table == "gpt" and not fitted.patches:
        raise StageError(fitted.why_not, "Mend it first; `inspect` tells all of it.")
    os.truncate(disk, size)
    _patch(disk, fitted.patches)
    yield f"the disk has grown from {human(old)} to {human(size)}"
    if fitted.table != "none":
        if not fitted.grown:
            yield f"no partition has grown: {fitted.why_not}"
            return
        yield f"partition {number} has grown from {human(before)} to {human(after)}"
    if kind.startswith("ext"):
        say(f"growing {kind}")
        ext_resize.resize(disk, start, before, after, disk.with_name("part"))
        yield f"its filesystem ({kind}) fills it, and was checked"
    else:
        yield f"what is in it ({kind or 'unknown'}) is as large as it was: it is grown from within"


def _shrunk(disk: Path, old: int, size: int, say: Callable[[str], None]) -> Iterator[str]:
    from bootsmith.tasks.disk import shrinking
    from bootsmith.tasks.disk.sizing import human

    with disk.open("rb") as file:
        shrunk = shrinking.fit(partial(_read, file.fileno()), old, size)
        cut = shrunk.cut
        kind = _filesystem(file.fileno(), cut.start, cut.old) if cut else ""
    told = [f"the disk has shrunk from {human(old)} to {human(size)}"]
    if cut:
        where = f"partition {cut.number}" if cut.number else "the disk"
        if not kind.startswith("ext"):
            raise StageError(
                f"{where} holds {kind or 'something unknown'}, which cannot be made smaller here: only ext can",
                f"Take {human(cut.start + cut.old + shrunk.tail)} or more.",
            )
        say(f"shrinking {kind}")
        _cut(disk, cut, where, shrunk.tail)
        told.append(f"{where} has shrunk from {human(cut.old)} to {human(cut.new)}, its filesystem ({kind}) with it")
    os.truncate(disk, size)
    _patch(disk, shrunk.patches)
    yield from told


def _cut(disk: Path, cut: Cut, where: str, tail: int) -> None:
    """Make the filesystem at a disk's end smaller, and the disk end with it. Raises StageError."""
    from bootsmith.tasks.disk import ext_resize
    from bootsmith.tasks.disk.sizing import human

    try:
        ext_resize.resize(disk, cut.start, cut.old, cut.new, disk.with_name("part"))
    except ext_resize.TooSmall as error:
        least = -(-(cut.start + error.least + tail) // _MIB) * _MIB + (_MIB if tail else 0)
        raise StageError(
            f"{where} cannot become {human(cut.new)}: {error.message}", f"Take {human(least)} or more."
        ) from None


def _filesystem(file: int, start: int, size: int) -> str:
    """Return what a partition holds, where that is known."""
    from bootsmith.tasks.disk import superblock

    def read(offset: int, length: int) -> bytes:
        return _read(file, start + offset, min(length, max(0, size - offset)))

    found = superblock.probe_any(read)
    return found.kind if found else ""


def _read(file: int, offset: int, length: int) -> bytes:
    return os.pread(file, length, offset) if offset >= 0 and length > 0 else b""


def _patch(disk: Path, patches: tuple[Patch, ...]) -> None:
    from bootsmith.cache.files import sparse

    with disk.open("r+b") as file:
        for each in patches:
            sparse.write(file.fileno(), each.data, each.at)
