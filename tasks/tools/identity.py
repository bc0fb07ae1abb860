"""What identifies a host program: the content of its executable, interpreter, libraries and data files.

To ask for the libraries costs some milliseconds, once: the answer is kept beside the memo with the stat of every file
and folder that it rests on, so that asking again is only stats. What an identity stands for is kept too, for words
about a change.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from bootsmith.tasks.tools import host, shared_libraries
from bootsmith.tasks.tools.catalogue import TOOLS

if TYPE_CHECKING:
    from bootsmith.cache.digest.memo import Memo

Stat: TypeAlias = "list[int] | None"

KIND = "tools 2"
ABOUT = "tools.about 1"
KEPT = 256  # identities that can be told about
LOADER_FILES = ("/etc/ld.so.cache", "/etc/ld.so.preload")

_guard = threading.Lock()
_answers: dict[Path, dict[str, Any]] = {}
"""Per file of answers: program -> {"data", "watched": {path: stat}, "identity", "libraries"}."""


def of_tool(name: str, memo: Memo) -> str:
    """Return the identity of a tool of the catalogue, or of any other program by its name. Raises ToolMissing."""
    return str(_of_tool(name, memo)["identity"])


def files_of(name: str, memo: Memo) -> list[str]:
    """Return the files that a tool's identity rests on. Raises ToolMissing."""
    return [each for each in _of_tool(name, memo)["watched"] if not Path(each).is_dir()]


def _of_tool(name: str, memo: Memo) -> dict[str, Any]:
    tool = TOOLS.get(name)
    data, version = ((), ()) if tool is None else (tool.data, () if tool.files else tool.version)
    with _guard:
        return _answer(host.find(name), data, memo, version)


def identity(path: Path, data: tuple[str, ...], memo: Memo, version: tuple[str, ...] = ()) -> str:
    """Return the identity of the program, or plain file, at `path`. Raises ToolMissing.

    `data` are globs; `version` the words that make it print its version, which is no part of its identity.
    """
    with _guard:
        return str(_answer(path, data, memo, version)["identity"])


def about(identity: str, memo: Memo) -> dict[str, Any] | None:
    """Return what an identity stands for, {"version": text, "files": {path: fingerprint}}; None where it is lost."""
    found: dict[str, Any] | None = _read_about(memo).get(identity)
    return found


def _answer(path: Path, data: tuple[str, ...], memo: Memo, version: tuple[str, ...]) -> dict[str, Any]:
    file = memo.path.with_name("tools")
    if file not in _answers:
        _answers[file] = _read(file)
    answers = _answers[file]
    known: dict[str, Any] | None = answers.get(str(path))
    if known and known["data"] == list(data) and all(_stat(each) == was for each, was in known["watched"].items()):
        shared_libraries.known[str(path)] = known["libraries"]
        return known
    began = time.time_ns()
    watched, files, shared, found = _examine(path, data, memo)
    _note_about(found, path, version, files, memo)
    answers.pop(str(path), None)
    shared_libraries.known.pop(str(path), None)
    answer = {"data": list(data), "watched": watched, "identity": found, "libraries": shared}
    if all(_settled(each, began) for each in watched):
        answers[str(path)] = answer
        shared_libraries.known[str(path)] = shared
        _write(file, answers)
    return answer


def _examine(path: Path, data: tuple[str, ...], memo: Memo) -> tuple[dict[str, Stat], dict[str, str], list[str], str]:
    """Return the stats the answer rests on, taken before anything was read, what each file holds, libraries, answer."""
    from bootsmith.cache.digest.fingerprint import fingerprint
    from bootsmith.cache.digest.key import key

    programs = [path, *interpreters(path)]
    shared = sorted({library for program in programs for library in shared_libraries.libraries(program)})
    further = sorted({str(match) for pattern in data for match in Path("/").glob(pattern[1:]) if match.is_file()})
    folders = {str(Path(each).parent) for each in (*shared, *data)}
    watched = {each: _stat(each) for each in (*map(str, programs), *shared, *further, *folders, *LOADER_FILES)}
    roles = [("program", list(map(str, programs))), ("library", shared), ("data", further)]
    held = {each: fingerprint(Path(each).resolve(), memo) for _, files in roles for each in files}
    content = {
        f"{role} {index} {Path(each).name}": held[each] for role, files in roles for index, each in enumerate(files)
    }
    return watched, held, shared, key(content)


def _note_about(identity: str, path: Path, version: tuple[str, ...], files: dict[str, str], memo: Memo) -> None:
    """Note what a new identity stands for. Where that cannot be done, later words about a change say less."""
    from bootsmith.cache.files import sealed

    known = _read_about(memo)
    if identity in known:
        return
    from bootsmith.tasks.tools.version import printed_version

    known[identity] = {"version": printed_version(path, version), "files": files}
    kept = dict(list(known.items())[-KEPT:])
    with contextlib.suppress(OSError):
        memo.path.parent.mkdir(parents=True, exist_ok=True)
        sealed.write(memo.path.with_name("tools.about"), ABOUT, json.dumps(kept).encode())


def _read_about(memo: Memo) -> dict[str, Any]:
    from bootsmith.cache.files import sealed

    body = sealed.read(memo.path.with_name("tools.about"), ABOUT)
    return json.loads(body) if body else {}


def interpreters(path: Path) -> list[Path]:
    """Return the program that the kernel runs for a script, and what `env` then finds; [] for anything else."""
    with path.open("rb") as file:
        first = file.readline(256)
    if not first.startswith(b"#!"):
        return []
    words = os.fsdecode(first[2:]).split()
    found = [Path(words[0])]
    if found[0].name == "env":
        found += [host.find(word) for word in words[1:2]]
    return found


def _stat(path: str) -> Stat:
    try:
        facts = os.stat(path)  # noqa: PTH116  a hundred of them in every no-op
    except OSError:
        return None
    return [facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]


def _settled(path: str, moment: int) -> bool:
    """Tell whether a file had rested so long at a moment (in ns) that any later change shows in its stat."""
    from bootsmith.cache.files import clock
    from bootsmith.cache.files.mounts import is_exchangeable

    try:
        status = os.stat(path)  # noqa: PTH116  as above
    except OSError:
        return True
    return clock.settled(status) < moment and not is_exchangeable(status.st_dev)


def _read(file: Path) -> dict[str, Any]:
    """Return the answers kept in a file; none where it is missing, damaged, or of an earlier boot (see clock.py)."""
    from bootsmith.cache.files import clock, sealed

    body = sealed.read(file, KIND)
    if body is None:
        return {}
    kept: dict[str, Any] = json.loads(body)
    return kept["answers"] if kept["boot"] == clock.boot_id() else {}


def _write(file: Path, answers: dict[str, Any]) -> None:
    """Keep the answers; where that cannot be done, they are found again next time."""
    from bootsmith.cache.files import clock, sealed

    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        sealed.write(file, KIND, json.dumps({"boot": clock.boot_id(), "answers": answers}).encode())
