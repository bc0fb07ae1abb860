"""An initrd read through as Linux reads it: archives and packed archives one behind the other, and zeros between them.

Linux, Documentation/driver-api/early-userspace/buffer-format.rst and init/initramfs.c. Microcode stands in an archive
of its own before the rest, which is packed. What of it is broken off, Linux passes over with a line that nobody sees.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import boot_formats, unpacking
from bootsmith.tasks.tree.unpacking import PIECE, Damaged

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.tree.merged import Tree

LARGEST: Final = 16 << 30
"""Bytes of an initrd, unpacked: what is larger fits into the memory of no machine that is run here."""

_MAGIC: Final = b"07070"
_HEADER: Final = re.compile(rb"07070[12]([0-9A-Fa-f]{8}){13}")
_HEADER_SIZE: Final = 110
_SIZE, _NAME_SIZE = slice(54, 62), slice(94, 102)
_LONGEST: Final = 4096  # bytes of a name, with the NUL behind it
_TRAILER: Final = b"TRAILER!!!\0"
_WORD: Final = 4  # bytes: what everything in an archive is aligned to
_CRC32: Final = 1
_LZ4_BLOCK: Final = (8 << 20) + (8 << 20) // 255 + 16  # bytes of 8 MiB at worst, packed


def take(tree: Tree, path: str, target: Path, otherwise: str) -> None:
    """Copy an initrd out of a tree. Raises StageError where it is none, or not all of one."""
    tree.copy(path, target)
    why = refusal(target)
    if why:
        raise StageError(f"/{path} of the tree cannot be the initrd: it {why}", f"Make it anew, or {otherwise}.")


def refusal(file: Path) -> str | None:
    """Return why Linux would not unpack all of an initrd, None where it would."""
    with file.open("rb") as opened:
        head = opened.read(16)
        if not boot_formats.initrd(head):
            return head_refusal(head)
        opened.seek(0)
        try:
            _read(opened)
        except Damaged as error:
            return f"is damaged, or none that Linux unpacks: {error.message}"
    return None


def head_refusal(head: bytes) -> str:
    """Return why what begins so is no initrd."""
    if not head:
        return "is empty"
    if head.startswith(b"070707"):
        return "is a cpio archive of the old form, and Linux takes the new one: cpio -H newc"
    return "is no cpio archive, nor packed by anything Linux unpacks"


def _read(file: BinaryIO) -> None:
    while head := _behind_zeros(file):
        packing = boot_formats.packing(head)
        if packing in unpacking.PACKINGS:
            if packing == "xz" and len(head) > 7 and head[7] & 0x0F > _CRC32:
                raise Damaged("xz: Linux knows no checksum but crc32: xz --check=crc32")
            _archives(_Pieces(unpacking.unpacked(file, packing)), packing)
        elif packing == "lz4":
            _walk_lz4(file)
        elif packing:
            return  # told by its beginning alone
        else:
            pieces = _Pieces(iter(partial(file.read, PIECE), b""), file.tell())
            _archive(pieces, "")
            file.seek(pieces.at)


def _behind_zeros(file: BinaryIO) -> bytes:
    """Go to the first byte that is no zero; return what begins there, nothing at the end."""
    while piece := file.read(PIECE):
        rest = piece.lstrip(b"\0")
        if rest:
            start = file.seek(-len(rest), 1)
            head = file.read(16)
            file.seek(start)
            return head
    return b""


class _Pieces:
    """What comes in pieces, read in lengths of the reader's; `at` is where the reader is."""

    def __init__(self, pieces: Iterator[bytes], at: int = 0) -> None:
        self._pieces = pieces
        self._held = memoryview(b"")
        self.at = at

    def read(self, size: int) -> bytes:
        """Return so many bytes, fewer at the end."""
        return b"".join(bytes(each) for each in self._taken(size))

    def skip(self, size: int) -> int:
        """Pass over so many bytes, fewer at the end; return how many."""
        return sum(len(each) for each in self._taken(size))

    def skip_zeros(self) -> bool:
        """Pass over zeros; tell whether something else follows."""
        while self._fill():
            zeros = len(self._held) - len(bytes(self._held).lstrip(b"\0"))
            self._advance(zeros)
            if self._held:
                return True
        return False

    def _taken(self, size: int) -> Iterator[memoryview]:
        while size and self._fill():
            taken = self._held[:size]
            self._advance(len(taken))
            size -= len(taken)
            yield taken

    def _advance(self, count: int) -> None:
        self._held = self._held[count:]
        self.at += count
        if self.at > LARGEST:
            raise Damaged(f"it unpacks to more than {LARGEST >> 30} GiB")

    def _fill(self) -> bool:
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self._held = memoryview(piece)
        return True


def _archives(pieces: _Pieces, packing: str) -> None:
    """Read what was packed as one: archives, and zeros behind each."""
    while pieces.skip_zeros():
        _archive(pieces, f"{packing}: ")


def _archive(pieces: _Pieces, where: str) -> None:
    """Read one archive, to its trailer."""
    start = pieces.at
    if start % _WORD:
        raise Damaged(f"{where}what begins at byte {start} does not begin at a multiple of four")
    while True:
        at = pieces.at
        header = pieces.read(_HEADER_SIZE)
        if not _HEADER.fullmatch(header):
            if _MAGIC.startswith(header[: len(_MAGIC)]) and len(header) < _HEADER_SIZE:
                raise Damaged(f"{where}the cpio archive is cut short")
            what = "no cpio archive begins" if at == start else "no member of the cpio archive is"
            raise Damaged(f"{where}{what} at byte {at}")
        size, name_size = int(header[_SIZE], 16), int(header[_NAME_SIZE], 16)
        if not 0 < name_size <= _LONGEST:
            raise Damaged(f"{where}the name at byte {at} would have {name_size} bytes")
        name = pieces.read(name_size)
        wanted = -(_HEADER_SIZE + name_size) % _WORD + size
        if len(name) < name_size or pieces.skip(wanted) < wanted:
            raise Damaged(f"{where}the cpio archive is cut short")
        pieces.skip(-size % _WORD)
        if name == _TRAILER:
            return


def _walk_lz4(file: BinaryIO) -> None:
    """Go from block to block: where one is cut short, all is; of what is in them the first bytes are looked at."""
    magic, first = boot_formats.PACKED["lz4"], True
    file.seek(len(magic), 1)
    while head := file.read(4):
        size = int.from_bytes(head, "little")
        if head == magic:
            continue
        if size == 0:
            return
        block = file.read(size) if len(head) == 4 and size <= _LZ4_BLOCK else b""
        if len(block) < size or not block:
            raise Damaged("lz4: it is cut short")
        if first and not _literals(block).startswith(_MAGIC):
            raise Damaged("lz4: no cpio archive begins at byte 0")
        first = False


def _literals(block: bytes) -> bytes:
    """Return what an lz4 block begins with before it first repeats anything."""
    count, at = block[0] >> 4, 1
    if count == 15:
        while at < len(block) and block[at] == 255:
            at += 1
        return block[at + 1 :][:15]
    return block[at:][:count]
