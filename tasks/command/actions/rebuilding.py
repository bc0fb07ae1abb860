"""image --rebuild: all of it built once more in a fresh place, and compared bit for bit with what was built before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.build.builder import Builder
    from bootsmith.tasks.build.stage import Stage
    from bootsmith.tasks.command.session import Session

_PIECE = 1 << 20


def rebuild(session: Session, builder: Builder) -> None:
    """Build a plan's stages again, none restored; compare each with what it made before. Raises StageError.

    The first that comes to other bytes is where it begins: those behind it are not made, and it is kept to look at.
    """
    from bootsmith.tasks.build import builder as builders
    from bootsmith.tasks.build import workdir

    place = builder.state / builders.REBUILT
    workdir.remove_tree(place)
    again = builders.Builder(session.plan_elsewhere(builder.plan, place), session.identities)
    again.state.mkdir(parents=True)
    salted = set()
    try:
        for stage in again.plan.stages:
            _build(session, again, stage)
            if stage.secrets and stage.name.startswith("convert/"):
                salted.add(stage.name)  # encrypted, by a new salt each time
            else:
                _compare(builder.plan.stage(stage.name), stage, place / builders.DIFFERS)
    finally:
        if not (place / builders.DIFFERS).exists():
            workdir.remove_tree(place)
    compared = len(again.plan.stages) - len(salted)
    session.progress.tell(f"{builder.plan.name} was built again, and is the same: {compared} stages, bit for bit")
    for name in sorted(salted):
        session.progress.tell(f"{name} was not compared: it is encrypted anew each time")


def _build(session: Session, again: Builder, stage: Stage) -> None:
    progress, name = session.progress, f"again/{stage.name}"
    progress.start(name)
    done = again.ensure(
        stage,
        force=True,
        say=lambda text: progress.say(name, text),
        waiting=lambda holder: progress.tell(f"{name} waits for {holder}, which builds the same"),
    )
    progress.finish(name, done.state, done.seconds, done.size)


def _compare(before: Stage, now: Stage, mark: Path) -> None:
    """Refuse a stage that came to other bytes, the first of which is told, and mark it. Raises StageError."""
    for role, file in now.outputs.items():
        old = before.outputs[role]
        if file.is_dir():
            _compare_folders(now, old, file, mark)
            continue
        at = _difference(old, file)
        if at is not None:
            mark.touch()
            raise StageError(
                f"{now.name} made another {file.name} when it ran again: byte {at} is the first that differs",
                f"It goes by the clock, by chance or by this host: compare {shown(old)} with {shown(file)}.",
            )


def _compare_folders(stage: Stage, before: Path, now: Path, mark: Path) -> None:
    from bootsmith.cache.digest.fingerprint import fingerprint
    from bootsmith.tasks.build import folders

    if fingerprint(before) != fingerprint(now) or folders.owners(before) != folders.owners(now):
        mark.touch()
        raise StageError(
            f"{stage.name} made another {now.name} when it ran again",
            f"It goes by the clock, by chance or by this host: compare {shown(before)} with {shown(now)}.",
        )


def _difference(before: Path, now: Path) -> int | None:
    """Return the first byte in which two files differ, None where they are the same; holes are zeros."""
    from bootsmith.cache.digest.fingerprint import fingerprint

    if fingerprint(before) == fingerprint(now):
        return None
    with before.open("rb") as one, now.open("rb") as other:
        at = 0
        while True:
            pair = one.read(_PIECE), other.read(_PIECE)
            if pair[0] != pair[1]:
                return at + next(
                    (i for i, (a, b) in enumerate(zip(*pair, strict=False)) if a != b), min(map(len, pair))
                )
            if not pair[0]:
                return at
            at += len(pair[0])
