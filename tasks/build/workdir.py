"""Where a stage is made, a temporary directory beside its outputs, and what is put in their place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.errors import StageError, joined

if TYPE_CHECKING:
    from bootsmith.tasks.build.stage import Stage


@contextmanager
def workdir(folder: Path, name: str) -> Iterator[Path]:
    """Hold an empty directory for the work called `name`, gone afterwards whatever happens. Raises StageError."""
    remove_tree(folder)
    try:
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        from bootsmith.tasks.build.system_errors import in_words

        raise in_words(error, name, folder) from error
    finally:
        remove_tree(folder)


def guard_target(name: str, final: Path, *, folder: bool = False) -> None:
    """Refuse to put an output where something stands that is no regular file, or no `folder`. Raises StageError."""
    if final.is_symlink() or (final.exists() and not (final.is_dir() if folder else final.is_file())):
        kind = "folder" if folder else "regular file"
        raise StageError(
            f"{name}: {final} is in the way: not a {kind}",
            f"Move it away; bootsmith replaces only {kind}s{' by folders' * folder}.",
        )
    nearest = next(each for each in final.parents if each.exists() or each.is_symlink())
    if not nearest.is_dir():
        raise StageError(f"{name}: {nearest} is in the way: not a folder", "Move it away; a folder belongs there.")


def guard_targets(stages: Iterable[Stage]) -> None:
    """Refuse to begin where the outputs of these stages could not be put; says all at once. Raises StageError."""
    found: dict[str, StageError] = {}
    for stage in stages:
        for path in stage.outputs.values():
            try:
                guard_target(stage.name, path, folder=stage.folders)
            except StageError as error:
                found.setdefault(error.message.removeprefix(stage.name), error)
    if found:
        raise joined([*found.values()])


def remove_tree(path: Path) -> None:
    """Remove a tree, if it is there: even where its directories forbid it, or a killed sandbox's ids own it."""
    if not path.is_dir():
        return
    import shutil

    try:
        shutil.rmtree(path, onerror=_open_up)
    except (PermissionError, RecursionError):  # too deep for shutil
        from bootsmith.tasks.tools import host, process
        from bootsmith.tasks.tools.environment import ENVIRONMENT

        process.run([host.find("rm"), "-rf", "--", path], env=ENVIRONMENT, cwd=path.parent, root=True)


def _open_up(function: Callable[[str], object], name: str, _error: object) -> None:
    path = Path(name)
    path.parent.chmod(0o700)
    if path.is_dir() and not path.is_symlink():
        path.chmod(0o700)
    function(name)


def prune(folder: Path, top: Path) -> None:
    """Remove empty folders from `folder` up to, not including, `top`."""
    while folder != top and top in folder.parents and not any(os.scandir(folder)):
        folder.rmdir()
        folder = folder.parent
