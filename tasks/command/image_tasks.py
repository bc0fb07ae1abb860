"""What a dodo.py gets of us: doit's configuration, and the creator of our tasks; doit need not be loaded for either."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bootsmith.cache.files import encoding
from bootsmith.tasks.command import database
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.command.reporter import reporter_class
from bootsmith.tasks.command.signals import Signals
from bootsmith.tasks.command.stage_run import side_by_side

if TYPE_CHECKING:
    from types import FrameType

    from bootsmith.tasks.command.session import Session


class ImageTasks:
    """One call of `image_tasks`: for which recipe, and in which dodo.py, by the frame that runs it."""

    begun: ClassVar[Session | None] = None
    """The run, where it began before doit was loaded; see start.py."""

    def __init__(self, recipe: Path, dodo: FrameType) -> None:
        if encoding.is_foreign():  # doit was started without us
            from bootsmith.tasks.command.engine import loading

            loading.start_anew()
        encoding.settle()
        self.top = Path.cwd()  # whoever reads a dodo.py has come to its folder
        self._recipe = recipe
        self._names, self._code = dodo.f_globals, dodo.f_code
        if self.begun and self.begun.default != self.top / recipe:
            self.begun.end()  # it was begun for what dodo.py said a moment ago
            ImageTasks.begun = None
        self._progress = self.begun.progress if self.begun else Progress()
        Signals(self._progress, lambda: False).heed(signal.SIGINT)  # packages may be resolved before a run begins
        self._reporter = reporter_class(self._progress)
        self.config = self._configuration()
        database.discard_broken(self.top / database.DATABASE)

    def task_bootsmith(self) -> Iterator[Any]:
        """Yield the tasks of the command line."""
        from bootsmith.tasks.command import remembered_dodo
        from bootsmith.tasks.command.engine import arguments, loading

        session = self.begun or loading.session(self._recipe, self.top, self._progress)
        configuration = self._names.get("DOIT_CONFIG", self.config)

        def remember() -> None:
            if session.frozen:  # a command line that only looks writes nothing
                return
            remembered_dodo.remember(self.top, self._code, arguments.commands(), session.identities.memo)

        yield from loading.tasks(session, self._names, configuration, remember)

    def _configuration(self) -> dict[str, Any]:
        return {
            "default_tasks": ["image"],
            "backend": "json",
            "dep_file": database.DATABASE,
            "check_file_uptodate": _checker,
            "reporter": self._reporter,
            "par_type": "thread",
            "num_process": side_by_side(),
            "verbosity": 2,
        }


def _checker() -> Any:
    from bootsmith.tasks.command.engine.dependency import Unasked

    return Unasked()
