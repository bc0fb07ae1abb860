"""A disk of its own for a guest, made of a directory, and what the guest changed on it written into that directory.

What is under way stands in `build/run/NAME/write/`: the guest's disk, what it was before, and a note of which state of
the directory it was made of. As long as the note is there, the guest's changes are nowhere else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bootsmith.cache.display import shown
from bootsmith.cache.files.walk import walk
from bootsmith.tasks.build.system_errors import in_words
from bootsmith.tasks.errors import BootsmithError, StageError

if TYPE_CHECKING:
    from bootsmith.cache.digest.memo import Memo
    from bootsmith.tasks.disk.ext.files import Files
    from bootsmith.tasks.tree.ownership import Owners
    from bootsmith.tasks.writeback.differences import Differences


class Tree(NamedTuple):
    """A directory in the state in which it was made into a disk: fingerprint, and digest of its owners."""

    fingerprint: str
    owners: str


@dataclass(frozen=True, slots=True)
class GuestDisk:
    """The disk by which a guest writes to the directory `top`; what is under way is kept in `folder`, one at a time."""

    top: Path
    folder: Path
    memo: Memo

    @property
    def path(self) -> Path:
        """The disk that the guest writes to."""
        return self.folder / "guest.img"

    @property
    def _before(self) -> Path:
        return self.folder / "before.img"

    @property
    def _recovered(self) -> Path:
        return self.folder / "recovered.img"

    @property
    def _note(self) -> Path:
        return self.folder / "state.json"

    @property
    def pending(self) -> bool:
        """Whether there is something that a guest wrote and that is not in the directory yet."""
        try:
            return bool(self.path.stat().st_mtime_ns != json.loads(self._note.read_bytes())["untouched"])
        except FileNotFoundError:
            return False

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the directory against others who would write to it by way of a guest. Raises StageError."""
        from bootsmith.cache.files.lock import FileLock

        lock = FileLock(self.folder / "lock")
        if not lock.try_acquire():
            raise StageError(
                f"another machine runs with {self.top} to write to", "Wait for its end, or leave out --write."
            )
        with lock:
            yield

    def begin(self, disk: Path, tree: Tree) -> None:
        """Make the guest's disk out of the one made of the directory. Raises StageError, OSError."""
        from bootsmith.cache.files import temporary
        from bootsmith.tasks.disk import splice
        from bootsmith.tasks.tools import host

        host.find("e2fsck")  # missed now, not when the guest has ended
        check_writable(self.top)
        self._clear()
        try:
            try:
                os.link(disk, self._before)  # the stage makes new files, never writes into old ones
            except OSError:  # a file system without hard links
                splice.copy_file(disk, self._before)
            splice.copy_file(disk, self.path)
        except OSError as error:
            self._clear()
            raise in_words(error, "--write", self.folder) from error
        untouched = self.path.stat().st_mtime_ns
        note = {"tree": tree.fingerprint, "owners": tree.owners, "untouched": untouched, "begun": False}
        temporary.write(self._note, json.dumps(note).encode())

    def finish(self, doing: Callable[[str], None]) -> list[str]:
        """Write what the guest changed into the directory, or beside it where somebody else changed it meanwhile.

        Return what the user is to know of it. Raises StageError: what the guest wrote is kept then, and where is said.
        """
        try:
            return [*self._finish(doing)]
        except (StageError, OSError) as error:
            if not self.pending:
                raise
            words = in_words(error, "--write", self.top) if isinstance(error, OSError) else error
            if isinstance(words, BootsmithError):
                message, hint = words.message, words.hint
            else:
                message, hint = f"{words.filename or self.top}: {words.strerror}", ""
            raise StageError(message, f"{hint}\n  {self._kept()}".strip()) from error

    def _kept(self) -> str:
        return (
            f"What the guest wrote is kept in {self.path}: `run-dir --write` tries again; to give it up: "
            f"rm -r {self.folder}"
        )

    def _finish(self, doing: Callable[[str], None]) -> Iterator[str]:
        from bootsmith.cache.files import temporary
        from bootsmith.tasks.disk.ext.files import Files
        from bootsmith.tasks.tree import ownership
        from bootsmith.tasks.writeback import recovery, summary
        from bootsmith.tasks.writeback.apply import Report, WriteBack
        from bootsmith.tasks.writeback.openat import Top

        note = json.loads(self._note.read_bytes())
        doing("reading what the guest wrote")
        whole = recovery.at_rest(self.path, self._recovered)
        with Files(self._before) as before, Files(whole) as after, Top(self.top) as top:
            changes = self._compare(before, after)
            work = WriteBack(top, changes, before, after, ownership.of(self.top))
            changed = changes and not note["begun"] and self._state() != Tree(note["tree"], note["owners"])
            if note["begun"]:
                work.open_up()  # a folder may be closed already, as the guest left it
            strangers = work.strangers()
            if changed or strangers:
                work.clear()
                self._put_beside(changes, after, strangers, doing)
            temporary.write(self._note, json.dumps({**note, "begun": True}).encode())
            report = work.run(doing) if changes else Report()
            yield f"{summary.done(report)} in {self.top}" if changes else f"the guest changed nothing in {self.top}"
            yield from summary.left_out(report, changes, self.top, strays=after.has_strays())
        self._clear()

    def _compare(self, before: Files, after: Files) -> Differences:
        from bootsmith.tasks.disk.node import same
        from bootsmith.tasks.tree import ownership
        from bootsmith.tasks.writeback import differences

        old, new = before.tree(), after.tree()
        return differences.between(
            old, new, lambda one, other: same((before, one), (after, other)), _may_own(ownership.of(self.top))
        )

    def _state(self) -> Tree:
        from bootsmith.cache.digest.fingerprint import fingerprint
        from bootsmith.tasks.tree import ownership

        return Tree(fingerprint(self.top, self.memo), ownership.facts(self.top).owners)

    def _put_beside(
        self, changes: Differences, after: Files, strangers: list[bytes], doing: Callable[[str], None]
    ) -> None:
        """Write what the guest changed into a folder of its own. Raises StageError, always."""
        from bootsmith.tasks.tree import ownership
        from bootsmith.tasks.writeback import differences, summary
        from bootsmith.tasks.writeback.apply import WriteBack
        from bootsmith.tasks.writeback.openat import Top

        folder = _new_folder([self.top.with_name(f"{self.top.name}.guest"), self.folder.with_name("guest")])
        wanted = {path for path in changes.paths if path in changes.after}
        steps = [path.split(b"/") for path in wanted]
        wanted.update(b"/".join(each[:depth]) for each in steps for depth in range(len(each)))
        tree = {path: changes.after[path] for path in wanted | {b""}}
        owners = ownership.of(self.top)
        alone = differences.between({}, tree, lambda *_: False, _may_own(owners))
        with Top(folder) as top:
            report = WriteBack(top, alone, None, after, owners).run(doing)
        gone = [path for path in changes.removed if path not in changes.after]
        removed = ""
        if gone:
            names = folder.with_name(f"{folder.name}.removed")
            names.write_bytes(b"".join(path + b"\n" for path in sorted(gone)))
            removed = f", the names of what it removed in {names}"
        self._clear()
        where = f" ({summary.examples(strangers)})" if strangers else ""
        raise StageError(
            f"somebody else changed {self.top} while the guest ran{where}: nothing was written into it",
            f"What the guest changed is in {folder} ({summary.files(report.written)}){removed}: "
            "copy what you want of it.",
        )

    def _clear(self) -> None:
        """Forget the guest's disk; the note first, for without a note a disk is nothing."""
        for path in (self._note, self.path, self._before, self._recovered):
            path.unlink(missing_ok=True)


def check_writable(top: Path) -> None:
    """Refuse a directory in which the caller could not write everywhere. Raises StageError."""
    from bootsmith.tasks.writeback.apply import STAGING

    if (top / os.fsdecode(STAGING)).exists():
        raise StageError(
            f"{top / os.fsdecode(STAGING)} is left of a run that was interrupted, and forgotten since",
            f"Remove it: rm -r {top / os.fsdecode(STAGING)}",
        )
    if os.geteuid() == 0:
        return
    below = ((os.fsdecode(each.inside), each.status) for each in walk(top, absent=(OSError,)) if each.is_directory)
    for inside, status in chain([("", top.stat())], below):
        if status.st_uid != os.geteuid():
            raise StageError(
                f"{shown(top / inside)} is not yours, so nothing could be written into it",
                "Run this as its owner, or as root.",
            )


def _may_own(owners: Owners) -> Callable[[int, int], bool]:
    """Return what tells whether the caller may give files to a user and group of the guest."""

    def may(uid: int, gid: int) -> bool:
        user, group = owners.outside(uid, gid)
        if user is None or group is None:
            return False
        return os.geteuid() == 0 or (user == os.geteuid() and group in {os.getegid(), *os.getgroups()})

    return may


def _new_folder(names: list[Path]) -> Path:
    """Make a folder by the first of these names that can be had, numbered where it is taken. Raises StageError."""
    for name in names:
        for number in count(1):
            path = name if number == 1 else name.with_name(f"{name.name}-{number}")
            try:
                path.mkdir(0o700)
            except FileExistsError:
                continue
            except OSError:
                break  # not ours to write, or read-only
            return path
    raise StageError(f"no folder can be made beside {names[0]}", "Make room there.")
