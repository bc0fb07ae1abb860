"""Commands that boot an image."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsmith.tasks.command.actions import images
from bootsmith.tasks.errors import BootsmithError, Ended, InputMissing, StageError, UsageError
from bootsmith.tasks.planning.site import Site

if TYPE_CHECKING:
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.machine.firmware import Kind
    from bootsmith.tasks.machine.qemu import Kernel
    from bootsmith.tasks.machine.run import Subject
    from bootsmith.tasks.machine.running import Noted
    from bootsmith.tasks.recipe.model import Machine, Recipe


def run_uefi(request: Request) -> None:
    """Boot an image under OVMF, the console on this terminal."""
    _run_disk(request, "uefi")


def run_bios(request: Request) -> None:
    """Boot an image under SeaBIOS, the console on this terminal."""
    _run_disk(request, "bios")


def _run_disk(request: Request, kind: Kind) -> None:
    from bootsmith.tasks.disk import bootable, image_content, image_format
    from bootsmith.tasks.machine import firmware
    from bootsmith.tasks.machine.run import Subject

    disk = images.disk(request)
    machine, folder, recipe = _machine(request, disk)
    passphrase = images.passphrase(request, disk)
    form = image_format.identify(disk, request.options["format"], opens=passphrase is not None)
    program = None
    if not (machine.keep and (folder / "run.qcow2").exists()):  # what a guest wrote there may start it now
        able = set(bootable.firmware(disk, form, passphrase))
        present = None if images.is_past(request) else recipe
        if not able or (kind == "uefi" and (kind not in able or (present and present.boot.removable == "no"))):
            program = bootable.vendors(disk, form, present.boot.loader if present else (), passphrase)
        if program:
            able.add("uefi")
        firmware.choose(kind, able, images.shown(request, disk))
        if program:
            request.session.progress.tell(f"a copy of the firmware's variables gets a boot entry for {program}")
    elif passphrase:
        image_content.check(disk, form, passphrase)
    subject = Subject(disk, form, kind, program=program, passphrase=passphrase)
    if recipe:
        secure = recipe.boot.secure_boot
        certificate = secure.certificate if secure else None
        subject = replace(subject, arch=recipe.arch, recipe=recipe.file, certificate=certificate)
    _run(request, machine, subject, folder)


def run_direct(request: Request) -> None:
    """Let QEMU start a kernel, the console on this terminal."""
    from bootsmith.tasks.disk import image_content, image_format
    from bootsmith.tasks.machine import kernel_file as kernels
    from bootsmith.tasks.machine.qemu import Kernel
    from bootsmith.tasks.machine.run import Subject

    asked = request.options
    if not request.words:
        _run_recipe_directly(request)
        return
    if asked["entry"]:
        raise UsageError("--entry is one of a recipe's, and a KERNEL is none", "Leave out one of the two.")
    file = images.existing(images.named(request), "Name a kernel, such as /boot/vmlinuz-*.", "the kernel")
    initrd, disk = _given(request, "initrd"), _given(request, "disk")
    machine, folder, _ = _machine(request, disk or file)
    kernels.check(file)
    passphrase = images.passphrase(request, disk) if disk else None
    form = image_format.identify(disk, asked["format"], opens=passphrase is not None) if disk else "raw"
    if disk and passphrase:
        image_content.check(disk, form, passphrase)
    kernel = Kernel(file, initrd, asked["cmdline"] or "console=ttyS0")
    _run(request, machine, Subject(disk, form, "direct", kernel, passphrase=passphrase), folder)


def _run_recipe_directly(request: Request) -> None:
    from bootsmith.tasks.machine.run import Subject

    asked = request.options
    for option in ("initrd", "disk", "format", "passphrase"):
        if asked[option]:
            raise UsageError(
                f"--{option} goes with a KERNEL: the recipe has its own", "Name a kernel, or leave it out."
            )
    plan = images.plan(request)
    disk = images.disk(request) if any(stage.name == "assemble" for stage in plan.stages) else None
    machine, folder, recipe = _machine(request, Site.of(plan).kernel)
    assert recipe is not None, "no file was named"
    name = entry_name(recipe, asked["entry"])
    kernel = started(recipe, plan, name)
    if kernel is None:
        raise UsageError(f"{plan.name} has no kernel", "Name a KERNEL, or another recipe.")
    kernel = replace(kernel, cmdline=" ".join(filter(None, (kernel.cmdline, asked["cmdline"]))))
    _run(request, machine, Subject(disk, "raw", "direct", kernel, recipe.arch, recipe.file), folder)


def entry_name(recipe: Recipe, asked: str | None) -> str:
    """Return the entry that was asked for, else the one that boots by itself. Raises UsageError."""
    if asked and asked not in recipe.boot.entries:
        raise UsageError(f"--entry: there is no entry {asked!r}", f"There are: {', '.join(recipe.boot.entries)}.")
    return asked or recipe.boot.default


def started(recipe: Recipe, plan: Plan, entry: str) -> Kernel | None:
    """Return what QEMU starts directly for an entry; None where the recipe has no kernel for it."""
    from bootsmith.tasks.boot import menu
    from bootsmith.tasks.machine.qemu import Kernel
    from bootsmith.tasks.planning import entries as menus

    item = next(item for item in menu.from_param(menus.menu(recipe)).items if item.name == entry)
    site = Site.of(plan)
    image, initrd = site.kernel_for(item.kernel_of), site.initrd_for(item.initrd_of)
    if image not in {path for stage in plan.stages for path in stage.outputs.values()}:
        return None
    return Kernel(image, None if item.initrd is None else initrd, item.cmdline)


def run_tree(request: Request) -> None:
    """Boot a directory or a tar: its kernel, started by QEMU, finds it as a disk."""
    from bootsmith.tasks.command.actions import trees
    from bootsmith.tasks.machine import kernel_file, qemu
    from bootsmith.tasks.machine.run import Subject
    from bootsmith.tasks.planning.stages import unpartitioned

    session, asked = request.session, request.options
    site = trees.site_of(request)
    given, initrd = _given(request, "kernel"), _given(request, "initrd")
    if not (given or initrd) and site.initrd.stat().st_size:
        initrd = site.initrd
    if not initrd:
        session.progress.tell("no initrd: the kernel itself must have the drivers for its disk and filesystem")
    machine, folder, _ = _machine(request, images.named(request))
    kernel_file.check(given or site.kernel)
    # Its fstab is of some other disk: whatever that names is not here, and would be waited for.
    words = " ".join(filter(None, (f"root={qemu.device(machine)} rw fstab=no console=ttyS0", asked["cmdline"])))
    started = qemu.Kernel(given or site.kernel, initrd, words)
    subject = Subject(unpartitioned.disk(site), "raw", "direct", started)
    if not asked.get("write"):
        _run(request, machine, subject, folder)
        return
    writing = trees.writing(request)
    with writing.alone():
        writing.begin(unpartitioned.disk(site), trees.packed_from(request))
        _run(request, machine, replace(subject, disk=writing.disk, writes=True), folder)
        writing.finish()


def _given(request: Request, name: str) -> Path | None:
    """Return the file that an option names. Raises UsageError."""
    if not request.options[name]:
        return None
    file = request.session.shell / str(request.options[name])
    return images.existing(file, f"Name a file, or leave out --{name}.", f"the {name}")


def ssh(request: Request) -> None:
    """Enter a running machine, or run a command there: its exit status becomes ours."""
    from bootsmith.tasks.machine import running
    from bootsmith.tasks.machine import ssh as shell
    from bootsmith.tasks.tools import host, popen

    asked = request.options
    try:
        seconds = float(asked["timeout"] or 300)
    except ValueError:
        raise UsageError(f"--timeout {asked['timeout']}: not a number of seconds", "Write one, like 60.") from None
    request.session.file(request.recipe)  # one that there is
    machine = _running(request, running.find(_register(request)))

    def pause(moment: float) -> None:
        time.sleep(moment)
        if machine not in running.find(_register(request)):
            raise BootsmithError(f"the machine that ran {machine.what} has ended", "Start it again.")

    shell.wait_for_banner(machine.port, seconds, pause)
    words = shell.command(machine.port, machine.key, user=asked["user"] or "root", program=host.find("ssh"))
    terminal = ["-t"] if sys.stdin.isatty() and not request.words else []
    status = popen.spawn_interactive([words[0], *terminal, *words[1:], *request.words])
    if status:
        raise Ended(status)


def _running(request: Request, found: list[Noted]) -> Noted:
    """Return the machine that is meant: by port, of the recipe named, else the newest, the default recipe's first."""
    asked, session = request.options, request.session
    if asked["port"]:
        chosen = [each for each in found if str(each.port) == asked["port"]]
    else:
        chosen = [each for each in found if each.recipe == session.file(request.recipe)]
        chosen = chosen or (found if request.recipe is None else [])
    if chosen:
        return chosen[0]
    others = ", ".join(f"{each.what} (--port {each.port})" for each in found)
    raise BootsmithError(
        f"no such machine is running{f'; there are: {others}' if others else ''}",
        "Start one in another terminal with run-uefi, run-bios, run-direct, run-dir or run-tgz; its image needs an ssh "
        "server, and its `login` must be auto.",
    )


def check(request: Request) -> None:
    """Refuse options that no machine can have. Raises BootsmithError."""
    from bootsmith.tasks.disk import image_format

    form = request.options.get("format")
    if form is not None and form not in image_format.FORMATS:
        raise UsageError(f"--format {form}: there is no such format", f"Known here: {', '.join(image_format.FORMATS)}.")
    images.check(request)
    if _asked(request):
        _wanted(request)


def _asked(request: Request) -> dict[str, Any]:
    """Return the options that are keys of a recipe's `machine:`, and were given."""
    from bootsmith.tasks.recipe import options

    return {name: value for name, value in request.options.items() if name in options.MACHINE and value}


def _wanted(request: Request) -> tuple[Machine, Recipe | None]:
    """Return the machine asked for, and the recipe where no file was named. Raises BootsmithError."""
    from bootsmith.tasks.recipe import options

    if request.words:
        with chdir(request.session.shell):  # paths among the options are the user's
            return options.machine(_asked(request)), None
    recipe = request.session.recipe(request.recipe, options.words("machine", _asked(request)))
    return recipe.machine, recipe


def _machine(request: Request, file: Path) -> tuple[Machine, Path, Recipe | None]:
    """Return the machine asked for, the directory for what its run leaves, and the recipe where no file was named."""
    machine, recipe = _wanted(request)
    if recipe is None:
        return machine, request.session.top / "build/run" / images.own_name(file), None
    return machine, images.plan(request).build, recipe


def _run(request: Request, machine: Machine, subject: Subject, folder: Path) -> None:
    from bootsmith.tasks.machine import run

    session = request.session
    if not subject.disk:
        session.only_looks()
    with kept(request, subject.disk) if subject.disk else nullcontext():
        session.remark_on_root()
        status = run.run(
            machine, subject, folder=folder, register=_register(request), print_only=request.options["print"],
            say=session.progress.tell,
        )  # fmt: skip
    if status:
        raise StageError(f"QEMU exited with status {status}", "Its words are above.")


def _register(request: Request) -> Path:
    """Return the directory where the machines of this project are noted while they run."""
    return request.session.top / "build/.running"


@contextmanager
def kept(request: Request, disk: Path) -> Iterator[None]:
    """Hold an image as it is while a machine runs on it; builds of it wait, or write another file."""
    from bootsmith.tasks.disk.image_format import in_use

    if not disk.exists():
        raise InputMissing(f"{disk} does not exist", "Name a disk image, or build one: `doit image`.")
    with in_use(disk, request.session.progress.tell):
        request.session.only_looks()
        yield
