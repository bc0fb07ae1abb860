"""qemu-test: an image booted, and proof demanded."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bootsmith.tasks.command.actions import images
from bootsmith.tasks.command.actions.machines import kept, loaders, menu, started
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.planning import products
from bootsmith.tasks.planning.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bootsmith.tasks.boot.menu import Menu
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.build.secret import Secret
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.disk.passphrase import Passphrase
    from bootsmith.tasks.machine.boot_setup import BootSetup
    from bootsmith.tasks.machine.firmware import Kind
    from bootsmith.tasks.recipe.model.recipe import Recipe


def qemu_test(request: Request) -> None:
    """Boot the image under each firmware that its recipe names, and demand proof."""
    recipe = _recipe(request)
    plan = images.plan(request)
    disk = _disk(request, plan)
    with kept(request, disk.path) if disk else contextlib.nullcontext():
        found = kinds(recipe, loaders(request, plan, recipe))
        for kind in found:
            setup = _setup(request, recipe, plan, disk, kind)
            test = Site.of(plan).test
            out, which = (test, "") if len(found) == 1 else (test / kind, f"{kind}: ")
            _prove(request, setup, out, which)


def check(request: Request) -> None:
    """Refuse options that no test can have. Raises RecipeError."""
    if _asked(request):
        _recipe(request)


def secrets(request: Request, _plan: Plan) -> Iterable[Secret]:
    """Return the password that the test logs in with. Raises RecipeError."""
    login = request.session.recipe(request.recipe).test.login
    return [login.password] if login else []


def _asked(request: Request) -> dict[str, str]:
    """Return the words of the command line that say what the options say."""
    from bootsmith.tasks.recipe import options

    given = request.options
    test = {name: given[name] for name in ("firmware", "entry", "timeout", "silence")}
    return options.words("test", test) | options.words("machine", {"accel": given["accel"]})


def _recipe(request: Request) -> Recipe:
    """Return the recipe, with what the options say of its test. Raises RecipeError."""
    return request.session.recipe(request.recipe, _asked(request))


def refuse(_request: Request, plan: Plan) -> None:
    """Refuse a plan that makes nothing to boot, such as of a container's tree. Raises UsageError."""
    made = {stage.name for stage in plan.stages}
    if not ({products.DISK, products.CD} & made or products.direct(plan)):
        raise UsageError(
            f"{plan.name} has nothing that boots", "Name another recipe; boot.kernel: none says so of this."
        )


def kinds(recipe: Recipe, loaders: Sequence[str] = ()) -> list[Kind]:
    """Return under what a recipe is tested: "auto" is what its machine, else its loaders, or those given, say."""
    from bootsmith.tasks.recipe.loaders.kinds import served

    able = served(loaders or recipe.boot.loader)
    usual: tuple[Kind, ...] = ("uefi", "bios", "direct")
    first: Kind = next((kind for kind in usual if kind in able), "direct")
    if recipe.machine.type == "microvm":
        first = "direct"  # it starts nothing else
    auto: Kind = first if recipe.machine.firmware == "auto" else recipe.machine.firmware
    return list(dict.fromkeys(auto if each == "auto" else each for each in recipe.test.firmware))


class _Disk(NamedTuple):
    """The disk that is tested."""

    path: Path
    format: str
    passphrase: Passphrase | None


def _disk(request: Request, plan: Plan) -> _Disk | None:
    """Return a recipe's raw disk, or its encrypted image or its CD, if that is all it keeps; None if it has no disk."""
    sealed = None if images.is_past(request) else products.encrypted(plan)
    if sealed:
        return _Disk(sealed.outputs["image"], "qcow2", images.sealing(sealed))
    if images.cd(request, plan):
        return _Disk(images.disk(request), "iso", None)
    made = next((stage.outputs["disk"] for stage in plan.stages if stage.name == "assemble"), None)
    return _Disk(made, "raw", None) if made else None


def _setup(request: Request, recipe: Recipe, plan: Plan, disk: _Disk | None, kind: Kind) -> BootSetup:
    from bootsmith.tasks.build.secret import read_secret
    from bootsmith.tasks.machine import boot_setup, entry
    from bootsmith.tasks.machine.run import Subject
    from bootsmith.tasks.recipe import boot_files

    site, test = Site.of(plan), recipe.test
    facts = {owner: _facts(site.kernel_facts_for(owner)) for owner in boot_files.kernels(recipe.boot)}
    shown = _menu(recipe, site, disk).completed({own: each for own, each in facts.items() if each}, {}, {})
    name = test.entry or shown.default
    if kind == "direct" and disk and disk.format == "iso":
        raise UsageError(f"{site.name} keeps a CD alone, which its loaders start", "Test it under uefi or bios.")
    kernel = started(recipe, plan, name) if kind == "direct" else None
    if kind == "direct" and kernel is None:
        raise UsageError(f"{site.name} has no kernel that QEMU could start", "Test it under uefi or bios.")
    password = read_secret(test.login.password, "test.login.password") if test.login else b""
    secure = recipe.boot.secure_boot
    subject = Subject(
        disk and disk.path, disk.format if disk else "raw", kind, kernel, recipe.arch, recipe.file,
        secure.certificate if secure else None,
        _entered(request, recipe, disk) if disk and kind == "uefi" else None,
        passphrase=disk.passphrase if disk else None,
        sector=512 if disk and disk.format == "iso" else recipe.disk.sector,
    )  # fmt: skip
    return boot_setup.prepare(
        recipe.machine, test, subject,
        entry=entry.choose(recipe.boot, shown, name, kind, loaders(request, plan, recipe)),
        password=password, say=request.session.progress.tell,
    )  # fmt: skip


def _menu(recipe: Recipe, site: Site, disk: _Disk | None) -> Menu:
    """Return what the loaders of the disk, or of the CD, show."""
    from bootsmith.tasks.planning.stages import iso

    return iso.menu(recipe) if disk and disk.format == "iso" else menu(recipe, site)


def _entered(request: Request, recipe: Recipe, disk: _Disk) -> str | None:
    """Return the program for which the firmware needs an entry; of a past build its disk tells, not the recipe."""
    from bootsmith.tasks.disk import bootable

    if not images.is_past(request):
        alone = recipe.boot.removable == "no" and disk.format != "iso"
        return bootable.vendors(disk.path, disk.format, recipe.boot.loader, disk.passphrase) if alone else None
    found = bootable.firmware(disk.path, disk.format)
    return None if "uefi" in found else bootable.vendors(disk.path, disk.format)


def _facts(file: Path) -> dict[str, str]:
    """Return what is known of a kernel; nothing of one that is not there."""
    with contextlib.suppress(OSError, ValueError):  # of a past build there may be the disk alone
        found: dict[str, str] = json.loads(file.read_bytes())
        return found
    return {}


def _prove(request: Request, setup: BootSetup, out: Path, which: str) -> None:
    from bootsmith.tasks.machine import boot_test
    from bootsmith.tasks.machine.verdict import Verdicts

    session, progress = request.session, request.session.progress
    name = "qemu-test" if request.recipe is None else f"qemu-test:{request.recipe}"
    progress.start(name)
    verdict = boot_test.prove(
        setup, out, verdicts=Verdicts(session.identities.root, session.identities.memo), force=request.options["force"],
        say=lambda text: progress.say(name, text),
    )  # fmt: skip
    if verdict.cached:
        progress.finish(name, "passed")
        progress.tell(f"{which}passed (cached, {verdict.seconds:.0f} s saved): {verdict.summary}")
    else:
        progress.finish(name, "passed", verdict.seconds)
        progress.tell(f"{which}{verdict.summary}")
    if request.options["timing"] or (sys.stdout.isatty() and not verdict.cached):
        progress.tell((out / boot_test.TIMING).read_text())
