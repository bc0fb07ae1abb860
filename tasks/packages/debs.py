"""Debian package files: what their control part says, and a flat repository of them for apt.

The form of a .deb is in deb(5): an ar archive of a control tar and a data tar, either compressed.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.packages.lockfile import Package

_MAGIC: Final = b"!<arch>\n"
_HEADER: Final = 60
_PIECE: Final = 1 << 20
_LARGEST: Final = 16 << 20  # bytes of a control part, unpacked: the largest have a tenth of it


def _unpack(name: bytes, packed: bytes) -> bytes:
    """Return what a control part holds. Raises ValueError, or what its packing raises."""
    if name == b"control.tar":
        return packed
    unpacker = _UNPACKERS[name]()
    found: bytes = unpacker.decompress(packed, _LARGEST)
    if not unpacker.eof:
        raise ValueError("its control part is cut short, or larger than any")
    return found


_UNPACKERS: Final[Mapping[bytes, Callable[[], Any]]] = {
    b"control.tar.gz": partial(zlib.decompressobj, wbits=31),
    b"control.tar.xz": lzma.LZMADecompressor,
}


def control(deb: Path) -> bytes | None:
    """Return the control file of a package, None where it is packed in a way Python cannot unpack (zstd).

    Raises StageError where it is no package.
    """
    try:
        name, packed = _control_member(deb)
        if name not in (b"control.tar", *_UNPACKERS):
            return None
        with tarfile.open(fileobj=io.BytesIO(_unpack(name, packed))) as tar:
            for member in tar:
                if member.name.removeprefix("./") == "control" and (file := tar.extractfile(member)):
                    return file.read()
    except (OSError, ValueError, EOFError, lzma.LZMAError, zlib.error, tarfile.TarError) as error:
        raise _broken(deb, str(error)) from error
    raise _broken(deb, "it has no control file")


def _control_member(deb: Path) -> tuple[bytes, bytes]:
    with deb.open("rb") as file:
        for name, _, size in _members(file):
            if name.startswith(b"control.tar"):
                return name, file.read(size)
    raise ValueError("it has no control part")


def _members(file: BinaryIO) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield name, header and size of each member, the file standing at its data."""
    end = os.fstat(file.fileno()).st_size
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("it does not begin like one")
    while header := file.read(_HEADER):
        digits = header[48:58].rstrip(b" ")
        if not digits.isdigit():  # int() takes signs too: such a member would be read again and again
            raise ValueError(f"{digits!r} is no size")
        size = int(digits)
        following = file.tell() + size + size % 2
        if file.tell() + size > end:
            raise ValueError("it is cut short")
        yield header[:16].strip().rstrip(b"/"), header, size
        file.seek(following)


def _broken(deb: Path, why: str) -> StageError:
    return StageError(f"{deb} is not a Debian package: {why}", "Run `doit update` to take other versions.")


def loosen(deb: Path, target: Path) -> None:
    """Write a package again with its xz members unpacked.

    dpkg unpacks essential packages twice, and on one core: unpacked before, on all, they take half the time to install.
    """
    try:
        with deb.open("rb") as source, target.open("wb") as sink:
            sink.write(_MAGIC)
            for name, header, size in _members(source):
                place = sink.tell()
                sink.write(header)
                packed = name.endswith(b".tar.xz")
                written = _unxz(source, sink, size) if packed else sink.write(source.read(size))
                sink.write(b"\n" * (written % 2))
                sink.seek(place)
                sink.write(
                    (name.removesuffix(b".xz") if packed else name).ljust(16)
                    + header[16:48]
                    + b"%-10d" % written
                    + header[58:]
                )
                sink.seek(0, io.SEEK_END)
    except (OSError, ValueError, EOFError, lzma.LZMAError) as error:
        raise _broken(deb, str(error)) from error


def _unxz(source: BinaryIO, sink: BinaryIO, size: int) -> int:
    unpacker = lzma.LZMADecompressor()
    written = 0
    while not unpacker.eof:
        packed = b""
        if unpacker.needs_input:
            packed = source.read(min(size, _PIECE))
            size -= len(packed)
            if not packed:
                raise EOFError("it is cut short")
        written += sink.write(unpacker.decompress(packed, _PIECE))
    return written


def write_repository(
    folder: Path, suite: str, packages: Sequence[tuple[Package, Path]], unpack: Callable[[Path], bytes]
) -> None:
    """Make `folder` a flat repository of exactly these packages, in files of its own.

    apt verifies them again. `unpack` gives a control file where Python cannot.
    """

    def stanza(item: tuple[Package, Path]) -> bytes:
        package, path = item
        file = folder / f"{package.sha256}.deb"
        loosen(path, file)
        fields = control(file)
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        place = f"\nFilename: ./{file.name}\nSize: {file.stat().st_size}\nSHA256: {digest}\n"
        return (unpack(file) if fields is None else fields).strip(b"\n") + place.encode()

    folder.mkdir()
    large_first = sorted(packages, key=lambda item: -item[0].size)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        stanzas = dict(zip((item[0] for item in large_first), pool.map(stanza, large_first), strict=True))
    (folder / "Packages").write_bytes(b"\n".join(stanzas[package] for package, _ in packages))
    # mmdebstrap picks essential packages by suite: without its name it takes none.
    (folder / "Release").write_text(f"Suite: {suite}\nCodename: {suite}\n")
