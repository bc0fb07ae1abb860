"""What each command does, once doit has run what it needs: thin glue between a request and the rooms of the house."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.errors import InputMissing, StageError, UsageError

if TYPE_CHECKING:
    from bootsmith.tasks.commands import Request


def show(request: Request) -> None:
    """Print a recipe, all filled in."""
    from bootsmith.tasks.recipe.show import show as shown

    request.session.progress.tell(shown(request.session.recipe(request.recipe)))


def recipes(request: Request) -> None:
    """Print every recipe here, one line each."""
    from bootsmith.tasks.recipe import catalog

    found = catalog.summaries(request.session.folder)
    width = max((len(name) for name, _ in found), default=0)
    for name, text in found:
        request.session.progress.tell(f"{name:{width}}  {text}".rstrip())


def schema(request: Request) -> None:
    """Print the JSON Schema of recipes."""
    from bootsmith.tasks.recipe.schema import text

    request.session.progress.tell(text())


def tools(request: Request) -> None:
    """Print the host programs, and what to install."""
    from bootsmith.tasks.tools import survey

    users: dict[str, list[str]] = {}
    for builder in request.session.builders:
        for stage in builder.plan.stages:
            for tool in stage.tools:
                users.setdefault(tool, []).append(stage.name)
    request.session.progress.tell(survey.report(users))


def update(request: Request) -> None:
    """Resolve a recipe's packages again, and print what changed."""
    from bootsmith.tasks.tree import lockfile

    session = request.session
    lock = session.file(request.recipe).with_suffix(".lock")
    changes = lockfile.update(session.recipe(request.recipe), lock, session.ledger.store, session.progress.tell)
    for line in changes:
        session.progress.tell(line)
    session.progress.tell(f"{lock.name}: {len(changes)} packages changed" if changes else f"{lock.name}: as it was")


def inspect(request: Request) -> None:
    """Print what an image holds, without mounting it."""
    from bootsmith.tasks.disk import inspect as inspection

    found = inspection.inspect(_image(request))
    as_json = request.options["json"]
    request.session.progress.tell(
        json.dumps(inspection.to_json(found), indent=2) if as_json else inspection.to_text(found)
    )


def run_uefi(request: Request) -> None:
    """Boot an image under OVMF, the console on this terminal."""
    from bootsmith.tasks.machine import run
    from bootsmith.tasks.recipe import options

    session = request.session
    asked = {name: value for name, value in request.options.items() if name not in ("format", "print")}
    disk = _image(request)
    if request.words:
        machine, folder = options.machine(asked), None
    else:
        machine = session.recipe(request.recipe, options.words("machine", asked)).machine
        folder = session.builder(request.recipe).plan.site.build
    with _kept(request, disk):
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
    disk = _image(request)
    name = "qemu-test" if request.recipe is None else f"qemu-test:{request.recipe}"
    session.progress.start(name)
    with _kept(request, disk):
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
def _kept(request: Request, disk: Path) -> Iterator[None]:
    """Hold an image as it is while a machine runs on it; builds of it wait, or write another file."""
    from bootsmith.tasks.machine.image import in_use

    if not disk.exists():
        raise InputMissing(f"{disk} does not exist", "Name a disk image, or build one: `doit image`.")
    with in_use(disk, request.session.progress.tell):
        request.session.only_looks()
        yield


def _image(request: Request) -> Path:
    """Return the disk image a command is about: the file named, else the recipe's raw disk."""
    if request.words:
        if len(request.words) > 1:
            raise UsageError(f"one image, not {len(request.words)}: {shlex.join(request.words)}", "Name one file.")
        return request.session.shell / request.words[0]
    plan = request.session.builder(request.recipe).plan
    return plan.stage("assemble").outputs["disk"]
