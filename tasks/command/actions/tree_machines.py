"""run-dir, run-tgz: a machine whose root is a directory or a tar, as a disk without a loader that no recipe made."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.build.plan import Plan
from bootsmith.tasks.command.actions import images, machines
from bootsmith.tasks.errors import StageError, UsageError
from bootsmith.tasks.planning import own_tree, products
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import unpartitioned
from bootsmith.tasks.tree import file_kinds

if TYPE_CHECKING:
    from bootsmith.tasks.build.stage import Stage
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.writeback.guest_disk import GuestDisk, Tree

_STEP = "run-dir --write"


def of_directory(request: Request) -> Plan:
    """Return the plan for the directory named. Raises BootsmithError."""
    top = images.named(request)
    if not top.is_dir():
        kind = file_kinds.of(top) if top.is_file() else None
        hint = kind.to_do if kind else "Name the root of a tree; for a tar there is run-tgz."
        raise UsageError(f"{top} is not a directory", hint)
    top = top.resolve()
    if (request.session.top / "build").is_relative_to(top):
        raise UsageError(f"{top} holds the build directory, which changes", "Name the root of a tree.")
    site = _site(request)
    if request.session.invocation.runs:
        _given(request)
        if not (request.options["kernel"] or own_tree.may_have_kernel(top)):
            raise UsageError(f"there is no kernel in {top}", "Give one: --kernel FILE, and its --initrd FILE.")
        _settle(request, _guest_disk(request))
    return _plan(top, site, unpartitioned.of_directory(top, site, kernel=not request.options["kernel"]))


def of_tar(request: Request) -> Plan:
    """Return the plan for the tar named. Raises BootsmithError."""
    file = images.named(request)
    if not file.is_file():
        raise UsageError(f"{file} is not a file", "Name a tar of a tree; for a directory there is run-dir.")
    if request.session.invocation.runs:
        _given(request)
    site = _site(request)
    return _plan(file, site, unpartitioned.of_tar(file, site, kernel=not request.options["kernel"]))


def run_tree(request: Request) -> None:
    """Boot a directory or a tar: its kernel, started by QEMU, finds it as a disk."""
    from bootsmith.tasks.machine import kernel_file, qemu
    from bootsmith.tasks.machine.run import Subject

    session, asked = request.session, request.options
    site = _site(request)
    given, initrd = _given(request)
    if not (given or initrd) and site.initrd.stat().st_size:
        initrd = site.initrd
    if not initrd:
        session.progress.tell("no initrd: the kernel itself must have the drivers for its disk and filesystem")
    machine, folder, _ = machines.asked_for(request, images.named(request))
    kernel = given or site.kernel
    if not given:
        kernel_file.check(kernel)
    if initrd:
        kernel_file.check_initrd(initrd, kernel)
    # Its fstab is of some other disk: whatever that names is not here, and would be waited for.
    words = " ".join(filter(None, (f"root={qemu.device(machine)} rw fstab=no console=ttyS0", asked["cmdline"])))
    started = qemu.Kernel(kernel, initrd, words)
    subject = Subject(unpartitioned.disk(site), "raw", "direct", started)
    if not asked.get("write"):
        machines.boot(request, machine, subject, folder)
        return
    disk = _guest_disk(request)
    with disk.alone():
        disk.begin(unpartitioned.disk(site), _packed_from(request))
        machines.boot(request, machine, replace(subject, disk=disk.path, writes=True), folder)
        _write_back(request, disk)


def _given(request: Request) -> tuple[Path | None, Path | None]:
    """Return the kernel and the initrd that the options name. Raises BootsmithError for what is none."""
    from bootsmith.tasks.machine import kernel_file

    kernel, initrd = machines.given_file(request, "kernel"), machines.given_file(request, "initrd")
    if kernel:
        kernel_file.check(kernel)
    return kernel, initrd


def _guest_disk(request: Request) -> GuestDisk:
    """Return the disk by which a machine writes to the directory named."""
    from bootsmith.tasks.writeback.guest_disk import GuestDisk

    return GuestDisk(images.named(request).resolve(), _site(request).build / "write", request.session.identities.memo)


def _packed_from(request: Request) -> Tree:
    """Return the state of the directory named in which its disk, fresh by now, was made of it."""
    from bootsmith.cache.store import record as records
    from bootsmith.tasks.writeback.guest_disk import Tree

    build = _site(request).build
    (builder,) = (each for each in request.session.builders if each.plan.build == build)
    record = records.read(builder.freshness.record(builder.plan.stages[0]))
    assert record is not None, "what is fresh has a record"
    return Tree(record.parts["inputs"]["tree"], record.parts["params"]["owners"])


def _settle(request: Request, unfinished: GuestDisk) -> None:
    """Finish writing what an earlier guest changed, before the directory is looked at: it may be half written."""
    if request.options["write"]:
        for name in ("print", "keep"):
            if request.options[name]:
                raise UsageError(f"--write and --{name} exclude each other", "Leave one of them out.")
    if not unfinished.pending:
        return
    if not request.options["write"]:
        raise StageError(
            f"a machine wrote to {unfinished.top}, and not all of it is in it yet",
            f"`doit run-dir --write` ends it; to give it up: rm -r {unfinished.folder}",
        )
    request.session.progress.tell(f"what a machine changed in {unfinished.top} is not all in it yet: this comes first")
    with unfinished.alone():
        _write_back(request, unfinished)


def _write_back(request: Request, disk: GuestDisk) -> None:
    """Write what the guest changed into the directory, and say what was done. Raises StageError."""
    progress = request.session.progress
    progress.start(_STEP)
    started = time.monotonic()
    try:
        said = disk.finish(partial(progress.say, _STEP))
    except (StageError, OSError):
        progress.finish(_STEP, "failed")
        raise
    progress.finish(_STEP, "written", time.monotonic() - started)
    progress.tell("\n".join(said))


def _site(request: Request) -> Site:
    """Return where what is made of a tree is kept: trees of one name in two folders have two places."""
    name = images.own_name(images.named(request))
    build = request.session.top / "build/run" / name
    return Site(name, build, build / "none.lock", 0)


def _plan(tree: Path, site: Site, stage: Stage) -> Plan:
    made = Plan(site.name, site.build, site.lock, site.epoch, tree, f"{tree} as a disk", (stage,), ())
    return products.complete(made)
