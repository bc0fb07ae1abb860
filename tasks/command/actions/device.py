"""write: the image, or any disk file, to a real disk."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from bootsmith.tasks.command.actions import images
from bootsmith.tasks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.disk.growing import Fitted
    from bootsmith.tasks.disk.target import Target

_BLKRRPART = 0x125F  # linux/fs.h: look at the table again


def check(request: Request) -> None:
    """Refuse a target that cannot be written to, and other options that mean nothing. Raises BootsmithError."""
    from bootsmith.tasks.command.actions import machines

    machines.check_format(request)
    images.check(request)
    _target(request)


def refuse(request: Request, plan: Plan) -> None:
    """Refuse a recipe without the image that is to be written, and no word of where to. Raises UsageError."""
    images.refuse(request, plan)
    _target(request)


def _target(request: Request) -> Target:
    from bootsmith.tasks.disk import target

    named = request.options["erase"]
    if not named:
        what = "write erases a disk, and only the one that is named so"
        raise UsageError(what, f"Say which: `{request.typed('write')} --erase /dev/sdX`; `lsblk` lists them.")
    image = request.session.shell / request.words[0] if request.words else None
    return target.look(request.session.shell / named, image if image and image.exists() else None)


def write(request: Request) -> None:
    """Write an image to a disk, all of it, and read it back; grow it where asked. Raises BootsmithError."""
    from bootsmith.tasks.command.actions.machines import kept
    from bootsmith.tasks.disk import (
        device_write,
        grow_filesystem,
        growing,
        image_content,
        image_format,
        raw_content,
        target,
    )
    from bootsmith.tasks.disk.sizing import human

    about, image = _target(request), images.disk(request)
    secret = images.passphrase(request, image)
    form = image_format.identify(image, request.options["format"], opens=secret is not None)
    about = target.look(about.path, image)
    grow = request.options["grow"]
    if grow and form == "iso":
        raise UsageError("--grow: a CD has nothing that could grow", "Leave it out.")
    progress = request.session.progress
    name = f"write:{request.recipe}" if request.recipe else "write"
    with ExitStack() as stack:
        stack.enter_context(kept(request, image))
        disk = stack.enter_context(image_content.opened(image, form, secret))
        file, _ = stack.enter_context(raw_content.descriptor(disk, 0, disk.size))
        fitted = growing.fit(disk.read, disk.size, about.size, grow=grow) if form != "iso" else growing.NO_TABLE
        target.check_room(about, disk.size, table=form == "iso" or fitted.table != "none", sector=fitted.sector)
        if grow and not fitted.grown and fitted.table == "none":
            raise UsageError(f"--grow: {fitted.why_not}", "Leave it out.")
        filesystem = grow_filesystem.kind(disk.read, fitted.grown[1]) if fitted.grown else ""
        if filesystem.startswith("ext"):
            grow_filesystem.check_tools()
        opened = target.open_alone(about)
        progress.start(name)
        with _half_done(request, about):
            try:
                wanted = device_write.Image(file, disk.size, fitted.patches)
                device_write.write(wanted, opened, about, lambda text: progress.say(name, text))
            finally:
                with suppress(OSError):
                    fcntl.ioctl(opened, _BLKRRPART)
                os.close(opened)
            progress.tell(f"{about.path}: {human(disk.size)} written and read back")
            _tell(request, about, fitted, filesystem)
            if fitted.grown and filesystem.startswith("ext"):
                grow_filesystem.grow(about.path, *fitted.grown[1:])
                progress.tell(f"its filesystem ({filesystem}) fills the partition, and was checked")
    progress.finish(name, "written")


@contextmanager
def _half_done(request: Request, about: Target) -> Iterator[None]:
    """Say of a disk that is not written to the end, whatever ends that, that it is incomplete. Raises StageError."""
    from bootsmith.tasks.build.system_errors import ROOM_THERE, in_words

    said = f"{about.path} is incomplete: nothing on it can be trusted; write it again"
    request.session.signals.half_done = said
    try:
        yield
    except BaseException as error:
        request.session.progress.tell(said)
        if isinstance(error, OSError):
            raise in_words(error, "--erase", about.path, room=ROOM_THERE) from error
        raise
    finally:
        request.session.signals.half_done = ""


def _tell(request: Request, about: Target, fitted: Fitted, filesystem: str) -> None:
    """Say what is another on the disk than in the image."""
    from bootsmith.tasks.disk.sizing import human

    tell = request.session.progress.tell
    if fitted.table == "gpt" and fitted.patches:
        tell(f"the table's backup stands at the end of {about.path}")
    if fitted.grown:
        number, _, old, new = fitted.grown
        tell(f"partition {number} has grown from {human(old)} to {human(new)}")
        if not filesystem.startswith("ext"):
            tell(f"what is in it ({filesystem or 'unknown'}) is as large as it was: it is grown from within")
    elif request.options["grow"]:
        tell(f"nothing has grown: {fitted.why_not}")
