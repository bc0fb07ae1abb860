"""inspect, verify: what an image holds, and whether it is as it should be; and which image a command means."""

from __future__ import annotations

import json
import shlex
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.errors import Ended, StageError, UsageError
from bootsmith.tasks.planning import products
from bootsmith.tasks.planning.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.build.secret import Secret
    from bootsmith.tasks.build.stage import Stage
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.disk.passphrase import Passphrase


def inspect(request: Request) -> None:
    """Print what an image holds, without mounting it."""
    from bootsmith.tasks.disk import inspect as inspection

    image = disk(request)
    found = inspection.inspect(image, passphrase(request, image))
    as_json = request.options["json"]
    request.session.progress.answer(
        json.dumps(inspection.to_json(found), indent=2) if as_json else inspection.to_text(found)
    )


def verify(request: Request) -> None:
    """Read an image back and say what is wrong with it. Raises StageError where anything is."""
    from bootsmith.tasks.disk import inspect as inspection
    from bootsmith.tasks.inspection import filesystem_checkers, other_outputs, verification
    from bootsmith.tasks.inspection.opening import looked_into
    from bootsmith.tasks.planning.expectation import expected

    image = disk(request)
    opener = passphrase(request, image)
    recipe = None if _given(request) or is_past(request) else request.session.recipe(request.recipe)
    with looked_into(image, opener, keys(request, image)) as opened:
        problems = inspection.inspect(image, None if opened.clear and opener else opener).problems
        wanted = None if recipe is None else expected(recipe)
        found = list(verification.verify(opened, problems, wanted, filesystem_checkers.look))
    if recipe is not None:
        for held, others in _disks(request).items():  # what has a size of its own holds a larger disk
            found += other_outputs.outputs(held, others)
    progress, name = request.session.progress, shown(request, image)
    if request.options["json"]:
        progress.answer(json.dumps([each._asdict() for each in found], indent=2))
    else:
        progress.answer(verification.to_text(name, found))
    if any(each.wrong for each in found):
        raise Ended(1)


def _disks(request: Request) -> dict[Path, list[Path]]:
    """Return the recipe's other outputs, as far as they are there, by the raw disk that each holds."""
    stages = [each for each in plan(request).stages if each.name.startswith("convert/") and "disk" in each.inputs]
    whole = [each for each in stages if "image" in each.outputs and "backing" not in each.inputs and not each.secrets]
    found: dict[Path, list[Path]] = {}
    for each in whole:
        if each.outputs["image"].exists() and each.inputs["disk"].exists():
            found.setdefault(each.inputs["disk"], []).append(each.outputs["image"])
    return found


def disk(request: Request) -> Path:
    """Return the disk image a command is about: the file named, else the recipe's raw disk, of now or of `at=ID`.

    Of a recipe that keeps no disk it is the CD. With `--format` it is the recipe's output of that format. Raises
    UsageError where the recipe has none, and StageError for an output that is not built as it is now.
    """
    if _given(request):
        file = named(request)
        tree = "`doit run-dir DIRECTORY` boots a tree." if file.is_dir() else ""
        return existing(file, tree or "Name a disk image, or build one first: `doit image`.")
    found = plan(request)
    form = _format(request, found)
    return _output(request, found, form) if form != "raw" else raw_disk(request, found)


def _format(request: Request, plan: Plan) -> str:
    """Return the format of the image that is meant: the one asked for, else a disk's or a CD's, whichever is kept."""
    asked: str | None = request.options.get("format")
    made = products.cd(plan)
    if made and is_past(request) and not made.outputs["image"].exists():
        made = None  # that build kept a disk
    return asked or ("iso" if made else "raw")


def cd(request: Request, plan: Plan) -> bool:
    """Tell whether a command is about the CD of a recipe."""
    return not request.words and _format(request, plan) == "iso"


def raw_disk(request: Request, plan: Plan) -> Path:
    """Return the raw disk that a plan makes. Raises UsageError where it makes none."""
    made = next((stage for stage in plan.stages if stage.name == products.DISK), None)
    if made:
        return made.outputs["disk"]
    kernel = any(Site.of(plan).kernel in stage.outputs.values() for stage in plan.stages)
    starts = f"`{request.typed('run-direct')}` starts its kernel."
    raise UsageError(f"{plan.name} has no disk", starts if kernel else "Name a disk image, or another recipe.")


def refuse(request: Request, plan: Plan) -> None:
    """Refuse a plan without the image that a command is about. Raises UsageError."""
    form = _format(request, plan)
    if form == "raw":
        raw_disk(request, plan)
    else:
        _converted(plan, form)


def check(request: Request) -> None:
    """Refuse a passphrase that is none, or is not there. Raises BootsmithError."""
    from bootsmith.tasks.disk.passphrase import named
    from bootsmith.tasks.planning.secrets import missing

    if request.options.get("passphrase"):
        secret = replace(named(request.options["passphrase"], request.session.shell), holds="the passphrase")
        for what in missing([replace(secret, where="--passphrase")], request.session.top / "build"):
            raise UsageError(*what.split("; ", 1))


def passphrase(request: Request, image: Path) -> Passphrase | None:
    """Return what opens an encrypted image: the passphrase given, else the recipe's own. Raises BootsmithError."""
    from bootsmith.tasks.disk.passphrase import named

    given = request.options["passphrase"]
    if given:
        return _read(named(given, request.session.shell), "--passphrase")
    if _given(request):
        return None
    return sealing(next((stage for stage in plan(request).stages if image in stage.outputs.values()), None))


def keys(request: Request, image: Path) -> list[bytes]:
    """Return what unlocks the volumes on the recipe's own image. Raises BootsmithError."""
    from bootsmith.tasks.build.secret import read_secret
    from bootsmith.tasks.disk.luks.volume import SECRET

    if request.options["passphrase"] or _given(request) or is_past(request):
        return []
    stages = plan(request).stages
    made = any(image in stage.outputs.values() for stage in stages)
    found = [stage.secrets[SECRET] for stage in stages if stage.name.startswith("encrypt/")] if made else []
    return [read_secret(each, "the passphrase") for each in dict.fromkeys(found)]


def secrets(request: Request, plan: Plan) -> Iterable[Secret]:
    """Return the passphrase by which the recipe's output of the `--format` asked for is encrypted."""
    form = request.options["format"]
    stage = _converter(plan, form) if form and not (request.words or is_past(request)) else None
    return stage.secrets.values() if stage else ()


def sealing(stage: Stage | None) -> Passphrase | None:
    """Return the passphrase by which a stage encrypts what it makes; None where it does not. Raises BootsmithError."""
    from bootsmith.tasks.disk.passphrase import ID

    found = stage.secrets.get(ID) if stage else None
    return _read(found, "outputs.qcow2.encrypt") if found else None


def _read(secret: Secret, what: str) -> Passphrase:
    from bootsmith.tasks.build.secret import read_secret
    from bootsmith.tasks.disk.passphrase import Passphrase, checked

    return Passphrase(secret, checked(read_secret(secret, what), what))


def is_past(request: Request) -> bool:
    """Tell whether a command is about a past build: the recipe as it is now says nothing of that."""
    return "at" in request.session.invocation.reserved


def plan(request: Request) -> Plan:
    """Return the plan whose files a command takes: the recipe's, or with `at=ID` those of that build."""
    at = request.session.invocation.reserved.get("at")
    if not at:
        return request.session.builder(request.recipe).plan
    from bootsmith.tasks.command.actions import past_builds

    return past_builds.past_plan(request, at)


def _output(request: Request, plan: Plan, form: str) -> Path:
    stage = _converted(plan, form)
    if is_past(request):
        if not request.options.get("format"):
            return next(iter(stage.outputs.values()))
        raise UsageError(f"of an earlier build there is the raw disk, and no {form}", "Leave out --format.")
    file = next(iter(stage.outputs.values()))
    if not request.session.builder(request.recipe).status(stage).fresh:
        what = f"{relative(file, request.session.shell)} is not what the recipe makes now"
        raise StageError(what, f"`{request.typed('image')}`")
    return file


def _converted(plan: Plan, form: str) -> Stage:
    stage = _converter(plan, form)
    if stage is None:
        raise UsageError(f"{plan.name} has no output {form}", "Add it to `outputs`, or leave out --format.")
    return stage


def _converter(plan: Plan, form: str) -> Stage | None:
    return next((stage for stage in plan.stages if stage.name in (f"convert/{form}", f"convert/{form}-1")), None)


def _given(request: Request) -> tuple[str, ...]:
    """Return the words that name an image's file: the command's own, or where these name files in it, `--image`."""
    if "image" not in request.options:
        return request.words
    return (request.options["image"],) if request.options["image"] else ()


def named(request: Request) -> Path:
    """Return the one file that was named."""
    at = request.session.invocation.reserved.get("at")
    words = _given(request)
    if at:
        raise UsageError(f"at={at} and {shlex.join(words)} are two images", "Name one of them.")
    if not words:
        task = request.session.invocation.taker
        raise UsageError(f"{task}: no file is named", f"`doit help {task}` shows what it takes.")
    if len(words) > 1:
        raise UsageError(f"one file, not {len(words)}: {shlex.join(words)}", "Name one file.")
    return request.session.shell / words[0]


def existing(file: Path, hint: str, noun: str = "") -> Path:
    """Return a file that the command line names. Raises UsageError where there is none, or nothing in it.

    What is opened later must be one that opens: a pipe would be waited for without end.
    """
    named = f"{noun} {file}".lstrip()
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{named} does not exist", hint) from None
    except OSError as error:
        raise UsageError(f"{named} cannot be read: {error.strerror}", hint) from error
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISBLK(found.st_mode)):
        raise UsageError(f"{named} is not a file", hint)
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        raise UsageError(f"{named} is empty", hint)
    return file


def shown(request: Request, file: Path) -> str:
    """Return a file's name as the user would write it."""
    return request.words[0] if request.words else str(relative(file, request.session.shell))


def relative(file: Path, folder: Path) -> Path:
    """Return a file's path from `folder` where it lies in it."""
    return file.relative_to(folder) if file.is_relative_to(folder) else file


def own_name(file: Path) -> str:
    """Return a name for what is kept of a file: files of one name in two folders have two."""
    from bootsmith.cache.digest import key

    return f"{file.name}-{key.key({'path': str(file.resolve())})[:8]}"
