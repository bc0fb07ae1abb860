"""Programs that read bytes of people unknown: bounded, and shut in with nothing but these bytes.

Where no view of their own can be given to them, as in many containers, they are bounded alone; `doit tools` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bootsmith.tasks.tools import enclosure, process
from bootsmith.tasks.tools.bounds import READER, Bounds
from bootsmith.tasks.tools.enclosure import Shown
from bootsmith.tasks.tools.environment import ENVIRONMENT
from bootsmith.tasks.tools.process import Completed
from bootsmith.tasks.tools.programs import find
from bootsmith.tasks.tools.tool import SH

_ROOT: Final = Path("/")


def probe() -> None:
    """Find out whether programs can be shut in here: `process.caveats` knows it then. Raises ToolMissing."""
    look(find(SH), lambda: ["-c", ":"])


def look(
    program: Path,
    words: Callable[..., Sequence[str]],
    *files: Shown,
    env: Mapping[str, str] = ENVIRONMENT,
    bounds: Bounds = READER,
    check: bool = False,
    input: bytes | None = None,  # noqa: A002  the word of process.run
    on_line: Callable[[str], None] | None = None,
) -> Completed:
    """Let a program read some files; `words` returns its words, given what each file is called for it.

    Raises ToolFailed, ToolMissing, StageError.
    """
    numbers = [each.file for each in files if isinstance(each.file, int)]
    try:
        with enclosure.made(program, files) as room:
            return process.run(
                [room.program, *words(*room.names)], env=env, cwd=_ROOT, bounds=bounds, check=check, enclosure=room,
                pass_fds=numbers, input=input, on_line=on_line,
            )  # fmt: skip
    except process.Unenclosed:
        process.note_unenclosed()
    with ExitStack() as stack:
        opened = [
            each.file
            if isinstance(each.file, int)
            else stack.enter_context(each.file.open("r+b" if each.writable else "rb")).fileno()
            for each in files
        ]
        names = [f"/dev/fd/{number}" for number in opened]
        return process.run(
            [program, *words(*names)], env=env, cwd=_ROOT, bounds=bounds, check=check, pass_fds=opened, input=input,
            on_line=on_line,
        )  # fmt: skip
