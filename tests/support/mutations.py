"""Bytes that are almost right, and what reads them: walled in, so that a bug shows and does no harm."""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from bootsmith.tasks.errors import BootsmithError

from tests.support.forked_work import in_child

MEMORY = 1 << 30
"""Bytes that reading one of a few kilobytes may take, beside what this process has."""
SECONDS = 20
"""A thousand times what one takes on an idle host."""
_BYTES = (0, 1, 0x7F, 0x80, 0xFF, 0x0A, 0x2F, 0x3A, 0x2E, 0x20, 0x22, 0x5C, 0x1B)
_WORDS = (
    b"../",
    b"\0",
    b"\n",
    b"-1",
    b"9" * 30,
    b"\xff" * 8,
    b"\x80" + bytes(7),
    b"/",
    b"%s",
    b"\xc3\x28",
    b".wh.",
    b":",
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES = {
    "os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.truncate",
    "os.mknod", "os.utime", "os.setxattr", "os.removexattr", "shutil.rmtree", "subprocess.Popen", "socket.connect",
    "os.exec", "os.system", "os.kill", "ctypes.dlopen",
}  # fmt: skip

Reader = Callable[[bytes, Path], object]
"""Reads bytes, its own folder beside them. Raises BootsmithError where they are refused."""


def mutated(chance: Random, seeds: Sequence[bytes]) -> bytes:
    """Return one of the seeds with a few changes: bytes, numbers, words, stretches that go, come or are doubled."""
    found = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 2, 3, 8, 30))):
        at = chance.randrange(len(found) + 1)
        length = min(chance.choice((1, 2, 4, 8, 12, 100, 512, 4096)), len(found) - at)
        match chance.randrange(8):
            case 0 | 1 if length:
                found[at] = chance.choice((*_BYTES, chance.randrange(256), found[at] ^ 1 << chance.randrange(8)))
            case 2:
                found[at : at + length] = bytes([chance.choice(_BYTES)]) * length
            case 3:
                del found[at : at + length]
            case 4:
                found[at:at] = found[at : at + length] * chance.choice((1, 1, 2, 50))
            case 5:
                word = chance.choice(_WORDS)
                found[at : at + chance.choice((0, len(word)))] = word
            case 6 if numbers := [*re.finditer(rb"[0-9]{1,30}", found)]:
                number = chance.choice(numbers)
                other = chance.choice((b"0", b"-1", b"1", b"%d" % (1 << chance.randrange(70)), b"7" * len(number[0])))
                found[number.start() : number.end()] = (
                    other.rjust(len(number[0]), b"0") if chance.randrange(2) else other
                )
            case 7:
                other_seed = chance.choice(seeds)
                start = chance.randrange(len(other_seed) + 1)
                found[at : at + length] = other_seed[start : start + length]
    return bytes(found[: 1 << 20])


def survive(read: Reader, cases: Iterable[bytes], folder: Path) -> None:
    """Let each case be read: it is taken or refused in words, in time, without writing or running anything elsewhere.

    The first for which that is not so fails the test, and is told so that it can be kept as an example.
    """
    last = folder.with_name(f"{folder.name}.case")
    complaint = folder.with_name(f"{folder.name}.complaint")
    folder.mkdir()

    def work() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        os.chdir(folder)
        watched = [False]
        sys.addaudithook(lambda event, words: _watch(event, words, folder) if watched[0] else None)
        for case in cases:
            last.write_bytes(case)
            signal.alarm(SECONDS)
            try:
                watched[0] = True
                read(case, folder)
            except BootsmithError as error:
                watched[0] = False
                if not f"{error}".replace("\n", "").isprintable():
                    complaint.write_text(f"its message steers a terminal: {error}", errors="backslashreplace")
                    return
            except BaseException:  # noqa: BLE001  MemoryError too
                watched[0] = False
                complaint.write_text(traceback.format_exc(), errors="backslashreplace")
                return
            finally:
                watched[0] = False
        signal.alarm(0)

    ended = in_child(work, within=3600)
    what = f"signal {ended}" if ended else complaint.read_text() if complaint.exists() else ""
    assert not what, f"{last.read_bytes()!r}\n{what}"


def _watch(event: str, words: tuple[Any, ...], folder: Path) -> None:
    """Refuse what would leave something outside of a folder, or run a program."""
    if event == "open":
        path, _, flags = words
        if isinstance(path, int) or not flags & _WRITES:
            return
    elif event not in _CHANGES:
        return
    elif event in ("subprocess.Popen", "socket.connect", "os.exec", "os.system", "os.kill", "ctypes.dlopen"):
        raise AssertionError(f"{event} {words!r}")
    named = words[:2] if event in ("os.rename", "os.link") else words[1:2] if event == "os.symlink" else words[:1]
    for path in _paths(named):
        if not os.path.abspath(os.fsdecode(path)).startswith(f"{folder}/"):  # noqa: PTH100  names alone
            raise AssertionError(f"{event} {words!r}: outside of {folder}")


def _paths(words: Iterable[Any]) -> Iterator[str | bytes]:
    yield from (each for each in words if isinstance(each, (str, bytes)))
