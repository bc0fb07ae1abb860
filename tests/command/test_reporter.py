"""What doit's runner reports, as the user reads it."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.command.reporter import Reporter, reporter_class
from bootsmith.tasks.errors import Ended, StageError, ToolFailed, UsageError


class Failure:
    """What doit hands on of a task that failed."""

    def __init__(self, message: str, kind: str = "TaskFailed") -> None:
        self.message = message
        self._kind = kind

    def get_name(self) -> str:
        return self._kind


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def reporter(printed: io.StringIO) -> Reporter:
    return reporter_class(Progress(printed))(io.StringIO(), {})


def task(error: Exception | None = None, **more: Any) -> SimpleNamespace:
    """A task with one action, which ended in this error."""
    return SimpleNamespace(name="rootfs:box", actions=[SimpleNamespace(error=error, **more)])


def test_a_failure_is_told_with_its_last_lines_and_its_log(
    reporter: Reporter, printed: io.StringIO, tmp_path: Path
) -> None:
    """What failed, why, what the program said last, and where the rest stands."""
    log = tmp_path / "rootfs.log"
    log.touch()
    reporter.add_failure(task(ToolFailed("it failed", tail="one\n\n\x1b[2Jtwo\n"), log=log), Failure("it failed"))
    state, *lines = printed.getvalue().splitlines()
    assert state.split() == ["failed", "rootfs:box"]
    assert lines == ["ERROR: it failed", "  | one", "  | \\x1b[2Jtwo", f"  log: {log}"]
    reporter.complete_run()


def test_a_log_that_is_not_there_is_not_named(reporter: Reporter, printed: io.StringIO, tmp_path: Path) -> None:
    """A stage that failed before it ran has none."""
    reporter.add_failure(task(StageError("no"), log=tmp_path / "none"), Failure("no"))
    assert "log:" not in printed.getvalue()


def test_what_was_not_run_says_for_want_of_what(reporter: Reporter, printed: io.StringIO) -> None:
    """A stage behind one that failed did not fail itself."""
    reporter.add_failure(task(), Failure("kernel:box", "UnmetDependency"))
    assert printed.getvalue() == "rootfs:box was not run: kernel:box failed\n"


def test_a_wrong_word_found_late_ends_in_its_status(reporter: Reporter) -> None:
    """Whenever a mistake is found, it is the user's, and exits as such."""
    reporter.add_failure(task(UsageError("no")), Failure("no"))
    with pytest.raises(SystemExit) as caught:
        reporter.complete_run()
    assert caught.value.code == 3


def test_a_users_own_command_ends_in_its_own_status(reporter: Reporter, printed: io.StringIO) -> None:
    """It has said itself what there was to say."""
    reporter.add_failure(task(Ended(7)), Failure("it ended"))
    assert printed.getvalue() == ""
    with pytest.raises(SystemExit) as caught:
        reporter.complete_run()
    assert caught.value.code == 7


def test_a_fresh_stage_says_so_itself(reporter: Reporter) -> None:
    """Only its action knows how much it holds; actions of others have nothing to say."""
    said: list[str] = []
    fresh = SimpleNamespace(name="x", actions=[SimpleNamespace(fresh=lambda: said.append("fresh")), SimpleNamespace()])
    reporter.skip_uptodate(fresh)
    assert said == ["fresh"]
