"""One tar of a whole tree: what layers laid over each other come to, in an order that any tar unpacks."""

from __future__ import annotations

import mmap
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import tar as tars

if TYPE_CHECKING:
    from bootsmith.tasks.tree.tar import Entry

View: TypeAlias = "mmap.mmap | bytes"

EMPTY: Final = b""
_HELD: Final = 1 << 20


@contextmanager
def views(files: Sequence[Path]) -> Iterator[list[View]]:
    """Hold files as memory; what is read of them is what the page cache has."""
    with ExitStack() as stack:
        found: list[View] = []
        for path in files:
            file = stack.enter_context(path.open("rb"))
            size = os.fstat(file.fileno()).st_size
            found.append(stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) if size else EMPTY)
        yield found


Member: TypeAlias = "tuple[Entry, int | bytes | Path]"
"""An entry, and where its data is: the number of the tar that has it, a file of the host, or the data itself."""


def write(target: Path, members: Iterable[Member], sources: Sequence[Path]) -> None:
    """Write members into one tar, folders before what is in them, and hard links last."""
    ordered = sorted(members, key=lambda each: (each[0].type == "h", os.fsencode(each[0].path).split(b"/")))
    with views(sources) as held, target.open("wb", _HELD) as out:
        for entry, source in ordered:
            out.write(tars.header(entry))
            if isinstance(source, bytes):
                out.write(source)
            elif isinstance(source, Path):
                with source.open("rb") as file:
                    shutil.copyfileobj(file, out, _HELD)
                    steady = file.tell() == entry.size
                if not steady:
                    raise StageError(f"{shown(source)} changed while it was read", "Run the same command again.")
            elif entry.type == "f":
                with memoryview(held[source]) as view:
                    out.write(view[entry.offset : entry.offset + entry.stored])
            out.write(b"\0" * (-entry.stored % tars.BLOCK))
        out.write(tars.END)


def members(entries: Mapping[str, tuple[int, Entry]]) -> Iterator[Member]:
    """Yield the members of a merged tree, as `layer.merge` has it."""
    for number, entry in entries.values():
        yield entry, number
