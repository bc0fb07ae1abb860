"""The passphrase of an encrypted image, on its way to QEMU and qemu-img: through a pipe that is empty once it was read.

It stands on no command line, in no file and in no log of ours; what is printed of it is where it comes from. It is
handed on as base64, so that a shell's here-document, which ends in a newline, can stand in for the pipe.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bootsmith.tasks.build.secret import Secret, is_typed
from bootsmith.tasks.errors import StageError, ToolFailed, UsageError

T = TypeVar("T")

ID = "passphrase"
"""What QEMU and qemu-img call it."""
SHOWN = 3
"""The descriptor in a printed command: plain shells know those of one digit only."""
_LIMIT = 4096  # bytes, far beyond any passphrase: all of it has to fit into a pipe
_TRIES = 50


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A passphrase, and the reference it was read by."""

    source: Secret
    text: bytes = field(repr=False)

    @property
    def encoded(self) -> bytes:
        """The passphrase as programs are given it."""
        return encode(self.text)

    @contextlib.contextmanager
    def pipe(self) -> Iterator[int]:
        """Yield the descriptor of a pipe that holds it, for one program to read."""
        reading, writing = os.pipe()
        try:
            os.write(writing, self.encoded)
            os.close(writing)
            yield reading
        finally:
            os.close(reading)

    @property
    def here_document(self) -> str:
        """What follows a printed command, so that a shell feeds it the passphrase."""
        found = f'"${self.source.env}"' if self.source.env else f'"$(cat {shlex.quote(str(self.source.file))})"'
        return f" {SHOWN}<<EOF\n$(printf %s {found} | base64)\nEOF"


def encode(text: bytes) -> bytes:
    """Return what `definition` says that comes through the descriptor."""
    return base64.b64encode(text)


def definition(descriptor: int) -> str:
    """Return the object that QEMU's and qemu-img's option `-object` makes of what comes through a descriptor."""
    return f"secret,id={ID},format=base64,file=/dev/fd/{descriptor}"


def patiently(encrypt: Callable[[], T]) -> T:
    """Return what qemu-img's encrypting gives, tried again where it cannot tell how fast it is.

    It measures how fast it hashes before it begins, and gives up where the clock is too coarse. Raises ToolFailed.
    """
    for _ in range(_TRIES - 1):
        try:
            return encrypt()
        except ToolFailed as error:
            if "accurate CPU usage" not in f"{error} {error.tail}":
                raise
    return encrypt()


def checked(text: bytes, what: str) -> bytes:
    """Return what may be a passphrase, as it is. Raises StageError naming `what`."""
    if len(text) > _LIMIT or not is_typed(text) or text.decode(errors="replace").encode() != text:
        raise StageError(f"{what}: this is no passphrase", "Give one line of text, in UTF-8.")
    return text


def named(words: str, folder: Path) -> Secret:
    """Return the secret that an option's words refer to, a file from `folder`. Raises UsageError; repeats nothing."""
    kind, _, name = words.partition(":")
    if kind == "file" and name:
        return Secret(file=folder / name)
    if kind == "env" and name.isidentifier() and name.isascii():
        return Secret(env=name)
    raise UsageError(
        "--passphrase: a secret cannot stand on a command line",
        "Write --passphrase file:PATH or --passphrase env:NAME.",
    )
