"""A layer made of an older one: whole folders of it stay as they are, and their files are not read again."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bootsmith.cache.digest.index import CHUNK
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import layer
from bootsmith.tasks.tree import tar as tars
from bootsmith.tasks.tree.layer import Content, Entry, LayerWriter


@dataclass(slots=True)
class _Piece:
    """Members that stand one behind the other in a file, from `start` to `end`.

    Their offsets are in it: in the older tar, where `old`, or in the draft of what is new. Of old ones `lines` are what
    the index says of all but the first, as it is.
    """

    start: int
    end: int
    members: Sequence[Entry]
    old: bool = False
    lines: bytes = b""


@dataclass(slots=True)
class _Draft:
    """New members, in a file of their own until it is known where they go."""

    file: BinaryIO
    at: int = 0
    pieces: list[_Piece] = field(default_factory=list)

    def add(self, entry: Entry, data: Content = b"") -> None:
        start = self.at
        entry, self.at = layer.write_member(self.file, start, entry, data)
        if self.pieces and not self.pieces[-1].old:
            self.pieces[-1] = _Piece(self.pieces[-1].start, self.at, [*self.pieces[-1].members, entry])
        else:
            self.pieces.append(_Piece(start, self.at, [entry]))


class LayerPatch(LayerWriter):
    """Writes the layer that its base class would, with folders out of a tar `older`, of which `known` is the index.

    It is used up: where all that is kept stands where it stood it becomes the new tar, and only what is new is written.
    """

    def __init__(self, tar: Path, index: Path, epoch: int, older: Path, known: bytes) -> None:
        super().__init__(tar, index, epoch)
        self._older = older
        self._members = layer.parse(known)
        self._lines = layer.Lines(known)
        self._spans: dict[bytes, range] = {}
        self.written: set[int] | None = None
        """The chunks, by number, in which the tar may differ from the older one, when it is closed; None if in any."""

    def keep(self, folder: str) -> None:
        """Take all that is below a folder out of the older layer, itself too where it was added as it was there.

        Nothing else is to be added there.
        """
        name = layer.name_by_name(folder)
        first, end = bisect_right(self._members, name, key=_key), len(self._members)
        if folder:
            first, end = (bisect_left(self._members, name + after, key=_key) for after in (b"\0", b"\1"))
        added = self._entries.get(folder)
        if first and added and added[0] == self._members[first - 1]:
            self._entries.pop(folder)
            first -= 1
        if first < end:
            self._spans[_key(self._members[first])] = range(first, end)

    def close(self) -> None:
        """Write the tar and its index."""
        draft = self._tar.with_name(f"{self._tar.name}.new")
        with draft.open("w+b") as new, self._older.open("r+b") as older:
            pieces = self._pieces(_Draft(new), older)
            new.flush()
            places = _places(pieces)
            if all(piece.start == at for piece, at in zip(pieces, places, strict=False) if piece.old):
                self._write_into(older, new, pieces, places)
                self._older.rename(self._tar)
            else:
                with self._tar.open("xb") as out:
                    for piece, at in zip(pieces, places, strict=False):
                        _copy(older if piece.old else new, piece, out, at)
                    os.pwrite(out.fileno(), tars.END, places[-1])
        draft.unlink()
        self._write_index(pieces, places)

    def _pieces(self, draft: _Draft, older: BinaryIO) -> list[_Piece]:
        """Return what the tar is made of, in its order, what is new written to a draft."""
        paths = {layer.name_by_name(path): path for path in self._entries}
        span = range(0)
        for name in sorted((*paths, *self._spans)):
            found = self._spans.get(name, range(0))
            if found.start == span.stop and found and span:
                span = range(span.start, found.stop)
                continue
            self._keep_span(span, draft, older)
            span = found
            if name in paths:
                draft.add(*self._entries[paths[name]])
        self._keep_span(span, draft, older)
        return draft.pieces

    def _keep_span(self, span: range, draft: _Draft, older: BinaryIO) -> None:
        """Take members from the older tar, from the first file to the last; headers before and behind are made anew."""
        files = (number for number in span if self._members[number].type == "f")
        first = next(files, span.stop)
        last = next((number for number in reversed(span) if self._members[number].type == "f"), first)
        for number in range(span.start, first):
            draft.add(self._members[number])
        if first == span.stop:
            return
        member = self._members[first]
        header = tars.header(member)
        start = member.offset - len(header)
        if os.pread(older.fileno(), len(header), start) != header:
            raise StageError(f"{self._older} is not what its index says", "Run the same command again.")
        end = layer.ends(self._members[last], 0)
        lines = self._lines.text(first + 1, last + 1)
        draft.pieces.append(_Piece(start, end, self._members[first : last + 1], old=True, lines=lines))
        for number in range(last + 1, span.stop):
            draft.add(self._members[number])

    def _write_into(self, older: BinaryIO, new: BinaryIO, pieces: list[_Piece], places: list[int]) -> None:
        size, written = os.fstat(older.fileno()).st_size, set[int]()
        for piece, at in zip(pieces, places, strict=False):
            if not piece.old:
                _copy(new, piece, older, at)
                written.update(range(at // CHUNK, -(-(at + piece.end - piece.start) // CHUNK)))
        os.pwrite(older.fileno(), tars.END, places[-1])
        older.truncate(places[-1] + len(tars.END))
        self.written = written if size == places[-1] + len(tars.END) else None

    def _write_index(self, pieces: list[_Piece], places: list[int]) -> None:
        members: list[Entry] = []
        lines: list[bytes] = []
        end = 0
        for piece, at in zip(pieces, places, strict=False):
            moved = list(_moved(piece.members, at - piece.start))
            members += moved
            for each in moved[:1] if piece.old else moved:  # of old ones the first may follow upon another file
                lines.append(layer.line(each, end).encode("ascii"))
                end = layer.ends(each, end)
            if piece.lines:
                lines.append(piece.lines)
                end = layer.ends(moved[-1], end)
        layer.write_lines(self._index, lines, tuple(members))


def _key(entry: Entry) -> bytes:
    return layer.name_by_name(entry.path)


def _places(pieces: list[_Piece]) -> list[int]:
    """Return where pieces go in a tar that they make, and where they end."""
    places = [0]
    for piece in pieces:
        places.append(places[-1] + piece.end - piece.start)
    return places


def _moved(members: Sequence[Entry], by: int) -> Iterator[Entry]:
    if not by:
        return iter(members)
    return (each._replace(offset=each.offset + by) if each.type == "f" else each for each in members)


def _copy(source: BinaryIO, piece: _Piece, target: BinaryIO, at: int) -> None:
    for place in range(piece.start, piece.end, CHUNK):
        data = os.pread(source.fileno(), min(CHUNK, piece.end - place), place)
        os.pwrite(target.fileno(), data, at + place - piece.start)
