"""What a layer holds that an earlier one of the same members held otherwise: told by their indexes, line by line."""

from __future__ import annotations

from pathlib import Path

from bootsmith.tasks.tree import layer
from bootsmith.tasks.tree.layer import Entry


def between(old: bytes, new: Path) -> list[tuple[Entry, Entry]] | None:
    """Return the members, as they were and as they are, that two indexes tell otherwise; None where they cannot tell.

    Of the old one its content is given. They cannot tell where they do not list as many, or do not know by a digest
    what each file holds.
    """
    members = layer.read_index(new)
    before, after = old.split(b"\n"), new.read_bytes().split(b"\n")
    if len(before) != len(after) or not all(each.digest for each in members if each.type == "f" and each.size):
        return None
    differ = [at for at, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    earlier = layer.parse(b"[%s]" % b",".join(before[at].rstrip(b",") for at in differ))
    return list(zip(earlier, (members[at - 1] for at in differ), strict=True))  # the first line opens the list
