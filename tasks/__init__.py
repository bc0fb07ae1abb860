"""The public face: `image_tasks` gives a dodo.py all it needs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["image_tasks"]


def image_tasks(recipe: str | Path) -> tuple[dict[str, Any], Callable[[], Iterator[Any]]]:
    """Return (DOIT_CONFIG, task creator) for a recipe, relative to the dodo.py; the default of every command.

    Recipes beside it are reached as `COMMAND:NAME`, any other by `doit recipe=PATH COMMAND`.
    """
    from bootsmith.tasks.command.image_tasks import ImageTasks

    tasks = ImageTasks(Path(recipe), sys._getframe(1))  # noqa: SLF001  # the dodo.py: which tasks are its own
    return tasks.config, tasks.task_bootsmith
