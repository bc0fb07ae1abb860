"""Debian package files: what their control part says, and a flat repository of them for apt.

The form of a .deb is in deb(5): an ar archive with a control tar and a data tar.
"""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.tree.lockfile import Package

_MAGIC: Final = b"!<arch>\n"
_HEADER: Final = 60
_UNPACK: Final[Mapping[bytes, Callable[[bytes], bytes]]] = {
    b"control.tar": bytes,
    b"control.tar.gz": gzip.decompress,
    b"control.tar.xz": lzma.decompress,
}


def control(deb: Path) -> bytes | None:
    """Return the control file of a package, None where it is packed in a way Python cannot unpack (zstd).

    Raises StageError where it is no package.
    """
    try:
        name, packed = _control_member(deb)
        if name not in _UNPACK:
            return None
        with tarfile.open(fileobj=io.BytesIO(_UNPACK[name](packed))) as tar:
            for member in tar:
                if member.name.removeprefix("./") == "control" and (file := tar.extractfile(member)):
                    return file.read()
    except (OSError, ValueError, EOFError, lzma.LZMAError, tarfile.TarError) as error:
        raise _broken(deb, str(error)) from error
    raise _broken(deb, "it has no control file")


def _control_member(deb: Path) -> tuple[bytes, bytes]:
    with deb.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("it does not begin like one")
        while header := file.read(_HEADER):
            name = header[:16].strip().rstrip(b"/")
            size = int(header[48:58])
            if name.startswith(b"control.tar"):
                return name, file.read(size)
            file.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("it has no control part")


def _broken(deb: Path, why: str) -> StageError:
    return StageError(f"{deb} is not a Debian package: {why}", "Run `doit update` to take other versions.")


def write_repository(
    folder: Path, suite: str, packages: Iterable[tuple[Package, Path]], unpack: Callable[[Path], bytes]
) -> None:
    """Make `folder` a flat repository of exactly these packages, by links to where they are.

    Each goes by its SHA-256, which apt verifies again. `unpack` gives a control file where Python cannot.
    """
    stanzas = []
    for package, path in packages:
        (folder / f"{package.sha256}.deb").symlink_to(path)
        text = control(path)
        stanzas.append(
            (unpack(path) if text is None else text).strip(b"\n")
            + f"\nFilename: ./{package.sha256}.deb\nSize: {package.size}\nSHA256: {package.sha256}\n".encode()
        )
    (folder / "Packages").write_bytes(b"\n".join(stanzas))
    # mmdebstrap picks essential packages by suite: without its name it takes none.
    (folder / "Release").write_text(f"Suite: {suite}\nCodename: {suite}\n")
