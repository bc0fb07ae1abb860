"""What doit's runner reports, said our way: a doit reporter over `Progress`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from bootsmith.cache.display import human
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.errors import BootsmithError, Ended

WRONG_WORDS = 3
"""The exit status of words on the command line, or in a recipe, that mean nothing."""

if TYPE_CHECKING:
    from bootsmith.tasks.build.builder import Builder
    from bootsmith.tasks.build.stage import Stage


def tell_fresh(builder: Builder, stage: Stage, progress: Progress, name: str) -> None:
    """Say of a stage, called `name` on the command line, that there was nothing to do."""
    progress.finish(name, "fresh", size=builder.occupied(stage))


def tell_outputs(builder: Builder, top: Path, progress: Progress) -> None:
    """Name the files that a user asked for, and what they weigh."""
    for path in builder.plan.outputs:
        found = path.stat()
        size, occupied = found.st_size, found.st_blocks * 512
        if path.is_dir():
            from bootsmith.cache.files import walk
            from bootsmith.tasks.build import folders

            size, occupied = folders.weight(path), walk.occupied(path)
        shown = path.relative_to(top) if path.is_relative_to(top) else path
        progress.tell(f"{shown}  {human(size)}, {human(occupied)} on disk")


def tell_failure(
    progress: Progress, name: str, message: str, errors: Iterable[BootsmithError | None], log: Path | None
) -> int:
    """Say what failed, why, and where its log is; return the exit status, where the errors call for one of theirs."""
    status = 0
    progress.finish(name, "failed")
    progress.tell(f"ERROR: {message}")
    for error in errors:
        if error is not None:
            if error.exit_code == WRONG_WORDS:
                status = WRONG_WORDS
            lines = [line for line in getattr(error, "tail", "").splitlines() if line.strip()]
            progress.tell("\n".join(f"  | {line}" for line in lines))
    if log is not None and log.exists():
        progress.tell(f"  log: {log}")
    return status


def reporter_class(progress: Progress) -> Callable[[TextIO, Mapping[str, Any]], Reporter]:
    """Return the class doit is to make its reporter of; it must be a class, so the progress is bound in one."""

    class Bound(Reporter):
        def __init__(self, _outstream: TextIO, _options: Mapping[str, Any]) -> None:
            super().__init__(progress)

    return Bound


class Reporter:
    """Prints a line per stage. Actions print for themselves while they run; here is what they cannot know."""

    desc = "bootsmith's own"

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._status = 0

    def initialize(self, tasks: Mapping[str, Any], selected: Iterable[str]) -> None:
        """Begin: nothing to say yet."""

    def get_status(self, task: Any) -> None:
        """Say nothing of a task that is being looked at."""

    def execute_task(self, task: Any) -> None:
        """Say nothing of a task that begins: its action does."""

    def add_success(self, task: Any) -> None:
        """Say nothing of a task that ended well: its action has."""

    def skip_ignore(self, task: Any) -> None:
        """Never called for our tasks: they cannot be ignored."""

    def teardown_task(self, task: Any) -> None:
        """Say nothing: our tasks have none."""

    def skip_uptodate(self, task: Any) -> None:
        """Let a task that is fresh say so."""
        for action in task.actions:
            fresh = getattr(action, "fresh", None)
            if fresh:
                fresh()

    def add_failure(self, task: Any, fail: Any) -> None:
        """Say what failed, why, and where its log is."""
        if fail.get_name() == "UnmetDependency":
            self._progress.tell(f"{task.name} was not run: {fail.message} failed")
            return
        errors = [error for action in task.actions if (error := getattr(action, "error", None)) is not None]
        if any(isinstance(error, Ended) for error in errors):
            self._status = errors[0].exit_code
            return
        log = next((found for action in task.actions if (found := getattr(action, "log", None)) is not None), None)
        self._status = tell_failure(self._progress, task.name, fail.message, errors, log) or self._status

    def cleanup_error(self, exception: Any) -> None:
        """Say what went wrong in a task's teardown."""
        self._progress.tell(f"ERROR: {exception.get_msg()}")

    def runtime_error(self, msg: str) -> None:
        """Say what stopped the whole run."""
        self._progress.tell(f"ERROR: {msg}")

    def complete_run(self) -> None:
        """End the run; a wrong word found only now has the exit code of wrong words, a user's command its own."""
        self._progress.sum_up()
        self._progress.close()
        if self._status:
            raise SystemExit(self._status)
