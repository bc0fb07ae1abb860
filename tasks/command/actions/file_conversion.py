"""convert-file: any image file in any other format, made as an output of a recipe would be."""

from __future__ import annotations

import errno
import os
import re
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from bootsmith.cache.display import shown
from bootsmith.cache.files import temporary
from bootsmith.tasks.build import workdir
from bootsmith.tasks.build.free_space import free
from bootsmith.tasks.build.system_errors import ROOM_THERE, in_words
from bootsmith.tasks.command.actions import images
from bootsmith.tasks.errors import RecipeError, ToolFailed, UsageError
from bootsmith.tasks.tools import priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.disk.passphrase import Passphrase
    from bootsmith.tasks.recipe.model.outputs import OutputSpec
    from bootsmith.tasks.recipe.model.recipe import Recipe
    from bootsmith.tasks.recipe.text.nodes import Raw

NAME: Final = "convert-file"
SECTOR: Final = 512
BY_ENDING: Final[Mapping[str, tuple[str, dict[str, str]]]] = {
    **{f".{kind}": (kind, {}) for kind in ("raw", "qcow2", "vhd", "vhdx", "vdi", "vmdk", "ova", "ovf", "box")},
    ".img": ("raw", {}),
    ".tar.gz": ("gcp", {}),
    ".gz": ("raw", {"compress": "gzip"}),
    ".xz": ("raw", {"compress": "xz"}),
    ".zst": ("raw", {"compress": "zstd"}),
}
"""What a file of that ending is taken for, the first that fits; and with which options."""
KINDS: Final = tuple(dict.fromkeys([*(kind for kind, _ in BY_ENDING.values()), "azure", "aws"]))
MACHINES: Final = ("ova", "ovf", "box")
"""Those that describe a machine around the disk."""
_STARTED: Final = (*MACHINES, "azure", "gcp", "aws")
"""Those whose disk a machine starts from."""
PACKINGS: Final = ("gzip", "xz", "zstd")
"""What IN is unpacked from."""
_ROOM: Final = 1 << 20
"""Bytes free below which a program that failed is taken to have failed for want of more."""
_KEYS: Final = {"prealloc": "preallocation"}


def convert_file(request: Request) -> None:
    """Write IN as OUT, and what belongs to that beside it, all of it whole or not at all."""
    from bootsmith.tasks.disk import image_content, image_format

    session = request.session
    progress, source, target = session.progress, _source(request), _target(request)
    kind, values = wanted(target.name, request.options)
    passphrase, say = _passphrase(request), partial(progress.say, NAME)
    priority.lower(request.options["priority"] or priority.asked(), "--priority")
    progress.start(NAME)
    began = time.monotonic()
    with image_format.in_use(source, progress.tell), scratch(target, "--output") as folder:
        image = _unpacked(source, request.options["from"], folder, say)
        follow = bool(request.options["follow"])
        form = image_format.identify(image, request.options["from"], opens=passphrase is not None, follow=follow)
        if form == "iso" and kind in _STARTED:
            raise UsageError(
                f"{shown(source)} is a CD, and {kind} is a disk that a machine starts from", "Take another format."
            )
        made = replace(output(kind, values, _size(source, image, form, follow=follow)), file=target.name)
        files = [target.parent / file for file in made.files]
        for file in files:
            workdir.guard_target("--output", file)
            if file.exists() and file.samefile(source):
                raise UsageError(f"--output {shown(file)} is the image itself", "Name another file.")
        disk = image
        if form not in ("raw", "iso"):
            disk = folder / "disk.raw"
            say(f"reading {form}")
            image_content.unpack(image, form, disk, passphrase, say, follow=follow)
        _check_sectors(kind, disk, form)
        convert(made, disk, folder, say, _machine(kind, target, disk, request.options))
        for file in reversed(files):  # the image itself last: whoever finds that finds what belongs to it
            (folder / "build" / file.name).replace(file)
    progress.finish(NAME, "built", time.monotonic() - began, sum(file.stat().st_size for file in files))
    for file in files:
        progress.tell(str(images.relative(file, session.shell)))


def _check_sectors(kind: str, disk: Path, form: str) -> None:
    """Refuse a format whose disks have other sectors than the table on this one counts. Raises UsageError."""
    from bootsmith.tasks.disk import bootable
    from bootsmith.tasks.recipe.checks.sectors import SAYING, USUAL

    if kind in SAYING or form == "iso":
        return
    sector = bootable.sector(disk, "raw")
    if sector != USUAL:
        what = f"its table counts sectors of {sector} bytes, and a machine gives a {kind} {USUAL}"
        raise UsageError(what, f"Take another format: {' or '.join(SAYING)}.")


@contextmanager
def scratch(target: Path, what: str) -> Iterator[Path]:
    """Yield a folder on the file system of what is to be made, gone afterwards. Raises StageError where it is full."""
    try:
        with temporary.folder(target.parent) as folder:
            try:
                yield folder
            except ToolFailed as error:  # not every program says that it found no room
                if free(folder) < _ROOM:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
                raise
    except OSError as error:
        raise in_words(error, what, target, room=ROOM_THERE) from error


def wanted(name: str, options: Mapping[str, object]) -> tuple[str, dict[str, Raw]]:
    """Return which kind of output a file is to be, and its keys, by options and by its ending. Raises UsageError."""
    from bootsmith.tasks.recipe.checks.outputs import unfit

    kind, values = next((found for ending, found in BY_ENDING.items() if name.endswith(ending)), ("", {}))
    asked = options["to"]
    if asked:
        if asked not in KINDS:
            raise UsageError(f"--to {asked}: there is no such format", f"Known here: {', '.join(KINDS)}.")
        kind, values = str(asked), values if asked == kind else {}
    if not kind:
        known = ", ".join(BY_ENDING)
        raise UsageError(f"what {shown(name)} is to be cannot be told by its name", f"Say --to, or end it in {known}.")
    if why := unfit(kind, name):
        what, _, hint = why.partition("; ")
        raise UsageError(f"--output {shown(name)}: {what}", f"{hint[:1].upper()}{hint[1:]}.")
    found: dict[str, Raw] = dict(values)
    for option in ("compress", "prealloc", "cluster", "compat", "subformat", "bucket", "provider", "os"):
        if options.get(option):
            found[_KEYS.get(option, option)] = str(options[option])
    if options["no_lazy_refcounts"]:
        found["lazy_refcounts"] = "false"
    if kind == "qcow2" and options["prealloc"] not in (None, "off"):
        found.setdefault("compress", "none")  # packed clusters cannot be laid out beforehand
    if kind == "vmdk" and found.get("compress") == "zlib":
        del found["compress"]
        found.setdefault("subformat", "streamOptimized")  # the one form that is packed
    return kind, found


def convert(
    output: OutputSpec, disk: Path, folder: Path, say: Callable[[str], None], about: Mapping[str, Raw] | None = None
) -> None:
    """Make an output's files of a raw disk below `folder`, in `build`: by the stage that a recipe would have.

    `about` is what that recipe says of the machine.
    """
    from importlib import import_module

    from bootsmith.tasks.build import running
    from bootsmith.tasks.command.session import BEGINNING
    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.planning.stages import convert as stages

    site = Site("disk", folder / "build", folder / "none.lock", BEGINNING)
    stage = stages.KINDS[type(output)](NAME, output, _any_recipe(about or {}), site)
    stage = stage._replace(inputs={"disk": disk})
    work = folder / "work"
    for each in (work, site.build):
        each.mkdir()
    module, _, function = stage.run.partition(":")
    getattr(import_module(module), function)(running.context(stage, stage.outputs, work, _no_store, say=say))


def _no_store() -> NoReturn:
    raise AssertionError("nothing is fetched for a conversion")


def _any_recipe(about: Mapping[str, Raw]) -> Recipe:
    """Return a recipe, for what an output of one has: its disk's identifiers follow from the disk's content then."""
    from bootsmith.tasks.recipe import load

    tree: dict[str, Raw] = {"debian": {"suite": "stable", "packages": ["linux-image-amd64"]}}
    whole: dict[str, Raw] = {"name": "disk", "source": tree, "system": "none", "outputs": ["vdi"]}
    return load.imagine({**whole, **about}, Path())


def _machine(kind: str, target: Path, disk: Path, options: Mapping[str, object]) -> dict[str, Raw]:
    """Return what a recipe would say of the machine that starts from a disk. Raises BootsmithError."""
    if kind not in (*MACHINES, "aws"):
        return {}
    from bootsmith.tasks.disk import bootable
    from bootsmith.tasks.recipe.options import machine

    found = bootable.firmware(disk, "raw")
    if not found:
        raise UsageError(
            "neither a BIOS nor UEFI finds anything to start on that disk",
            f"Take another format: {kind} is for starting.",
        )
    asked = {name: str(options[name]) for name in ("memory", "cpus") if options[name]}
    machine(asked)  # refuses what cannot be, in the words of the options
    name = re.sub("[^a-z0-9-]+", "-", target.name.rpartition(".")[0].lower()).strip("-") or "disk"
    loader = "grub-bios" if "bios" in found else "systemd-boot"  # one of those that are for that firmware
    return {"name": name, "machine": {**asked}, "boot": {"loader": loader}}


def _source(request: Request) -> Path:
    given = request.options["input"]
    if not given:
        raise UsageError("convert-file: no image is named", "Write `convert-file -i IN -o OUT`.")
    source = images.existing(request.session.shell / str(given), "Name a disk image.", "the image")
    if not source.is_file():
        raise UsageError(f"{shown(source)} is not a file", "Copy the device into one: its size would be taken for 0.")
    return source


def _target(request: Request) -> Path:
    given = request.options["output"]
    if not given:
        raise UsageError("convert-file: no file is named to be written", "Write `convert-file -i IN -o OUT`.")
    target = request.session.shell / str(given)
    if not target.parent.is_dir():
        raise UsageError(f"--output {shown(given)}: there is no such directory", "Make it, or name a file elsewhere.")
    if not target.name.isprintable() or '"' in target.name:
        raise UsageError(f"--output {shown(given)}: some formats could not hold that name", "Name another file.")
    workdir.guard_target("--output", target)
    return target


def _passphrase(request: Request) -> Passphrase | None:
    images.check(request)
    return images.passphrase(request, Path()) if request.options["passphrase"] else None


def _unpacked(source: Path, given: str | None, folder: Path, say: Callable[[str], None]) -> Path:
    """Return an image that is packed, unpacked: any other as it is. Raises BootsmithError."""
    from bootsmith.tasks.disk.formats import blocks
    from bootsmith.tasks.tree import boot_formats, unpacking

    with source.open("rb") as packed:
        packing = boot_formats.packing(packed.peek(SECTOR))
        if packing not in PACKINGS or given == "raw":
            return source
        image, at = folder / "unpacked", 0
        say(f"unpacking {packing}")
        with image.open("xb") as made:
            try:
                while packed.peek(1):  # what has several members holds them one behind the other
                    for piece in unpacking.unpacked(packed, packing):
                        blocks.write(made.fileno(), bytearray(piece), at)
                        at += len(piece)
            except unpacking.Damaged as error:
                raise UsageError(f"{shown(source)} cannot be unpacked: {error.message}", "Make it anew.") from error
            made.truncate(at)
    return image


def _size(source: Path, image: Path, form: str, *, follow: bool) -> int:
    """Return the size of the disk in an image. Raises BootsmithError where it is none that a format could hold."""
    from bootsmith.tasks.disk import image_content

    size = image_content.size_of(image.absolute(), form, follow=follow)
    if size % SECTOR:
        raise UsageError(
            f"{shown(source)} holds {size} bytes, which are no whole sectors",
            f"Is it a disk? `truncate -s %{SECTOR} FILE` fills the last one.",
        )
    return size


def output(kind: str, values: Mapping[str, Raw], size: int) -> OutputSpec:
    """Return the output that was asked for. Raises UsageError in the words of the options."""
    from bootsmith.tasks.recipe import options

    try:
        return options.output(kind, values, size)
    except RecipeError as error:
        words = "\n".join(error.problems).replace(f"command line: outputs.{kind}.", "--")
        for option, key in _KEYS.items():
            words = words.replace(f"--{key}", f"--{option}")
        words = words.replace("by disk.size", "by `doit resize`")
        raise UsageError(words.replace(f"command line: outputs.{kind}: ", "")) from None
