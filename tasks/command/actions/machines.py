"""The machine that a command asks for, and its run: what the commands that boot something share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsmith.cache.errors import CacheError
from bootsmith.tasks.command.actions import images
from bootsmith.tasks.errors import InputMissing, StageError, UsageError
from bootsmith.tasks.planning.site import Site

if TYPE_CHECKING:
    from bootsmith.tasks.boot.menu import Menu
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.machine.qemu import Kernel
    from bootsmith.tasks.machine.run import Subject
    from bootsmith.tasks.recipe.model.machine import Machine
    from bootsmith.tasks.recipe.model.recipe import Recipe

_DAY = 86400.0


def check(request: Request) -> None:
    """Refuse options that no machine can have. Raises BootsmithError."""
    check_format(request)
    images.check(request)
    _check_detached(request)
    if _asked(request):
        wanted(request)


def patience(request: Request, usual: float) -> float:
    """Return the seconds of --timeout. Raises UsageError for what no wait can last."""
    given = request.options["timeout"]
    with suppress(ValueError):
        seconds = float(given or usual)
        if 0 <= seconds <= _DAY:  # nor is NaN
            return seconds
    raise UsageError(f"--timeout {given}: not a number of seconds up to a day", "Write one, like 60.")


def _check_detached(request: Request) -> None:
    """Refuse what a machine in the background cannot have. Raises UsageError."""
    if not request.options["detach"]:
        if request.options["name"]:
            raise UsageError("--name goes with --detach", "Leave out one, or add the other.")
        return
    for other in ("print", "monitor", "write"):
        if request.options.get(other):
            raise UsageError(f"--detach and --{other} exclude each other", "Leave one of them out.")


def check_format(request: Request) -> None:
    """Refuse a format that there is not. Raises UsageError."""
    from bootsmith.tasks.disk import image_format

    form = request.options.get("format")
    if form is not None and form not in image_format.FORMATS:
        raise UsageError(f"--format {form}: there is no such format", f"Known here: {', '.join(image_format.FORMATS)}.")


def _asked(request: Request) -> dict[str, Any]:
    """Return the options that are keys of a recipe's `machine:`, and were given."""
    from bootsmith.tasks.recipe import options

    return {name: value for name, value in request.options.items() if name in options.MACHINE and value}


def wanted(request: Request) -> tuple[Machine, Recipe | None]:
    """Return the machine asked for, and the recipe where no file was named. Raises BootsmithError."""
    from bootsmith.tasks.recipe import options

    recipe = None
    if request.words:
        with chdir(request.session.shell):  # paths among the options are the user's
            machine = options.machine(_asked(request))
    else:
        recipe = request.session.recipe(request.recipe, options.words("machine", _asked(request)))
        machine = recipe.machine
        if recipe.boot.protocol != "linux":  # the credentials that let one in are for systemd
            machine = replace(machine, login="none")
    console = Path(machine.serial)
    if machine.serial != "stdio" and (console.is_dir() or not console.parent.is_dir()):
        what = "it is a folder" if console.is_dir() else f"there is no folder {console.parent}"
        raise UsageError(f"the console cannot be written to {console}: {what}", "Name another file, or `stdio`.")
    return machine, recipe


def asked_for(request: Request, file: Path) -> tuple[Machine, Path, Recipe | None]:
    """Return the machine asked for, the directory for what its run leaves, and the recipe where no file was named."""
    machine, recipe = wanted(request)
    if recipe is None:
        return machine, request.session.top / "build/run" / images.own_name(file), None
    return machine, images.plan(request).build, recipe


def given_file(request: Request, name: str) -> Path | None:
    """Return the file that an option names. Raises UsageError."""
    if not request.options[name]:
        return None
    file = request.session.shell / str(request.options[name])
    return images.existing(file, f"Name a file, or leave out --{name}.", f"the {name}")


def started(recipe: Recipe, plan: Plan, entry: str) -> Kernel | None:
    """Return what QEMU starts directly for an entry; None where the recipe has no kernel for it."""
    from bootsmith.tasks.machine.qemu import Kernel

    site = Site.of(plan)
    item = next(item for item in menu(recipe, site).items if item.name == entry)
    image, initrd = site.kernel_for(item.kernel_of), site.initrd_for(item.initrd_of)
    if image not in {path for stage in plan.stages for path in stage.outputs.values()}:
        return None
    return Kernel(image, None if item.initrd is None else initrd, item.cmdline)


def menu(recipe: Recipe, site: Site) -> Menu:
    """Return a recipe's menu, with the root hash that its build has made."""
    from bootsmith.tasks.planning import entries as menus
    from bootsmith.tasks.recipe.loaders import partitions

    found = partitions.verity(recipe.disk)
    with suppress(OSError):  # of a past build there may be the disk alone
        root_hash = site.root_hash(found[1].name).read_text().strip() if found else ""
        return menus.menu(recipe).with_root_hash(root_hash)
    return menus.menu(recipe)


def loaders(request: Request, plan: Plan, recipe: Recipe) -> tuple[str, ...]:
    """Return what starts the image that a command is about, a recipe's disk or its CD, by what disks call it."""
    from bootsmith.tasks.recipe.loaders import optical
    from bootsmith.tasks.recipe.model.outputs import Iso

    isos = [each for each in recipe.outputs if isinstance(each, Iso)]
    return optical.on_disks(isos[0]) if isos and images.cd(request, plan) else recipe.boot.loader


def boot(request: Request, machine: Machine, subject: Subject, folder: Path) -> None:
    """Run a machine to its end, its disk held as it is; what it leaves goes into `folder`. Raises BootsmithError."""
    from bootsmith.tasks.machine.run import run

    session = request.session
    if not subject.disk:
        session.let_others_build()
    with kept(request, subject.disk) if subject.disk else nullcontext():
        session.remark_on_root()
        if request.options.get("detach"):
            _detach(request, machine, subject, folder)
            return
        status = run(
            machine, subject, folder=folder, register=register(request), print_only=request.options["print"],
            say=session.progress.tell, answer=session.progress.answer, started=session.starting.close,
        )  # fmt: skip
    if status:
        raise StageError(f"QEMU exited with status {status}", "Its words are above.")


def _detach(request: Request, machine: Machine, subject: Subject, folder: Path) -> None:
    """Start a machine that goes on running, and say how it is reached and ended."""
    from bootsmith.tasks.machine import background

    name = str(request.options["name"] or (request.session.file(request.recipe).stem if not request.words else ""))
    job = background.Job(machine, subject, folder.absolute(), register(request), name)
    noted = background.start(job, request.session.progress.tell)
    request.session.starting.close()
    shell = request.session.shell
    console = f"; its console: {images.relative(noted.console, shell)}" if noted.console else ""
    enters = f"`doit ssh --machine {noted.name}` enters it, " if noted.port else ""
    request.session.progress.tell(
        f"{noted.name} runs in the background (process {noted.pid}){console}\n{enters}`doit stop {noted.name}` ends it"
    )


def announce(request: Request, task: str) -> None:
    """Note that a machine is going to start, until it has: what it runs may take minutes to be made."""
    from bootsmith.tasks.machine import running

    recipe = None if request.words else request.session.file(request.recipe)
    what = f"{task} {request.words[0]}" if request.words else f"{task}:{request.recipe}" if request.recipe else task
    name = str(request.options.get("name") or (Path(request.words[0]).name if request.words else ""))
    noted = running.Noted(recipe, what, None, None, os.getpid(), started=False, name=name)
    with suppress(OSError, CacheError):  # not ours to write: then nobody waits for it
        request.session.starting.enter_context(running.note(register(request), noted))


def register(request: Request) -> Path:
    """Return the directory where the machines of this project are noted while they run."""
    return request.session.top / "build/.running"


@contextmanager
def kept(request: Request, disk: Path) -> Iterator[None]:
    """Hold an image as it is while a machine runs on it; builds of it wait, or write another file."""
    from bootsmith.tasks.disk.image_format import in_use

    if not disk.exists():
        raise InputMissing(f"{disk} does not exist", "Name a disk image, or build one: `doit image`.")
    with in_use(disk, request.session.progress.tell):
        request.session.let_others_build()
        yield
