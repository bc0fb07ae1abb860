"""run-uefi, run-bios, run-direct: a machine that boots the recipe's image, or a file that is named."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bootsmith.tasks.command.actions import images, machines
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.planning.site import Site

if TYPE_CHECKING:
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.machine.firmware import Kind
    from bootsmith.tasks.recipe.model.recipe import Recipe


def run_uefi(request: Request) -> None:
    """Boot an image under OVMF, the console on this terminal."""
    _run_disk(request, "uefi")


def run_bios(request: Request) -> None:
    """Boot an image under SeaBIOS, the console on this terminal."""
    _run_disk(request, "bios")


def refuse_uefi(request: Request, plan: Plan) -> None:
    """Refuse a recipe whose disk holds nothing that UEFI starts. Raises BootsmithError."""
    _refuse(request, plan, "uefi")


def refuse_bios(request: Request, plan: Plan) -> None:
    """Refuse a recipe whose disk holds nothing that a BIOS starts. Raises BootsmithError."""
    _refuse(request, plan, "bios")


def _refuse(request: Request, plan: Plan, kind: Kind) -> None:
    """Refuse what can be known before the disk is made; what is on it tells the rest."""
    from bootsmith.tasks.machine import firmware
    from bootsmith.tasks.recipe.loaders.kinds import served

    images.refuse(request, plan)
    _, recipe = machines.wanted(request)
    assert recipe is not None, "no file was named"
    able = {*served(machines.loaders(request, plan, recipe))}
    if not images.cd(request, plan) and any(part.type == "esp" for part in recipe.disk.partitions.values()):
        able.add("uefi")  # the tree itself may have put a program there
    if not (plan.build / "run.qcow2").exists():  # what a guest wrote there may start it now
        firmware.choose(kind, able, f"the {'CD' if images.cd(request, plan) else 'disk'} of {plan.name}", request.typed)


def refuse_direct(request: Request, plan: Plan) -> None:
    """Refuse an entry that the recipe has not, and options that go with a kernel that is named. Raises UsageError."""
    for option in ("initrd", "disk", "format", "passphrase"):
        if request.options[option]:
            raise UsageError(
                f"--{option} goes with a KERNEL: the recipe has its own", "Name a kernel, or leave it out."
            )
    _, recipe = machines.wanted(request)
    assert recipe is not None, "no file was named"
    if machines.started(recipe, plan, _entry_name(recipe, request.options["entry"])) is None:
        raise UsageError(f"{plan.name} has no kernel", "Name a KERNEL, or another recipe.")


def _run_disk(request: Request, kind: Kind) -> None:
    from bootsmith.tasks.disk import bootable, image_content, image_format
    from bootsmith.tasks.machine import firmware
    from bootsmith.tasks.machine.run import Subject

    disk = images.disk(request)
    machine, folder, recipe = machines.asked_for(request, disk)
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
        firmware.choose(kind, able, images.shown(request, disk), None if request.words else request.typed)
        if program:
            request.session.progress.tell(f"a copy of the firmware's variables gets a boot entry for {program}")
    elif passphrase:
        image_content.check(disk, form, passphrase)
    subject = Subject(
        disk, form, kind, program=program, passphrase=passphrase, sector=bootable.sector(disk, form, passphrase)
    )
    if recipe:
        secure = recipe.boot.secure_boot
        certificate = secure.certificate if secure else None
        subject = replace(subject, arch=recipe.arch, recipe=recipe.file, certificate=certificate)
    machines.boot(request, machine, subject, folder)


def run_direct(request: Request) -> None:
    """Let QEMU start a kernel, the console on this terminal."""
    from bootsmith.tasks.disk import bootable, image_content, image_format
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
    initrd, disk = machines.given_file(request, "initrd"), machines.given_file(request, "disk")
    machine, folder, _ = machines.asked_for(request, disk or file)
    kernels.check(file)
    if initrd:
        kernels.check_initrd(initrd, file)
    passphrase = images.passphrase(request, disk) if disk else None
    form = image_format.identify(disk, asked["format"], opens=passphrase is not None) if disk else "raw"
    if disk and passphrase:
        image_content.check(disk, form, passphrase)
    kernel = Kernel(file, initrd, asked["cmdline"] or "console=ttyS0")
    sector = bootable.sector(disk, form, passphrase) if disk else 512
    subject = Subject(disk, form, "direct", kernel, passphrase=passphrase, sector=sector)
    machines.boot(request, machine, subject, folder)


def _run_recipe_directly(request: Request) -> None:
    from bootsmith.tasks.machine.run import Subject

    asked = request.options
    plan = images.plan(request)
    refuse_direct(request, plan)
    disk = images.raw_disk(request, plan) if any(stage.name == "assemble" for stage in plan.stages) else None
    machine, folder, recipe = machines.asked_for(request, Site.of(plan).kernel)
    assert recipe is not None, "no file was named"
    name = _entry_name(recipe, asked["entry"])
    kernel = machines.started(recipe, plan, name)
    assert kernel is not None, "what has none is refused"
    kernel = replace(kernel, cmdline=" ".join(filter(None, (kernel.cmdline, asked["cmdline"]))))
    subject = Subject(disk, "raw", "direct", kernel, recipe.arch, recipe.file, sector=recipe.disk.sector)
    machines.boot(request, machine, subject, folder)


def _entry_name(recipe: Recipe, asked: str | None) -> str:
    """Return the entry that was asked for, else the one that boots by itself. Raises UsageError."""
    if asked and asked not in recipe.boot.entries:
        raise UsageError(f"--entry: there is no entry {asked!r}", f"There are: {', '.join(recipe.boot.entries)}.")
    return asked or recipe.boot.default
