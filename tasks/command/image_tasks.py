"""What a dodo.py gets of us: doit's configuration, and the creator of our tasks; doit need not be loaded for either."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsmith.tasks.command import database
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.command.reporter import reporter_class

if TYPE_CHECKING:
    from bootsmith.tasks.command.session import Session


class ImageTasks:
    """One call of `image_tasks`: for which recipe, in the dodo.py with which names."""

    def __init__(self, recipe: Path, namespace: Mapping[str, Any]) -> None:
        self.recipe = recipe
        self.namespace = namespace
        self.top = Path.cwd()  # whoever reads a dodo.py has come to its folder
        self.progress = Progress()
        self.session: Session | None = None
        """The run, where it began before doit was loaded; see start.py."""
        self._reporter = reporter_class(self.progress)
        self.config = self._configuration()
        database.discard_broken(self.top / database.DATABASE)

    def task_bootsmith(self) -> Iterator[Any]:
        """Yield the tasks of the command line."""
        from bootsmith.tasks.command.engine import loading

        session = self.session or loading.session(self.recipe, self.top, self.progress)
        configuration = self.namespace.get("DOIT_CONFIG", self.config)
        yield from loading.tasks(session, self.namespace, configuration)

    def is_unchanged(self) -> bool:
        """Tell whether doit's configuration is still as it was given."""
        return self.config == self._configuration()

    def _configuration(self) -> dict[str, Any]:
        return {
            "default_tasks": ["image"],
            "backend": "json",
            "dep_file": database.DATABASE,
            "check_file_uptodate": _checker,
            "reporter": self._reporter,
            "par_type": "thread",
            "num_process": min(4, len(os.sched_getaffinity(0))),
            "verbosity": 2,
        }


def _checker() -> Any:
    from bootsmith.tasks.command.engine.dependency import Unasked

    return Unasked()
