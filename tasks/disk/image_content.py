"""A disk image's content, read where it is, or out of another format by qemu-img: nothing is mounted."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bootsmith.cache.files import temporary
from bootsmith.tasks.disk import passphrase as passphrases
from bootsmith.tasks.disk.passphrase import Passphrase
from bootsmith.tasks.disk.raw_content import Disk, RawDisk, opened_raw
from bootsmith.tasks.errors import BootsmithError, ToolFailed
from bootsmith.tasks.tools import host, process, readers
from bootsmith.tasks.tools.bounds import Bounds
from bootsmith.tasks.tools.enclosure import Shown
from bootsmith.tasks.tools.environment import ENVIRONMENT

_WINDOW = 1 << 20
_SECTOR = 512
_SECONDS = 3600
_MEMORY = 4 << 30
"""What qemu-img may take: many times what the largest disks need."""


@contextlib.contextmanager
def opened(image: Path, format: str, passphrase: Passphrase | None = None) -> Iterator[Disk]:  # noqa: A002
    """Yield the content of an image; `format` is QEMU's name, or "iso". Raises BootsmithError for a wrong passphrase.

    What is encrypted is decrypted once, into a file that has no name: each opening takes seconds.
    """
    if format in ("raw", "iso"):
        with opened_raw(image) as disk:
            yield disk
    elif passphrase:
        with tempfile.TemporaryFile(prefix="bootsmith-") as clear:
            _decrypt(image.absolute(), format, passphrase, clear.fileno(), size_of(image.absolute(), format))
            yield RawDisk(clear.fileno(), os.fstat(clear.fileno()).st_size, None)
    else:
        yield _Converted(image.absolute(), format)


def unpack(
    image: Path,
    format: str,  # noqa: A002
    target: Path,
    passphrase: Passphrase | None = None,
    on_line: Callable[[str], None] | None = None,
    *,
    follow: bool = False,
) -> None:
    """Write all of an image's content into a new raw file, with holes. Raises BootsmithError.

    With `follow` other files that it names are read too, whichever these are.
    """
    if follow and not passphrase:
        with _damage_told(image):
            _freely("convert", "-p", "-f", format, "-O", "raw", image.absolute(), target, on_line=on_line)
        return
    size = size_of(image.absolute(), format)
    with target.open("xb") as made:
        if passphrase:
            _decrypt(image.absolute(), format, passphrase, made.fileno(), size)
            return
        made.truncate(size)
    with _damage_told(image):
        _qemu_img(
            lambda name, into: ["convert", "-p", "-n", "-f", format, "-O", "raw", name, into],
            Shown(image.absolute()), Shown(target, writable=True), size=size, on_line=on_line,
        )  # fmt: skip


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
    os.truncate(target, size)

    def words(name: str, into: str) -> list[str]:
        encrypted = {"format": "luks", "key-secret": passphrases.ID}
        locked = {"driver": format, "encrypt": encrypted, "file": {"driver": "file", "filename": name}}
        source = {"driver": "raw", "offset": 0, "size": size, "file": locked}
        secret = passphrases.definition(0)
        return ["convert", "--object", secret, "-n", "-O", "raw", f"json:{json.dumps(source)}", into]

    try:
        _qemu_img(words, Shown(image), Shown(target, writable=True), size=size, input=passphrase.encoded)
    except ToolFailed as error:
        if "Invalid password" not in f"{error} {error.tail}":
            raise
        raise BootsmithError(f"{image}: the passphrase given does not open it") from None


class _Converted:
    """An image of another format, of which qemu-img takes out what is asked for: windows, and whole partitions."""

    def __init__(self, path: Path, format: str) -> None:  # noqa: A002
        self._path = path
        self._format = format
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
            with self.part(start, _WINDOW) as (file, _):
                self._windows[start] = file.read_bytes()
        return self._windows[start]

    @contextlib.contextmanager
    def part(self, start: int, size: int) -> Iterator[tuple[Path, int]]:
        length = min(size, self.size - start)

        def words(name: str, into: str) -> list[str]:
            node = {"driver": self._format, "file": {"driver": "file", "filename": name}}
            stretch = {"driver": "raw", "offset": start, "size": length, "file": node}
            return ["convert", "-n", "-O", "raw", f"json:{json.dumps(stretch)}", into]

        with temporary.folder() as folder:
            file = Path(folder, "part")
            file.touch()
            os.truncate(file, length)
            with _damage_told(self._path):
                _qemu_img(words, Shown(self._path), Shown(file, writable=True), size=length)
            yield file, 0


def size_of(path: Path, format: str, *, follow: bool = False) -> int:  # noqa: A002
    """Return the size of the disk that an image holds; nothing need be decrypted for it. Raises BootsmithError.

    With `follow` other files that it names are looked at too, whichever these are.
    """
    if format in ("raw", "iso"):
        return path.stat().st_size
    words = ["info", "--output=json", "-f", format]
    with _damage_told(path):
        told = _freely(*words, path) if follow else _qemu_img(lambda name: [*words, name], Shown(path))
        found: int = json.loads(told)["virtual-size"]
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
    words: Callable[..., list[str]],
    *files: Shown,
    size: int = 0,
    input: bytes | None = None,  # noqa: A002  the word of process.run
    on_line: Callable[[str], None] | None = None,
) -> bytes:
    """Run qemu-img on an image of people unknown; return what it prints. It may write a file of that size."""
    bounds = Bounds(_SECONDS, _MEMORY, size)
    program = host.find("qemu-img")
    return readers.look(program, words, *files, bounds=bounds, check=True, input=input, on_line=on_line).stdout


def _freely(*words: str | Path, on_line: Callable[[str], None] | None = None) -> bytes:
    """Run qemu-img on an image that is trusted with whichever files it names; return what it prints."""
    return process.run([host.find("qemu-img"), *words], env=ENVIRONMENT, cwd=Path("/"), on_line=on_line).stdout
