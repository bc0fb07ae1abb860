"""Commands that boot an image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.actions import images
from bootsmith.tasks.errors import InputMissing, StageError

if TYPE_CHECKING:
    from bootsmith.tasks.commands import Request


def run_uefi(request: Request) -> None:
    """Boot an image under OVMF, the console on this terminal."""
    from bootsmith.tasks.machine import run
    from bootsmith.tasks.recipe import options

    session = request.session
    asked = {name: value for name, value in request.options.items() if name not in ("format", "print")}
    disk = images.disk(request)
    if request.words:
        machine, folder = options.machine(asked), None
    else:
        machine = session.recipe(request.recipe, options.words("machine", asked)).machine
        folder = session.builder(request.recipe).plan.site.build
    with kept(request, disk):
        status = run.run(
            machine,
            disk,
            format=request.options["format"],
            folder=folder,
            print_only=request.options["print"],
            say=session.progress.tell,
        )
    if status:
        raise StageError(f"QEMU exited with status {status}", "Its words are above.")


def qemu_test(request: Request) -> None:
    """Boot the image and demand proof."""
    from bootsmith.tasks.context import read_secret
    from bootsmith.tasks.machine import boottest
    from bootsmith.tasks.recipe import options

    session = request.session
    test = {name: request.options[name] for name in ("timeout", "silence")}
    words = options.words("test", test) | options.words("machine", {"accel": request.options["accel"]})
    recipe = session.recipe(request.recipe, words)
    login = recipe.test.login
    disk = images.disk(request)
    name = "qemu-test" if request.recipe is None else f"qemu-test:{request.recipe}"
    session.progress.start(name)
    with kept(request, disk):
        verdict = boottest.qemu_test(
            recipe.machine,
            recipe.test,
            disk=disk,
            format="raw",
            out=session.builder(request.recipe).plan.site.test,
            password=read_secret(login.password, "test.login.password") if login else b"",
            say=lambda text: session.progress.say(name, text),
        )
    session.progress.finish(name, "passed", verdict.seconds)
    session.progress.tell(verdict.summary)


@contextmanager
def kept(request: Request, disk: Path) -> Iterator[None]:
    """Hold an image as it is while a machine runs on it; builds of it wait, or write another file."""
    from bootsmith.tasks.machine.image import in_use

    if not disk.exists():
        raise InputMissing(f"{disk} does not exist", "Name a disk image, or build one: `doit image`.")
    with in_use(disk, request.session.progress.tell):
        request.session.only_looks()
        yield
