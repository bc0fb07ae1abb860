"""A bootloader of a user's own, run: its file's `make`, held to what the stage's key sees.

It reads what the stage gives it, and Python's own modules; whatever else it reached for could change without the key,
and is refused with its line, by an audit hook of Python. This keeps the cache honest, not anybody safe.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
import traceback
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import BootsmithError, StageError

if TYPE_CHECKING:
    from bootsmith.tasks.boot.loader import Making

_OURS = Path(__file__).resolve().parents[2]  # the folder of `tasks` and `cache`
_FILES = frozenset({"open", "os.listdir", "os.scandir", "glob.glob"})
_OTHERS = {
    "subprocess.Popen": "runs a program", "os.system": "runs a program", "os.exec": "runs a program",
    "os.posix_spawn": "runs a program", "os.fork": "forks", "socket.connect": "reaches for the network",
    "socket.getaddrinfo": "reaches for the network", "ctypes.dlopen": "loads a library",
}  # fmt: skip
_watching = threading.local()


def make(file: Path, making: Making) -> None:
    """Run the file and its `make`. Raises StageError with the line where it failed."""
    watch = _Watch(file, making)
    names: dict[str, object] = {"__name__": file.stem, "__file__": str(file)}
    try:
        with watch:
            exec(compile(file.read_bytes(), str(file), "exec"), names)  # noqa: S102  what the user asked for
            names["make"](making)  # type: ignore[operator]  # seen when the recipe was read
    except BootsmithError:
        raise
    except Exception as error:
        lines = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each.filename == str(file)]
        where = f"{shown(file)}:{lines[-1]}" if lines else shown(file)
        raise StageError(f"{where}: {type(error).__name__}: {error}", "Mend the loader's file.") from error
    if watch.refused:  # and caught there
        raise watch.refused


class _Watch:
    """Looks at what a loader's own lines do in this thread, not at what they have us do."""

    def __init__(self, file: Path, making: Making) -> None:
        ctx = making.ctx
        self.refused: StageError | None = None
        self._file = str(file)
        python = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
        self._python = tuple(os.path.realpath(each) for each in python)
        self._given = tuple(os.path.realpath(each) for each in map(str, (*ctx.inputs.values(), ctx.work, _OURS)))

    def __enter__(self) -> None:
        _hook()
        _watching.watch = self

    def __exit__(self, *_: object) -> None:
        _watching.watch = None

    def judge(self, event: str, args: tuple[Any, ...]) -> None:
        """Refuse what reaches beyond what is given. Raises StageError."""
        line = self._line(event, sys._getframe(2))  # noqa: SLF001  what audit hooks have
        what = self._reach(event, args) if line else ""
        if what:
            self.refused = StageError(
                f"{shown(self._file)}:{line}: it {what}, which no key sees",
                "Files it needs come by `boot.config`, programs by TOOLS and `making.ctx.run`.",
            )
            raise self.refused

    def _line(self, event: str, frame: FrameType | None) -> int:
        """Return the loader's own line that this happens in, 0 where it is code of ours, or an import's search."""
        while frame is not None:
            source = frame.f_code.co_filename
            if source == self._file:
                return frame.f_lineno
            if source.startswith(f"{_OURS}/") or (event == "os.listdir" and source.startswith("<frozen importlib.")):
                return 0
            frame = frame.f_back
        return 0

    def _reach(self, event: str, args: tuple[Any, ...]) -> str:
        if event in _OTHERS:
            return _OTHERS[event]
        path = "." if args[0] is None else args[0]
        if isinstance(path, int):
            return ""
        place = os.path.realpath(os.fsdecode(path))
        if _is_below(place, self._given) or (_is_below(place, self._python) and "-packages/" not in place):
            return ""
        return f"reaches for {shown(os.fsdecode(path))}"


def _is_below(place: str, folders: tuple[str, ...]) -> bool:
    return any(place == each or place.startswith(f"{each}/") for each in folders)


_hooked = threading.Lock()


def _hook() -> None:
    """Have Python ask us before it does anything, for the rest of this process: a hook stays."""
    if _hooked.acquire(blocking=False):
        sys.addaudithook(_asked)


def _asked(event: str, args: tuple[Any, ...]) -> None:
    if event in _FILES or event in _OTHERS:
        watch: _Watch | None = getattr(_watching, "watch", None)
        if watch is not None:
            watch.judge(event, args)
