"""What a tree is after something ran in it, against the tree before: a layer of what was added, changed and removed.

Files are told apart by what they are, never by a clock: type, mode, owners, attributes, links, content, and the time of
what is no folder. So what was written anew as it was is no change, and a change is found whatever the file's times say.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.tree import foreign_tar, layer, merged_tar, sandbox, tar

if TYPE_CHECKING:
    from bootsmith.tasks.tree.layer import LayerWriter
    from bootsmith.tasks.tree.merged import Tree
    from bootsmith.tasks.tree.merged_tar import View
    from bootsmith.tasks.tree.tar import Entry

AS_BEFORE: Final = re.compile(
    # What is of a running system, of one machine, a log of the work, or a cache that says when it was made.
    rf"({'|'.join(sandbox.PLACES)})(/|$)"
    r"|etc/machine-id$|var/lib/dbus/machine-id$|var/lib/systemd/(random-seed|credential\.secret)$"
    r"|var/log/((dpkg|alternatives|bootstrap|fontconfig)\.log$|apt/)"
    r"|var/cache/(apt/|man/|ldconfig/|debconf/[^/]*-old$)"
    r"|var/lib/dpkg/([^/]*-old$|lock$|lock-frontend$|triggers/Lock$)"
    r"|var/lib/apt/(lists/|periodic/|daily_lock$)"
)
"""What a layer never holds: as far as it goes, the tree stays as it was."""
_PIECE: Final = 1 << 20


class Changes:
    """The tree `before`, and the tar of it `after` something ran in it; the latter is checked as any foreign tar is."""

    def __init__(self, before: Tree, after: Path, *, network: bool) -> None:
        self.before = before
        self.tar = after
        self.after = {entry.path: entry for entry in foreign_tar.settled(list(tar.scan(after)), after)}
        self._stubs = sandbox.stubs(before)
        self._resolver = before.place(sandbox.RESOLVER) if network else None
        self._groups_before = _groups({path: entry for path, (_, entry) in before.entries.items()})
        self._groups_after = _groups(self.after)
        tars = before.tars
        with merged_tar.views([*tars, after]) as views:
            self._views: Sequence[View] = views[:-1]
            self._view: View = views[-1]
            self.changed = sorted(path for path in self.after if not self._stays(path) and not self._is_same(path))
        self.removed = sorted(path for path in before.entries if self._is_gone(path))

    def file(self, path: str) -> Entry:
        """Return the entry afterwards that has the data of a file with several names, or else its own."""
        entry = self.after[path]
        return self.after[entry.link] if entry.type == "h" else entry

    def data(self, path: str) -> bytes:
        """Return the content of a file afterwards, nothing where there is no such file."""
        entry = self.file(path) if path in self.after else None
        return layer.read_member(self.tar, entry) if entry and entry.type == "f" else b""

    def text(self, path: str) -> str:
        return self.data(path).decode("utf-8", "surrogateescape")

    def leave_out(self, paths: Collection[str]) -> None:
        """Let changes not be any."""
        self.changed = [path for path in self.changed if path not in paths]

    def write(self, writer: LayerWriter, epoch: int, began: int) -> None:
        """Write the layer. Times are kept where they are of before `epoch`, and of before the work `began`."""
        holders: dict[str, str] = {}
        for path in self.changed:
            entry = self.file(path)
            holder = holders.setdefault(entry.path, path)
            if holder != path:
                writer.add_hard_link(path, holder)
                continue
            kept = self._unseen(path, entry)
            found = entry._replace(path=path, xattrs={**kept, **entry.xattrs} if kept else entry.xattrs)
            writer.add_copy(found, self.tar, mtime=_time(entry, epoch, began))
        for path in self.removed:
            writer.add_whiteout(path)

    # -- what counts

    def _stays(self, path: str) -> bool:
        if AS_BEFORE.match(path) or path == self._resolver:
            return True
        stub = self._stubs.get(path)
        entry = self.after.get(path)
        if stub is None or entry is None or entry.type != "f" or entry.size != len(stub):
            return False
        return layer.read_member(self.tar, entry) == stub

    def _is_same(self, path: str) -> bool:
        found = self.before.entries.get(path)
        if found is None:
            return False
        number, old = found
        if old.type == "h":
            number, old = self.before.entries[old.link]
        new = self.file(path)
        if _facts(old) != _facts(new) or self._groups_before.get(path) != self._groups_after.get(path):
            return False
        if any(old.xattrs.get(name) != value for name, value in new.xattrs.items()):
            return False
        return new.type != "f" or self._has_same_data(number, old, new)

    def _has_same_data(self, number: int, old: Entry, new: Entry) -> bool:
        if old.stretches is None and new.stretches is None:
            one, other, ahead = self._views[number], self._view, new.offset - old.offset
            places = range(old.offset, old.offset + old.size, _PIECE)  # bytes, which are compared faster than memory is
            ends = (min(place + _PIECE, old.offset + old.size) for place in places)
            return all(
                one[place:end] == other[place + ahead : end + ahead] for place, end in zip(places, ends, strict=True)
            )
        with layer.open_member(self.before.tars[number], old) as was, layer.open_member(self.tar, new) as now:
            while data := was.read(_PIECE):
                if data != now.read(len(data)):
                    return False
        return True

    def _is_gone(self, path: str) -> bool:
        """Tell whether a path is to be hidden by itself: what it lay in is still a folder."""
        entry = self.before.entries[path][1]
        if path in self.after or self._stays(path) or not path:
            return False
        above = self.after.get(path.rpartition("/")[0])
        if above is None or above.type != "d":
            return False
        target = self.before.entries[entry.link][1] if entry.type == "h" else entry
        return target.type not in sandbox.UNMADE

    def _unseen(self, path: str, new: Entry) -> dict[str, bytes]:
        """Return the attributes that the file had before and that nothing in the tree could see."""
        found = self.before.entries.get(path)
        if found is None:
            return {}
        old = self.before.entries[found[1].link][1] if found[1].type == "h" else found[1]
        if old.type != new.type:
            return {}
        return {name: value for name, value in old.xattrs.items() if name not in sandbox.KEPT_ATTRIBUTES}


def _facts(entry: Entry) -> tuple[object, ...]:
    """Return all that a file is beside its content; a symlink's mode means nothing, a folder's time comes and goes."""
    seen = {name: value for name, value in entry.xattrs.items() if name in sandbox.KEPT_ATTRIBUTES}
    return (
        entry.type,
        None if entry.type == "l" else entry.mode,
        entry.uid,
        entry.gid,
        entry.size,
        entry.link,
        entry.mtime if entry.type == "f" else None,
        seen,
    )


def _time(entry: Entry, epoch: int, began: int) -> int:
    return epoch if entry.mtime > epoch or entry.mtime >= began else entry.mtime


def _groups(entries: Mapping[str, Entry]) -> dict[str, frozenset[str]]:
    """Return the names of each file that has several, by each of them."""
    found: dict[str, set[str]] = {}
    for path, entry in entries.items():
        if entry.type == "h":
            found.setdefault(entry.link, {entry.link}).add(path)
    return {name: frozenset(group) for group in found.values() for name in group}
