"""watch: build again whenever something changes that the build is made of, and boot the machine again that shows it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsmith.cache.display import shown
from bootsmith.tasks.command.invocation import Invocation, meant, options
from bootsmith.tasks.command.table import COMMANDS, GROUPS, IMAGE
from bootsmith.tasks.errors import BootsmithError, UsageError

if TYPE_CHECKING:
    from bootsmith.cache.files.changes import Changes
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.tools.popen import Running

_MACHINES = ("run-uefi", "run-bios", "run-direct")
_COMMANDS = (*_MACHINES, "qemu-test", "verify")
_LASTING = ("detach", "keep", "print", "gdb")
_RECIPES = (".yaml", ".yml")
_LONG = 3600.0  # seconds that one wait lasts; another one follows
_GRACE = 10.0  # seconds in which a machine has ended
_NAMED = 3  # changed files that are named
_INTERRUPTED = 130


def watch(request: Request) -> None:
    """Build, and build again after every change, until Ctrl-C."""
    from bootsmith.cache.files.changes import Changes

    task, words = _task(request)
    request.session.signals.ends_well = "the watch has ended"
    with contextlib.ExitStack() as stack:
        changes = stack.enter_context(Changes(looking=request.options["poll"]))
        loop = _Loop(request, changes, task, words)
        stack.callback(loop.end_machine)
        loop.look()
        going = loop.build(())
        while going:
            changed = changes.settled(_LONG)
            if changed:
                loop.tell_changed(changed)
                going = loop.build(changed)


def _task(request: Request) -> tuple[str, tuple[str, ...]]:
    """Return the task to run after every change, and what it is told. Raises UsageError."""
    task, *words = request.words or ("image",)
    base, colon, _ = task.partition(":")
    if base.partition("/")[0] not in GROUPS and base not in _COMMANDS:
        raise UsageError(f"watch does not go with {task}", meant(base, [*GROUPS, *_COMMANDS]))
    if request.recipe and not colon:
        task = f"{task}:{request.recipe}"
    found, left = _given(base, words)
    for name in _LASTING:
        if found.get(name):
            raise UsageError(f"watch does not go with --{name}", "Leave it out: the machine ends with the watch.")
    if base in _COMMANDS and left:
        raise UsageError(f"watch builds a recipe's image, and {left[0]} is a file", "Leave it out.")
    return task, tuple(words)


def _given(base: str, words: Iterable[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the options that a task is given, however short they are written, and its words. Raises UsageError."""
    command = next((each for each in COMMANDS if each.name == base), None)
    params = command.params if command else IMAGE if base == "image" else ()
    return options(base, params, [*words], mixed=command is not None)


class _Loop:
    """What is watched for one task, and the machine that runs for it."""

    def __init__(self, request: Request, changes: Changes, task: str, words: Iterable[str]) -> None:
        self._request = request
        self._session = request.session
        self._changes = changes
        self._task = task
        self._words = tuple(words)
        self._recipe = task.partition(":")[2] or None
        self._file = request.session.file(self._recipe)
        self._own: set[bytes] = set()  # the files that say what there is to watch
        self._watched: set[Path] = set()
        self._plan: Plan | None = None
        self._machine: Running | None = None
        self._held = contextlib.ExitStack()  # what goes with the machine
        self._made: object = None  # what the machine runs

    def look(self) -> None:
        """Read the recipe, and watch what it is made of; where it cannot be read, what it was, until that changes."""
        own, endings = {self._file, *_dodo(self._session.top)}, [(str(self._file.parent), _RECIPES)]
        self._watch({*self._watched, *own}, endings)  # first: who edits a recipe while it is read is not missed
        try:
            self._plan, found, read = self._read()
        except BootsmithError:
            own |= {path for path in self._watched if path.name.endswith(_RECIPES)}  # the build says what is wrong
        else:
            own |= read
            self._watched = {*found, *own}
            endings = []
        self._own = {os.fsencode(path) for path in own} | {os.path.realpath(os.fsencode(path)) for path in own}
        self._watch({*self._watched, *own}, endings)

    def _watch(self, paths: Iterable[Path], endings: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        self._changes.watch(paths, endings)

    def _read(self) -> tuple[Plan, set[Path], set[Path]]:
        """Return the plan as it is now, the files that it is made of, and those that say so. Raises BootsmithError."""
        from bootsmith.tasks.command.progress import Progress
        from bootsmith.tasks.command.session import Session
        from bootsmith.tasks.planning import inputs, spread

        asked = self._session.invocation
        looks = Invocation("info", {}, (), asked.variables, (), asked.reserved)
        session = Session(self._session.default, looks, self._session.top, self._session.shell, Progress(io.StringIO()))
        session.looks_back = False
        recipe, plan = session.recipe(self._recipe), session.builder(self._recipe).plan
        made = {path for stage in plan.stages for path in stage.outputs.values()}
        read = {path for stage in plan.stages for path in stage.inputs.values()} - made
        named = {path for path in inputs.named(recipe).values() if not spread.holds(path, session.top / "build")}
        return plan, {*read, *named, *inputs.sought(recipe)}, {*recipe.files, plan.lock}

    def tell_changed(self, changed: list[bytes]) -> None:
        """Say what changed, and watch what it is about now: a folder that is new, or what a recipe names now."""
        from bootsmith.cache.files.changes import EVERYTHING

        names = [self._shown(path) for path in changed if path != EVERYTHING]
        more = len(names) - _NAMED
        told = ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        self._session.progress.tell(f"changed: {told or 'more than could be told'}")
        self.look()

    def _shown(self, path: bytes) -> str:
        real = os.path.relpath(path, os.fsencode(self._session.shell))
        return shown(path if real.startswith(b"../") else real)

    def build(self, changed: Iterable[bytes]) -> bool:
        """Make all fresh, and say what it cost; False where the user has ended it."""
        base = self._task.partition(":")[0]
        began = time.monotonic()
        status = self._run(self._built() if base in _MACHINES else (self._task, *self._words))
        took = time.monotonic() - began
        if status == _INTERRUPTED:
            return False
        progress = self._session.progress
        if status:
            progress.tell(f"failed after {took:.1f} s (exit status {status}); the next change is tried")
        else:
            progress.tell(f"done in {took:.1f} s; waiting for a change, Ctrl-C ends it")
            if base in _MACHINES:
                self._boot(anew=bool(self._own & {*changed}))
        return True

    def _built(self) -> tuple[str, ...]:
        """Return what is to be fresh before a machine is ended for it: what it boots."""
        disk = self._plan is not None and any(stage.name == "assemble" for stage in self._plan.stages)
        found, _ = _given(self._task.partition(":")[0], self._words)
        group = "assemble" if disk and not found["format"] else "image"
        return (f"{group}:{self._recipe}" if self._recipe else group,)

    def _command(self, *words: str) -> list[str]:
        taker = self._session.invocation.taker
        before = sys.argv[1 : sys.argv.index(taker, 1)] if taker in sys.argv[1:] else []
        return [sys.executable, "-m", "bootsmith.tasks.command.start", *before, *words]

    def _run(self, words: Iterable[str]) -> int:
        from bootsmith.tasks.tools import popen

        with contextlib.chdir(self._session.shell):
            return popen.spawn_interactive(self._command(*words))

    def _boot(self, *, anew: bool) -> None:
        """Have the machine run what there is now; one that runs the very same goes on."""
        from bootsmith.tasks.tools import popen

        made = self._state()
        runs = self._machine is not None and self._machine.poll() is None
        if runs and made == self._made and not anew:
            self._session.progress.tell("nothing of what the machine runs is another: it goes on")
            return
        self.end_machine()
        self._made = made
        words = self._command(self._task, *self._words)
        self._machine = self._held.enter_context(popen.start(words, cwd=self._session.shell))
        relay = threading.Thread(target=_relay, args=(self._machine,), daemon=True)
        relay.start()
        self._held.callback(relay.join, _GRACE)  # before its pipe is closed

    def _state(self) -> list[tuple[int, ...]]:
        """Return what tells whether the files that a machine runs are others."""
        return [*_marks(self._plan)]

    def end_machine(self) -> None:
        """End the machine, if one runs: nothing that its guest wrote is kept."""
        if self._machine is not None:
            self._machine.terminate(_GRACE)
            self._held.close()
            self._machine = None


def _dodo(top: Path) -> set[Path]:
    return {top / name for name in ("dodo.py", "pyproject.toml", "doit.cfg")}


def _marks(plan: Plan | None) -> Iterator[tuple[int, ...]]:
    for stage in plan.stages if plan else ():
        for path in stage.outputs.values():
            with contextlib.suppress(OSError):
                found = path.stat()
                yield (found.st_ino, found.st_size, found.st_mtime_ns)


def _relay(machine: Running) -> None:
    """Print what a machine prints, as it is, until it has ended."""
    with contextlib.suppress(OSError, ValueError):
        while piece := machine.stdout.read(65536):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
