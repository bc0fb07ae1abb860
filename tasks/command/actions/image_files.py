"""ls, cat, extract, diff: the files in images, read without mounting."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.cache.display import shown
from bootsmith.tasks.command.actions import images
from bootsmith.tasks.errors import Ended, StageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.inspection.system_tree import Place, SystemTree


def ls(request: Request) -> None:
    """Print the names of files."""
    from bootsmith.tasks.inspection import listing

    with _found(request, _path(request, "/")) as (tree, place):
        long, recursive = request.options["long"], request.options["recursive"]
        for line in listing.lines(tree, place, long=long, recursive=recursive):
            request.session.progress.answer(line)


def cat(request: Request) -> None:
    """Write a file's content to standard output, byte for byte."""
    from bootsmith.tasks.disk.node import WINDOW

    with _found(request, _path(request)) as (_, place):
        if place.node.kind != "f":
            raise UsageError(f"/{shown(place.path)} is no regular file", f"`{request.typed('ls')}` lists a directory.")
        for at in range(0, place.node.size, WINDOW):
            request.session.progress.answer_bytes(place.files.read(place.node, at, WINDOW))


def extract(request: Request) -> None:
    """Take files out of an image."""
    from bootsmith.tasks.inspection import extraction

    if len(request.words) != 2:
        raise UsageError("extract takes a path in the image and a directory", "`doit extract /etc etc-of-the-image`")
    target = request.session.shell / request.words[1]
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is not a directory", "Name one that is, or that is to be made.")
    progress = request.session.progress
    with _found(request, request.words[0], follow=False) as (tree, place):
        for left in extraction.extract(tree, place, target):
            progress.remark(f"left out: {left}")


def diff(request: Request) -> None:
    """Print what two images differ in; exit status 1 where they do."""
    from bootsmith.tasks.inspection import difference
    from bootsmith.tasks.inspection.opening import looked_into

    if len(request.words) != 2:
        raise UsageError("diff takes two images", "Name files, or recipes: `doit diff old.img minimal`.")
    request.session.frozen = request.session.looks_back = True  # recipes' disks are taken as they are
    one, other = (_image(request, word) for word in request.words)
    with looked_into(one) as before, looked_into(other) as after:
        found = list(difference.between(before, after, difference.trees_of(before, after)))
    progress = request.session.progress
    if request.options["json"]:
        progress.answer(json.dumps([each._asdict() for each in found], indent=2))
    else:
        for each in found:
            progress.answer(str(each))
    if found:
        raise Ended(1)


def _image(request: Request, word: str) -> Path:
    """Return the image that a word means: a file, else the disk of the recipe of that name, as it is built."""
    file = request.session.shell / word
    if file.exists() or "/" in word:
        return images.existing(file, "Name an image's file, or a recipe.")
    disk = images.raw_disk(request, request.session.builder(word).plan)
    if not disk.exists():
        raise StageError(f"{word} is not built yet", f"`doit image:{word}`")
    return disk


def _path(request: Request, usual: str = "") -> str:
    """Return the one path in the image that was named."""
    if len(request.words) > 1 or not (request.words or usual):
        task = request.session.invocation.taker
        raise UsageError(
            f"{task} takes one path in the image", f"`doit {task} /etc/fstab`; `2:/` is a partition's top."
        )
    return request.words[0] if request.words else usual


@contextlib.contextmanager
def _found(request: Request, path: str, *, follow: bool = True) -> Iterator[tuple[SystemTree, Place]]:
    """Yield a file in the image that a command is about, and the tree that it is in."""
    from bootsmith.tasks.inspection import system_tree
    from bootsmith.tasks.inspection.opening import looked_into

    image = images.disk(request)
    with looked_into(image, images.passphrase(request, image), images.keys(request, image)) as opened:
        tree, within = system_tree.of(opened, path)
        place = tree.find(within, follow=follow)
        if place.files.unclean:
            request.session.progress.remark(f"{place.files.path} was not unmounted: its journal is not read")
        yield tree, place
