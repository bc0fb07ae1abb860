"""What is in a volume of LUKS, as a disk of its own: read where it is, or decrypted into a file that has no name."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from bootsmith.cache.files import sparse
from bootsmith.tasks.disk.luks.aes_xts import UNIT, Cipher
from bootsmith.tasks.disk.luks.opened import Unlocked
from bootsmith.tasks.disk.raw_content import Disk
from bootsmith.tasks.errors import StageError

_PIECE: Final = 1 << 20


class ClearDisk:
    """The data of a volume that stands at a place of a disk, `size` bytes long with its header.

    A sector of zeros on the disk is one that was never written, or was discarded: it is zeros here too, and no noise.
    """

    def __init__(self, disk: Disk, start: int, size: int, found: Unlocked, library: Path) -> None:
        if not 0 < found.start < size or found.start % UNIT:
            raise StageError("a volume's data begin outside of it", "`cryptsetup luksDump` tells more.")
        self._disk, self._start, self._found = disk, start + found.start, found
        self.size = (size - found.start) // found.sector * found.sector
        self._cipher = Cipher(library, found.key, encrypt=False)
        self._file: IO[bytes] | None = None

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the data, fewer at their end, none beyond it."""
        end = min(offset + length, self.size)
        if not 0 <= offset < end:
            return b""
        sector = self._found.sector
        first = offset // sector * sector
        data = self._disk.read(self._start + first, -(-(end - first) // sector) * sector)
        whole = len(data) // sector * sector
        return self._clear(data[:whole], first)[offset - first : end - first]

    @contextlib.contextmanager
    def part(self, start: int, size: int) -> Iterator[tuple[Path | int, int]]:  # noqa: ARG002  all of it is there
        """Yield a file with all of the data."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="bootsmith-")  # noqa: SIM115  until it is closed
            self._decrypt(self._file.fileno())
        yield self._file.fileno(), start

    def _decrypt(self, target: int) -> None:
        os.truncate(target, self.size)
        sector = self._found.sector
        with self._disk.part(self._start, self.size) as (file, at), contextlib.ExitStack() as stack:
            source = file if isinstance(file, int) else stack.enter_context(file.open("rb")).fileno()
            for first, end in sparse.extents(source, at, at + self.size):
                begin = (first - at) // sector * sector
                stop = min(-(-(end - at) // sector) * sector, self.size)
                for place in range(begin, stop, _PIECE):
                    data = os.pread(source, min(_PIECE, stop - place), at + place)
                    clear = self._clear(data[: len(data) // sector * sector], place)
                    if any(clear):
                        sparse.write(target, clear, place)

    def _clear(self, data: bytes, place: int) -> bytes:
        """Return whole sectors from a place of the data on, decrypted."""
        sector = self._found.sector
        clear = bytearray(self._cipher.sectors(data, sector, self._found.tweak + place // UNIT))
        zeros = bytes(sector)
        for at in range(0, len(data), sector):
            if data.startswith(zeros, at):
                clear[at : at + sector] = zeros
        return bytes(clear)

    def close(self) -> None:
        """Forget the key, and what was decrypted."""
        self._cipher.close()
        if self._file is not None:
            self._file.close()
