"""A bootloader of a user's own, run: its file's `make`, with what goes wrong in it told by its line."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.errors import BootsmithError, StageError

if TYPE_CHECKING:
    from bootsmith.tasks.boot.loader import Making


def make(file: Path, making: Making) -> None:
    """Run the file and its `make`. Raises StageError with the line where it failed."""
    names: dict[str, object] = {"__name__": file.stem, "__file__": str(file)}
    try:
        exec(compile(file.read_bytes(), str(file), "exec"), names)  # noqa: S102  what the user asked for
        names["make"](making)  # type: ignore[operator]  # seen when the recipe was read
    except BootsmithError:
        raise
    except Exception as error:
        lines = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each.filename == str(file)]
        where = f"{file}:{lines[-1]}" if lines else str(file)
        raise StageError(f"{where}: {type(error).__name__}: {error}", "Mend the loader's file.") from error
