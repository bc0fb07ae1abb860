"""A disk image's content, read where it is, or out of another format by qemu-img: nothing is mounted."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bootsmith.tasks.disk import passphrase as passphrases
from bootsmith.tasks.disk.passphrase import Passphrase
from bootsmith.tasks.errors import BootsmithError, ToolFailed
from bootsmith.tasks.tools import host, process
from bootsmith.tasks.tools.environment import ENVIRONMENT

_WINDOW = 1 << 20
_SECTOR = 512


class Disk(Protocol):
    """A disk image's content."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the disk, fewer at its end, none beyond it."""
        ...

    def part(self, start: int, size: int) -> contextlib.AbstractContextManager[tuple[int, int]]:
        """Yield an open file, and the offset in it where that stretch of the disk begins."""
        ...


@contextlib.contextmanager
def opened(image: Path, format: str, passphrase: Passphrase | None = None) -> Iterator[Disk]:  # noqa: A002
    """Yield the content of an image; `format` is QEMU's name, or "iso". Raises BootsmithError for a wrong passphrase.

    What is encrypted is decrypted once, into a file that has no name: each opening takes seconds.
    """
    if format in ("raw", "iso"):
        with image.open("rb") as file:
            yield _Raw(file.fileno(), os.fstat(file.fileno()).st_size)
    elif passphrase:
        with tempfile.TemporaryFile(prefix="bootsmith-") as clear:
            _decrypt(image.absolute(), format, passphrase, clear.fileno(), size_of(image.absolute(), format))
            yield _Raw(clear.fileno(), os.fstat(clear.fileno()).st_size)
    else:
        yield _Converted(image.absolute(), format)


def unpack(
    image: Path,
    format: str,  # noqa: A002
    target: Path,
    passphrase: Passphrase | None = None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Write all of an image's content into a new raw file, with holes. Raises BootsmithError."""
    if passphrase:
        with target.open("xb") as clear:
            _decrypt(image.absolute(), format, passphrase, clear.fileno(), size_of(image.absolute(), format))
        return
    with _damage_told(image):
        _qemu_img("convert", "-p", "-f", format, "-O", "raw", image.absolute(), target, on_line=on_line)


def check(image: Path, format: str, passphrase: Passphrase) -> None:  # noqa: A002
    """Raise BootsmithError where a passphrase does not open an image."""
    with tempfile.TemporaryFile(prefix="bootsmith-") as sector:
        _decrypt(image.absolute(), format, passphrase, sector.fileno(), _SECTOR)


def _decrypt(
    image: Path,
    format: str,  # noqa: A002
    passphrase: Passphrase,
    target: int,
    size: int,
) -> None:
    """Write the beginning of an encrypted image's content into an open file."""
    locked = {"driver": format, "encrypt": {"format": "luks", "key-secret": passphrases.ID}, "file": _file(image)}
    source = f"json:{json.dumps({'driver': 'raw', 'offset': 0, 'size': size, 'file': locked})}"
    os.truncate(target, size)
    words = ["convert", "--object", passphrases.definition(0), "-n", "-O", "raw"]  # -n: into the file there is
    try:
        _qemu_img(*words, source, f"/dev/fd/{target}", input=passphrase.encoded, pass_fds=[target])
    except ToolFailed as error:
        if "Invalid password" not in f"{error} {error.tail}":
            raise
        raise BootsmithError(f"{image}: the passphrase given does not open it") from None


@dataclass(frozen=True, slots=True)
class _Raw:
    """A raw image, read where it is."""

    fd: int
    size: int

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self.fd, length, offset) if 0 <= offset < self.size and length > 0 else b""

    @contextlib.contextmanager
    def part(self, start: int, size: int) -> Iterator[tuple[int, int]]:  # noqa: ARG002  all of it is there
        yield self.fd, start


class _Converted:
    """An image of another format, of which qemu-img takes out what is asked for: windows, and whole partitions."""

    def __init__(self, path: Path, format: str) -> None:  # noqa: A002
        self._path = path
        self._node = {"driver": format, "file": _file(path)}
        self._windows: dict[int, bytes] = {}
        self.size = size_of(path, format)

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        found = b""
        while 0 <= offset < end:
            first = offset - offset % _WINDOW
            piece = self._window(first)[offset - first : end - first]
            found += piece
            offset += len(piece)
        return found

    def _window(self, start: int) -> bytes:
        if start not in self._windows:
            with self.part(start, _WINDOW) as (fd, _):
                self._windows[start] = os.pread(fd, _WINDOW, 0)
        return self._windows[start]

    @contextlib.contextmanager
    def part(self, start: int, size: int) -> Iterator[tuple[int, int]]:
        stretch = {"driver": "raw", "offset": start, "size": min(size, self.size - start), "file": self._node}
        with tempfile.TemporaryDirectory(prefix="bootsmith-") as folder:
            file = Path(folder, "part")
            with _damage_told(self._path):
                _qemu_img("convert", "-O", "raw", f"json:{json.dumps(stretch)}", file)
            with file.open("rb") as found:
                yield found.fileno(), 0


def _file(path: Path) -> dict[str, str]:
    return {"driver": "file", "filename": str(path)}


def size_of(path: Path, format: str) -> int:  # noqa: A002
    """Return the size of the disk that an image holds; nothing need be decrypted for it. Raises BootsmithError."""
    if format in ("raw", "iso"):
        return path.stat().st_size
    with _damage_told(path):
        found: int = json.loads(_qemu_img("info", "--output=json", "-f", format, path))["virtual-size"]
    return found


@contextlib.contextmanager
def _damage_told(image: Path) -> Iterator[None]:
    """Say of which image it is that qemu-img can make nothing."""
    try:
        yield
    except ToolFailed as error:
        said = error.tail.splitlines()[-1:]
        if error.status > 128 or not said or "No space left" in error.tail:
            raise
        raise BootsmithError(
            f"{image} is damaged or cut off: {said[0].removeprefix('qemu-img: ')}",
            "Make or copy it again; `qemu-img check` tells more.",
        ) from error


def _qemu_img(
    *words: str | Path,
    input: bytes | None = None,  # noqa: A002
    pass_fds: list[int] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> bytes:
    argv = [host.find("qemu-img"), *words]
    return process.run(
        argv, env=ENVIRONMENT, cwd=Path("/"), input=input, pass_fds=pass_fds or (), on_line=on_line
    ).stdout
