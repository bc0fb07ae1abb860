"""A page's commands as somebody types them one after the other, and what the page says they print."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.document_pages import Passage
from tests.support.ordinary_user import OrdinaryUser

GUEST = "~ # "  # the prompt of a shell in a guest
LEFT_OUT = "..."
_RUN = """\
. "$STATE"
cd "$(cat "$STATE.cwd")"
{
%s
}
status=$?
export -p >"$STATE"
pwd >"$STATE.cwd"
exit $status
"""
_VARYING = (
    (re.compile(r"\x1b\[[\d;]*[A-Za-z]|\r"), ""),
    (re.compile(r"\d[\d.]* ?(s|B|KiB|MiB|GiB)\b"), "#"),  # seconds and sizes
    (re.compile(r"\b\d+(\.\d+)+\S*"), "#"),  # versions
    (re.compile(r"\b(kvm|tcg)\b"), "#"),
    (re.compile(r"\s+"), " "),
)
LIMIT = 900  # seconds, after which what hangs is ended


@dataclass(frozen=True)
class Command:
    """A line that is typed, what is typed at the guest that it starts, and the lines that the page shows of it."""

    name: str
    text: str
    typed: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class File:
    """A file that the page tells to write."""

    name: str
    text: str


def steps(found: Iterable[Passage]) -> Iterator[Command | File]:
    """Yield what a page tells to do, in order: commands, and files to write, each a block behind the file's name."""
    name = ""
    for passage in found:
        if passage.language == "span":
            name = passage.text
        elif passage.language:
            yield File(name, passage.text)
        else:
            yield from _commands(passage)


def _commands(block: Passage) -> Iterator[Command]:
    command = None
    for number, line in enumerate(block.text.splitlines(), block.line):
        if line.startswith("$ "):
            if command:
                yield command
            command = Command(f"{block.page.name}:{number}", line.removeprefix("$ "))
        else:
            assert command, f"{block.name}: output of no command"
            (command.typed if line.startswith(GUEST) else command.shown).append(line.removeprefix(GUEST))
    if command:
        yield command


class Session:
    """A shell's state that goes on from command to command: folder and variables. Each is run as `user`."""

    def __init__(self, user: OrdinaryUser, folder: Path) -> None:
        self._user = user
        self._state = user.home / "state"
        self._state.touch()
        self._state.with_name("state.cwd").write_text(f"{folder}\n")
        self._env = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "BOOTSMITH"))}

    @property
    def folder(self) -> Path:
        return Path(self._state.with_name("state.cwd").read_text().strip())

    def run(self, command: Command) -> str:
        """Run a command, which must succeed; return all that it printed."""
        argv = self._user.command("timeout", str(LIMIT), "sh", "-c", _RUN % command.text)
        env = self._env | {"STATE": str(self._state), "NO_COLOR": "1"}
        typed = list(command.typed)
        printed, answered = b"", 0
        with subprocess.Popen(
            argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        ) as process:
            assert process.stdin
            assert process.stdout
            while chunk := process.stdout.read(65536):
                printed += chunk
                if typed and GUEST.encode() in printed[answered:]:
                    answered = len(printed)
                    process.stdin.write(f"{typed.pop(0)}\n".encode())
        said = printed.decode(errors="replace")
        assert (process.returncode, typed) == (0, []), f"{command.name}: {command.text}\n{said}"
        return said


def differences(command: Command, said: str) -> list[str]:
    """Return what a page shows of a command otherwise than it was said, lines in whatever order.

    `...` stands for lines that are left out, or for the rest of one.
    """
    wanted, present = _lines(command.shown), _lines(said.splitlines())
    whole = [line for line in wanted if not line.endswith(LEFT_OUT)]
    missing = Counter(whole) - Counter(present)
    found = [f"not said: {line}" for line in missing.elements()]
    for line in wanted:
        begun = line.removesuffix(LEFT_OUT)
        if begun and begun != line and not any(each.startswith(begun) for each in present):
            found.append(f"not said: {line}")
    if LEFT_OUT not in wanted:
        begun = tuple(line.removesuffix(LEFT_OUT) for line in wanted if line.endswith(LEFT_OUT))
        more = Counter(line for line in present if not (begun and line.startswith(begun))) - Counter(whole)
        found += [f"not shown: {line}" for line in more.elements()]
    return found


def _lines(texts: Iterable[str]) -> list[str]:
    found = []
    for text in texts:
        line = text
        for pattern, stand_in in _VARYING:
            line = pattern.sub(stand_in, line)
        found.append(line.strip())
    return [line for line in found if line]
