"""What a guest changed, written into the directory its disk was made of: first all of it beside, then name by name.

Every file is made whole in a folder of our own at the tree's top, and only then renamed into its place: whatever ends
this in between, each file is the old one or the new one, and the same work done again comes to the same end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bootsmith.cache.digest.attributes import HOST_GIVEN
from bootsmith.cache.display import shown
from bootsmith.cache.files import sparse
from bootsmith.tasks.disk.ext.files import Files
from bootsmith.tasks.disk.node import WINDOW, Node
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import acl
from bootsmith.tasks.tree.ownership import Owners
from bootsmith.tasks.writeback.differences import Differences, attributes
from bootsmith.tasks.writeback.openat import Top

STAGING: Final = b".bootsmith-write"
_KINDS: Final = {
    stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p",
}  # fmt: skip
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SET_ID: Final = stat.S_ISUID | stat.S_ISGID
_CAPABILITY: Final = "security.capability"
_REFUSED: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSPC, errno.E2BIG, errno.ERANGE}


class Signature(NamedTuple):
    """What tells one state of a file from another without reading it."""

    inode: int
    mode: int
    size: int
    mtime: int


@dataclass
class Report:
    """What was done, and what of the guest's could not be kept: paths, but for the counts."""

    written: int = 0
    made: int = 0
    removed: int = 0
    devices: list[bytes] = field(default_factory=list)
    owners: list[bytes] = field(default_factory=list)
    attributes: list[bytes] = field(default_factory=list)
    set_id: list[bytes] = field(default_factory=list)


class WriteBack:
    """Brings one directory from what its disk held before to what a guest left on it."""

    def __init__(self, top: Top, changes: Differences, before: Files | None, after: Files, owners: Owners) -> None:
        self.top = top
        self.changes = changes
        self.owners = owners
        self.report = Report()
        self._before = before
        self._after = after
        self._seen: dict[bytes, Signature | None] = {}
        self._folders: dict[bytes, os.stat_result] = {}
        self._staged: list[tuple[bytes, bytes]] = []  # where a file was made, and where it goes
        self._older = {node.inode: path for path, node in changes.before.items()}  # for what was renamed
        self._staging = _unused(STAGING, {*changes.before, *changes.after})

    def strangers(self) -> list[bytes]:
        """Return the paths at which stands neither what the disk held nor what the guest left: somebody else's."""
        return [path for path in self.changes.paths if not self._is_ours(path)]

    def clear(self) -> None:
        """Remove what an earlier run was about to write."""
        self.top.sweep(self._staging)

    def run(self, say: Callable[[str], None]) -> Report:
        """Write everything. Raises StageError where somebody else writes there meanwhile, and OSError."""
        self.open_up()
        try:
            self.clear()
            if self.changes.files:
                self.top.make(self._staging)
                self._stage(say)
                os.sync()  # before any name leads to it: a name must never outlive what it names
            say("moving the files into their places")
            self._put_in_place()
            self.clear()
            self._settle_folders()
        except BaseException:
            self._close_up()
            raise
        return self.report

    def _put_in_place(self) -> None:
        for path in self.changes.removed:
            if path in self.changes.in_the_way:
                self._remove(path)
        for path in self.changes.directories:
            if self.top.status(path) is None:
                self.top.make(path)
                self.report.made += 1
        for here, path in self._staged:
            self._check_unchanged(path)
            self.top.move(here, path)
            self.report.written += 1
        for path in self.changes.removed:
            if path not in self.changes.in_the_way:
                self._remove(path)

    # -- what is there now

    def _is_ours(self, path: bytes) -> bool:
        status = self.top.status(path)
        self._seen[path] = _signature(status)
        old, new = self.changes.before.get(path), self.changes.after.get(path)
        if status is None:  # between two kinds of things there is a moment with none
            return old is None or new is None or path in self.changes.in_the_way
        return (old is not None and self._before is not None and self._is(path, status, self._before, old)) or (
            new is not None and self._is(path, status, self._after, new)
        )

    def _is(self, path: bytes, status: os.stat_result, files: Files, node: Node) -> bool:
        """Tell whether a file of the directory is that of the disk, in all that is kept in any case."""
        if _KINDS.get(stat.S_IFMT(status.st_mode)) != node.kind:
            return False
        if node.kind == "d":
            return True  # its mode may be in between
        if node.kind == "l":
            return self.top.target(path) == node.target
        if stat.S_IMODE(status.st_mode) & 0o777 != node.mode & 0o777:
            return False
        if node.kind in "cb":
            return (os.major(status.st_rdev), os.minor(status.st_rdev)) == node.device
        return node.kind == "p" or (status.st_size == node.size and self._holds(path, files, node, status))

    def _holds(self, path: bytes, files: Files, node: Node, status: os.stat_result) -> bool:
        if not status.st_mode & 0o400 and os.geteuid() != 0:  # the guest's own work of a run that was ended
            return status.st_mtime_ns == node.mtime
        with self.top.file(path) as fd:
            windows = files.windows(node)
            for start, end in sparse.extents(fd, 0, node.size):
                windows.update(range(start // WINDOW, -(-end // WINDOW)))
            return all(
                os.pread(fd, WINDOW, number * WINDOW) == files.read(node, number * WINDOW, WINDOW)
                for number in sorted(windows)
            )

    def _check_unchanged(self, path: bytes) -> None:
        if path in self._seen and self._seen[path] != _signature(self.top.status(path)):
            raise StageError(
                f"{self._shown(path)} was changed by somebody else while it was to be written",
                "Run the same command again: what is left of the guest's changes is put beside the directory.",
            )

    # -- files

    def _stage(self, say: Callable[[str], None]) -> None:
        count = len(self.changes.files)
        for number, names in enumerate(self.changes.files):
            if number % 100 == 0:
                say(f"writing {number} of {count} files")
            here = self._staging + b"/%d" % number
            node = self.changes.after[names[0]]
            with self._told_of(names[0]):
                made = self._make(here, node, names)
            if made:
                self._staged.append((here, names[0]))
                for index, name in enumerate(names[1:], 1):
                    twin = here + b".%d" % index
                    with self.top.place(here) as (fd, one), self.top.place(twin) as (_, other):
                        os.link(one, other, src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
                    self._staged.append((twin, name))

    @contextmanager
    def _told_of(self, path: bytes) -> Iterator[None]:
        """Name the file that is to be, not what it is called until then, in whatever goes wrong."""
        try:
            yield
        except OSError as error:
            error.filename = self._shown(path)
            raise

    def _make(self, here: bytes, node: Node, names: tuple[bytes, ...]) -> bool:
        """Make a file under a passing name, with all that belongs to it; tell whether it could be made."""
        with self.top.place(here) as (fd, name):
            match node.kind:
                case "f":
                    file = os.open(name, _NEW, 0o600, dir_fd=fd)
                    try:
                        self._fill(file, node)
                        self._own(file, None, node, names)
                        self._attribute(file, node, names)
                        os.fchmod(file, node.mode)
                    finally:
                        os.close(file)
                    if node.mode & _SET_ID or _CAPABILITY in node.xattrs:
                        self.report.set_id += names
                case "l":
                    os.symlink(node.target, name, dir_fd=fd)
                    self._own(name, fd, node, names)
                case "p":
                    os.mkfifo(name, 0o600, dir_fd=fd)
                    self._own(name, fd, node, names)
                    os.chmod(name, node.mode, dir_fd=fd)
                case _:  # a device node, which would be one of this host's devices to whoever opens it
                    self.report.devices += names
                    return False
            time = self._time(names[0], node)
            os.utime(name, ns=(time, time), dir_fd=fd, follow_symlinks=False)
        return True

    def _time(self, path: bytes, node: Node) -> int:
        """Return when a file was changed: as it is here where the guest left that as it was on its disk.

        What its owner may not read is known by the guest's time, when this is done again.
        """
        if not node.mode & 0o400:
            return node.mtime
        for name in filter(self.changes.before.__contains__, (path, self._older.get(node.inode, path))):
            old, status = self.changes.before[name], self._folders.get(name) or self.top.status(name)
            if status is not None and old.mtime == node.mtime:
                return status.st_mtime_ns
        return node.mtime

    def _fill(self, file: int, node: Node) -> None:
        os.ftruncate(file, node.size)
        for number in sorted(self._after.windows(node)):
            data = self._after.read(node, number * WINDOW, WINDOW)
            if data.count(0) != len(data):
                sparse.write(file, data, number * WINDOW)

    def _remove(self, path: bytes) -> None:
        if self.top.status(path) is None:
            return
        if self.changes.before[path].kind != "d":
            self._check_unchanged(path)
        try:
            self.top.remove(path)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            raise StageError(
                f"{self._shown(path)} is gone in the guest, but somebody else put something into it",
                "Move that away, and run the same command again.",
            ) from error
        self._seen[path] = None
        self.report.removed += 1

    # -- folders

    def open_up(self) -> None:
        """Note the folders in which something is to change, as they are, and let their owner write into them."""
        paths = {path.rpartition(b"/")[0] for path in self.changes.paths if path} | {b"", *self.changes.directories}
        for path in sorted(paths):
            status = self.top.status(path)
            if status is not None and stat.S_ISDIR(status.st_mode):
                self._folders[path] = status
                self.top.open_up(path)

    def _close_up(self) -> None:
        """Bring the modes of the folders back, as far as that can be."""
        for path, status in sorted(self._folders.items(), reverse=True):
            with suppress(OSError), self.top.folder(path) as fd:
                os.fchmod(fd, stat.S_IMODE(status.st_mode))

    def _settle_folders(self) -> None:
        """Give every folder that was touched its mode and times, those below first."""
        changed = set(self.changes.directories)
        for path in sorted(changed | set(self._folders), reverse=True):
            if path in changed:
                node = self.changes.after[path]
                with self.top.folder(path) as fd:
                    self._own(fd, None, node, (path,))
                    self._attribute(fd, node, (path,))
                    os.fchmod(fd, node.mode)
                    time = self._time(path, node)
                    os.utime(fd, ns=(time, time))
            elif path not in self.changes.removed:  # only what is in it changed
                status = self._folders[path]
                with self.top.folder(path) as fd:
                    os.fchmod(fd, self.changes.after[path].mode)
                    os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))

    # -- whose it is, and what else belongs to it

    def _own(self, file: int | bytes, folder: int | None, node: Node, names: tuple[bytes, ...]) -> None:
        """Give a file to whom it belongs in the guest, or to whom it belonged here if that is the same there."""
        uid, gid = self._wanted(node, names[0])
        kept = uid is not None and gid is not None
        for user, group in ((-1, gid), (uid, -1)):  # the group first: who gave a file away can do no more with it
            if user is None or group is None:
                continue
            with _tolerated() as failed:
                if folder is None:
                    os.chown(file, user, group)
                else:
                    os.chown(file, user, group, dir_fd=folder, follow_symlinks=False)
            kept = kept and not failed
        if not kept:
            self.report.owners += names

    def _wanted(self, node: Node, path: bytes) -> tuple[int | None, int | None]:
        uid, gid = self.owners.outside(node.uid, node.gid)
        old, seen = self.changes.before.get(path), self.top.status(path)
        if old is not None and seen is not None:
            uid = seen.st_uid if old.uid == node.uid else uid
            gid = seen.st_gid if old.gid == node.gid else gid
        return uid, gid

    def _attribute(self, fd: int, node: Node, names: tuple[bytes, ...]) -> None:
        """Give an open file the attributes it has in the guest, and no others."""
        wanted = attributes(node)
        kept = True
        for name in _present(fd) - set(wanted):
            with _tolerated() as failed:
                os.removexattr(fd, name)
            kept = kept and not failed
        for name, value in wanted.items():
            with _tolerated() as failed:
                os.setxattr(fd, name, self._translated(value) if name in acl.NAMES else value)
            kept = kept and not failed
        if not kept:
            self.report.attributes += names

    def _translated(self, value: bytes) -> bytes:
        """Return a guest's access control list with this host's numbers for those that it names. Raises OSError."""
        try:
            rows = acl.mapped(acl.decode(value), self.owners.outside)
        except ValueError:
            rows = None
        if rows is None:
            raise OSError(errno.EINVAL, "it names somebody whom this host does not have")
        return acl.encode(rows)

    def _shown(self, path: bytes) -> str:
        return f"{self.top.path}/{shown(path)}"


def _present(fd: int) -> set[str]:
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        return set()
    return {name for name in names if not os.fsencode(name).startswith(HOST_GIVEN)}


@contextmanager
def _tolerated() -> Iterator[list[OSError]]:
    """Yield where a refusal is noted that is the caller's rank's or the file system's, not a fault."""
    failed: list[OSError] = []
    try:
        yield failed
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        failed.append(error)


def _signature(status: os.stat_result | None) -> Signature | None:
    if status is None:
        return None
    if stat.S_ISDIR(status.st_mode):  # what is in it changes as we go
        return Signature(status.st_ino, stat.S_IFDIR, 0, 0)
    # not its ctime: that changes as another name of the file goes
    return Signature(status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns)


def _unused(name: bytes, paths: Container[bytes]) -> bytes:
    """Return a name at the top that neither tree has."""
    number, found = 1, name
    while found in paths:
        number += 1
        found = name + b"-%d" % number
    return found
