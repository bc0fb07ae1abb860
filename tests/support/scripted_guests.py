"""Machines to try things on: the recipe's words for one, guests of a sector that print, and a guest that is made up."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bootsmith.tasks.machine.accelerator import Accel
from bootsmith.tasks.machine.console import Console
from bootsmith.tasks.recipe.model import Machine, Test

TCG = Accel("tcg", "max")

_MACHINE = Machine(
    firmware="auto", secure_boot=False, type="q35", cpu="best", cpus=2, memory=1 << 30, accel="auto", display="none",
    gpu="none", serial="stdio", drive="virtio", cache="writeback", nic="virtio", forward=(), share={}, monitor=False,
    gdb=False, debug=None, qemu=(), keep=False, login="none",
)  # fmt: skip
_TEST = Test(
    ("auto",), entry=None, expect=("login:",), fail=(), began=None, timeout=300, silence=90, limits={}, login=None,
    run=(), keys=(), screenshot=True,
)  # fmt: skip

# cld; xor ax, ax; mov ds, ax; mov es, ax: a boot sector stands at 0x7c00.
# mov ax, 0x0301; mov cx, 2; mov dh, 0; mov bx, 0x7c00; int 0x13: writes itself into the disk's second sector.
# mov si, text; mov dx, 0x3f8; next: lodsb; test al, al; jz end; out dx, al; jmp next: COM1's data port.
# end: hlt; jmp end.
_PRINTING = bytes.fromhex("fc31c08ed88ec0 b80103b90200b600bb007ccd13 be257cbaf803 ac84c07403eeebf8 f4ebfd")
# The same, but end: mov al, 0xfe; out 0x64, al: the keyboard controller pulls the reset line. Its text is four later.
_ENDING = _PRINTING.replace(bytes.fromhex("be257c"), bytes.fromhex("be297c"))[:-3] + bytes.fromhex("b0fee664 f4ebfd")

_ALPHABETS = bytes.fromhex(
    "b3 61"  # mov bl, 'a'
    "ba fd03 be 8813"  # again: mov dx, the line's status; mov si, 5000
    "ec a8 20 75 03 4e 75 f8"  # wait: in al, dx; test al, "it takes one"; jnz put; dec si; jnz wait
    "ba f803 88d8 ee"  # put: mov dx, the port; mov al, bl; out dx, al
    "fec3 80fb 7b 72 02 b3 61 e2 e1"  # inc bl; cmp bl, 'z' + 1; jb over; mov bl, 'a'; over: loop again
    "b0 2e ee f4 eb fd"  # mov al, '.'; out dx, al; halt: hlt; jmp halt
)


def machine(**keys: Any) -> Machine:
    """Return the machine of a recipe that says nothing, but for `keys`."""
    return replace(_MACHINE, **keys)


def demands(**keys: Any) -> Test:
    """Return the `test:` of a recipe that says nothing, but for `keys`."""
    return replace(_TEST, **keys)


def printing_disk(text: str, *, ends: bool = False) -> bytes:
    """Return a disk whose boot sector writes to the disk, prints `text` on the serial port, and hangs, or resets."""
    return _boots((_ENDING if ends else _PRINTING) + text.encode("ascii") + b"\0")


def alphabets(letters: int) -> bytes:
    """Return a disk that prints so many letters (16 bits) and a dot, and waits for the port as long as Linux does."""
    return _boots(b"\xfa\xb9" + struct.pack("<H", letters) + _ALPHABETS)


def _boots(code: bytes) -> bytes:
    """Return a disk with that boot sector."""
    assert len(code) <= 510, "it has to fit into a sector"
    return (code.ljust(510, b"\0") + b"\x55\xaa").ljust(1 << 20, b"\0")


def encrypted(raw: Path, image: Path, passphrase: str) -> Path:
    """Make an encrypted qcow2 of a raw disk; qemu-img is asked again where it cannot tell how fast it is."""
    options = "encrypt.format=luks,encrypt.key-secret=p,encrypt.iter-time=10"
    words = [
        "qemu-img",
        "convert",
        "--object",
        "secret,id=p,file=/dev/stdin",
        "-f",
        "raw",
        "-O",
        "qcow2",
        "-o",
        options,
    ]
    for _ in range(50):
        done = subprocess.run([*words, raw, image], input=passphrase.encode(), capture_output=True, check=False)
        if b"accurate CPU usage" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    return image


KERNEL = "[    0.000000] Linux version 6.1.0\r\n[    0.000000] Command line: root=/dev/vda2 ro console=ttyS0\r\n"
"""What any kernel says first."""


class MadeUpGuest:
    """A guest that prints what it is told at given seconds, and answers what is typed; its time passes at once.

    `script` holds (second, what is printed). `answer` is told the port and what was typed, and says what to print.
    """

    def __init__(
        self,
        script: Sequence[tuple[float, str]],
        *,
        ends: float | None = None,
        fail: Sequence[str] = (),
        answer: Callable[[str, str], str] = lambda _port, _text: "",
        console: Console | None = None,
        screen: Sequence[str] = (),
    ) -> None:
        self.console = console or Console(fail)
        self.second = ""
        self.ended = False
        self.typed: list[str] = []
        self.hidden = b""
        self._script = list(script)
        self._screen = screen
        self._ends = ends
        self._answer = answer
        self._time = 0.0
        self._last = 0.0

    @property
    def quiet(self) -> float:
        return self._time - self._last

    def now(self) -> float:
        return self._time

    def pump(self, seconds: float) -> None:
        until = self._time + seconds
        if self._script and self._script[0][0] <= until:
            at, text = self._script.pop(0)
            self._time = max(self._time, at)
            self._print(text)
        else:
            self._time = until
        self.ended = self._ends is not None and self._time >= self._ends

    def send(self, text: bytes) -> None:
        self.typed.append(text.decode())
        self._print(self._answer("console", text.decode()))

    def send_second(self, text: bytes) -> None:
        self.second += self._answer("second", text.decode())

    def say_second(self, text: str) -> None:
        """Print on the second port, now."""
        self.second += text

    def screen(self) -> Sequence[str]:
        return self._screen

    def hide(self, secret: bytes) -> None:
        self.hidden = secret

    def _print(self, text: str) -> None:
        if text:
            self._last = self._time
            self.console.feed(text.encode(), self._time)
