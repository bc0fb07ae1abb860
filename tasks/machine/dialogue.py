"""Talking to a guest: through the unit of ours on its second serial port, or through a login shell on its console.

Nothing here waits. A question is asked; somebody pumps the machine and asks `answered` now and then.
"""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Sequence
from typing import Protocol

from bootsmith.tasks.machine.console import Console
from bootsmith.tasks.recipe.model.machine import Keystrokes

_LINE = 900  # bytes of a command sent at once: a tty holds 4095
_RETRY = 5.0  # seconds between two attempts to get a prompt


class SerialPorts(Protocol):
    """A machine's two serial ports."""

    console: Console
    second: str

    @property
    def quiet(self) -> float: ...
    def now(self) -> float: ...
    def send(self, text: bytes) -> None: ...
    def send_second(self, text: bytes) -> None: ...
    def hide(self, secret: bytes) -> None: ...


class Question(Protocol):
    """A command on its way."""

    def answered(self) -> bool:
        """Tell whether the command has ended; moves things on."""
        ...

    def answer(self) -> tuple[int, str]:
        """Return its exit status and what it printed."""
        ...


class Typist:
    """Types what a recipe says (`test.keys`), each text once what it waits for was printed, by whomever."""

    def __init__(self, ports: SerialPorts, keys: Sequence[Keystrokes]) -> None:
        self.typed = 0
        self._ports = ports
        self._keys = keys
        self._from = 0

    def look(self) -> None:
        """Type what is due."""
        while self.typed < len(self._keys):
            due = self._keys[self.typed]
            found = re.compile(due.after, re.MULTILINE).search(self._ports.console.heard, self._from)
            if not found:
                return
            self._from = found.end()
            self._ports.send(due.send.encode())
            self.typed += 1


class Agent:
    """Our unit in the guest (see credentials.py): it prints the nonce, and runs commands as root."""

    def __init__(self, ports: SerialPorts, nonce: str) -> None:
        self._ports = ports
        self._nonce = nonce

    @property
    def listens(self) -> bool:
        """Whether it can be given commands."""
        return f"{self._nonce} up" in self._ports.second

    @property
    def up(self) -> bool:
        """Whether it printed its nonce, on whichever port."""
        return self.listens or f"{self._nonce} up" in self._ports.console.heard

    def ask(self, command: str) -> Question:
        """Have `command` run by sh."""
        return _ByAgent(self._ports, self._nonce, command)


class _ByAgent:
    def __init__(self, ports: SerialPorts, nonce: str, command: str) -> None:
        self._ports = ports
        self._added = f"{nonce} added\n"
        self._end = re.compile(rf"{nonce} exit (\d+)\n")
        encoded = base64.b64encode(command.encode())
        self._waiting = [b"add " + encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)] + [b"run"]
        self._send()

    def _send(self) -> None:
        self._from = len(self._ports.second)
        self._ports.send_second(self._waiting.pop(0) + b"\n")

    def answered(self) -> bool:
        said = self._ports.second[self._from :]
        if not self._waiting:
            return self._end.search(said) is not None
        if self._added in said:
            self._send()
        return False

    def answer(self) -> tuple[int, str]:
        said = self._ports.second[self._from :]
        end = self._end.search(said)
        assert end is not None, "answered"
        return int(end[1]), said[: end.start()].strip("\n")


class Shell:
    """A shell on the console, behind its login prompt.

    It proves itself by sums: what we type is echoed, so only what the shell makes of it counts.
    """

    def __init__(self, ports: SerialPorts) -> None:
        self.refused = False
        self._ports = ports
        self._from = 0
        self._sum = Sum()
        self._tried = ports.now()

    def at_login(self) -> bool:
        """Tell whether the prompt asks for a user; asks for a new one where something was printed over it."""
        if re.search(r"\S login: \Z", self._ports.console.said):
            return True
        if self._ports.quiet > _RETRY and self._due():
            self._ports.send(b"\r")
        return False

    def user(self, name: str) -> None:
        self._type(name.encode())

    def at_password(self) -> bool:
        return re.search(r"[Pp]assword: ?\Z", self._new) is not None

    def password(self, password: bytes) -> None:
        self._ports.hide(password)
        self._type(password)
        self._tried = self._ports.now() - _RETRY / 2

    def let_in(self) -> bool:
        """Tell whether a shell answers, or (`refused`) the password was not taken."""
        if re.search(r"^.*(?:[Ll]ogin incorrect|Authentication failure)", self._new, re.MULTILINE):
            self.refused = True
            return True
        if self._sum.solved(self._new):
            return True
        if self._due():  # a login that flushes its input swallows what was typed too early
            self._ports.send(f"echo {self._sum.text}\r".encode())
        return False

    def ask(self, command: str) -> Question:
        """Have `command` run by sh, as the user who is logged in."""
        return _ByShell(self._ports, command)

    @property
    def _new(self) -> str:
        return self._ports.console.said[self._from :]

    def _type(self, text: bytes) -> None:
        self._from = len(self._ports.console.said)
        self._ports.send(text + b"\r")

    def _due(self) -> bool:
        if self._ports.now() - self._tried < _RETRY:
            return False
        self._tried = self._ports.now()
        return True


class Sum:
    """Something to add up, that cannot be known from its text."""

    def __init__(self) -> None:
        first, second = (random.randint(10**7, 10**8) for _ in range(2))  # noqa: S311  not a secret
        self.text = f"sum-$(({first}+{second}))"
        self._answer = f"sum-{first + second}"

    def solved(self, said: str) -> bool:
        return re.search(rf"{self._answer}\b", said) is not None

    @property
    def pattern(self) -> str:
        return self._answer


class _ByShell:
    def __init__(self, ports: SerialPorts, command: str) -> None:
        self._ports = ports
        self._from = len(ports.console.said)
        begin, end = Sum(), Sum()
        encoded = base64.b64encode(command.encode()).decode()
        ports.send(b"c=\r")
        for at in range(0, len(encoded), _LINE):
            ports.send(f"c=${{c}}{encoded[at : at + _LINE]}\r".encode())
        run = f'sh -c "$(echo $c | base64 -d || echo false)" </dev/null; s=$?; echo; echo {end.text} $s'
        ports.send(f"echo {begin.text}; {run}\r".encode())
        self._answer = re.compile(rf"{begin.pattern}\n(.*?)\n?{end.pattern} (\d+)\n", re.DOTALL)

    def answered(self) -> bool:
        return self._answer.search(self._ports.console.said, self._from) is not None

    def answer(self) -> tuple[int, str]:
        found = self._answer.search(self._ports.console.said, self._from)
        assert found is not None, "answered"
        return int(found[2]), found[1].strip("\n")
