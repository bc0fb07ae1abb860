"""A tree that is there already, or an empty one, as the base layer."""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import acl, host_files, image_archive

if TYPE_CHECKING:
    from bootsmith.tasks.tree.layer import LayerWriter


_CAPABILITY: Final = "security.capability"
_CAPABILITIES: Final = struct.Struct("<6I")


@dataclass(frozen=True)
class DirectoryParams(Params):
    """`owners` and `times` are what `ownership.facts` told: None where all is root's, where all is of the epoch.

    `modes` are "keep", or "exec", by that bit.
    """

    epoch: int
    owners: str | None
    modes: str
    times: str | None


def pack(ctx: Context) -> None:
    """Pack a directory: all root's unless owners are kept, modes as they are or by exec bit; the top open to all.

    Times are the image's unless they are kept.
    """
    from bootsmith.tasks.tree import ownership

    top = ctx.inputs["directory"]
    if not top.is_dir():
        raise StageError(f"{shown(top)} is not a directory", "Let source.directory name one.")
    params = DirectoryParams.of(ctx)
    owners = ownership.of(top)
    time = ownership.mtime if params.times is not None else None
    with host_files.steady(top), _writer(ctx, params.epoch) as writer:
        mode = by_exec_bit if params.modes == "exec" else kept_mode
        add_tree(writer, top, owners.inside if params.owners is not None else None, mode, time)
        if time:
            writer.date("", time(top.stat()))
    check_unchanged(top, params.owners, params.times)


def check_unchanged(top: Path, owners: str | None, times: str | None) -> None:
    """Refuse a directory of which other facts hold than those told, None where nobody asked. Raises StageError."""
    from bootsmith.tasks.tree import ownership

    if (owners, times) == (None, None):
        return
    now = ownership.facts(top)
    for was, fact, what in ((owners, now.owners, "owners"), (times, now.times, "times")):
        if was not in (None, fact):
            raise StageError(f"{shown(top)}: {what} changed while it was packed", "Run the same command again.")


def kept_mode(status: os.stat_result) -> int:
    """Return a file's mode as it is."""
    return stat.S_IMODE(status.st_mode)


def by_exec_bit(status: os.stat_result) -> int:
    """Return the mode that a file has whatever the umask was when it was checked out."""
    return 0o755 if stat.S_ISDIR(status.st_mode) or status.st_mode & 0o111 else 0o644


def add_tree(
    writer: LayerWriter,
    top: Path,
    owner: Callable[[int, int], tuple[int, int]] | None,
    mode: Callable[[os.stat_result], int] = kept_mode,
    time: Callable[[os.stat_result], int] | None = None,
) -> None:
    """Add all that is in a directory, but for the top itself.

    `owner` tells what a user and a group of this host are in the tree; all is root's where it is None. Access control
    lists are kept with modes, and are made out by a checkout's umask where modes are. `time` tells when a file was
    changed; where it is None the writer does.
    """
    from bootsmith.tasks.tree.layer import WHITEOUT

    _refuse_images(top)
    names: dict[tuple[int, int], str] = {}
    for path, file, status in host_files.below(top):
        if path.rpartition("/")[2].startswith(WHITEOUT):
            raise StageError(
                f"{shown(file)}: layers mean something else by {WHITEOUT}*, that a file is removed",
                "Give it another name.",
            )
        inode = status.st_dev, status.st_ino
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode) and inode in names:
            writer.add_hard_link(path, names[inode])
            continue
        names[inode] = path
        xattrs = attributes(file, owner, keep_acls=mode is kept_mode)
        whose = owner(status.st_uid, status.st_gid) if owner else (0, 0)
        _add(writer, path, file, status, whose, mode(status), xattrs)
        if time:
            writer.date(path, time(status))


def _refuse_images(top: Path) -> None:
    there = [top / name for name in (image_archive.DOCKER, image_archive.OCI)]
    sizes = [(each.name, each.stat().st_size) for each in there if each.is_file() and not each.is_symlink()]
    image_archive.check(shown(top), sizes, lambda name: (top / name).read_bytes())


def _add(  # noqa: PLR0917  the order of chown and chmod
    writer: LayerWriter,
    path: str,
    file: str,
    status: os.stat_result,
    owner: tuple[int, int],
    mode: int,
    xattrs: Mapping[str, bytes],
) -> None:
    uid, gid = owner
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFREG:
            writer.add_file(path, file, mode, uid, gid, xattrs)
        case stat.S_IFDIR:
            writer.add_directory(path, mode, uid, gid, xattrs)
        case stat.S_IFLNK:
            writer.add_symlink(path, os.readlink(file), uid, gid, xattrs)  # noqa: PTH115  any bytes, as they are
        case stat.S_IFCHR | stat.S_IFBLK as kind:
            numbers = os.major(status.st_rdev), os.minor(status.st_rdev)
            letter = "c" if kind == stat.S_IFCHR else "b"
            writer.add_device(path, letter, *numbers, mode=mode, uid=uid, gid=gid, xattrs=xattrs)
        case stat.S_IFIFO:
            writer.add_fifo(path, mode, uid, gid, xattrs)
        case _:
            raise StageError(f"{shown(file)} is a socket, which no image can hold", "Remove it from the directory.")


@dataclass(frozen=True)
class EmptyParams(Params):
    """When the tree was made."""

    epoch: int


def make_empty(ctx: Context) -> None:
    """Write a layer with nothing but the top in it."""
    _writer(ctx, EmptyParams.of(ctx).epoch).close()


def _writer(ctx: Context, epoch: int) -> LayerWriter:
    from bootsmith.tasks.tree.layer import LayerWriter

    writer = LayerWriter(ctx.outputs["tar"], ctx.outputs["index"], epoch)
    writer.add_directory("")
    return writer


def attributes(
    file: str | Path, owner: Callable[[int, int], tuple[int, int]] | None, *, keep_acls: bool = True
) -> dict[str, bytes]:
    """Return a file's extended attributes, but for those that a host gives by itself and a fingerprint leaves out."""
    from bootsmith.cache.digest.attributes import HOST_GIVEN

    try:
        names = os.listxattr(file, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        return {}
    kept = [name for name in names if not os.fsencode(name).startswith(HOST_GIVEN)]
    found = {name: os.getxattr(file, name, follow_symlinks=False) for name in kept}
    if owner and _CAPABILITY in found:
        found[_CAPABILITY] = _given_inside(found[_CAPABILITY], owner)
    for name in acl.NAMES & found.keys():
        if keep_acls:
            found[name] = _translated(file, found[name], owner)
        else:
            del found[name]
    return found


def _given_inside(value: bytes, owner: Callable[[int, int], tuple[int, int]]) -> bytes:
    """Return capabilities without the root that gave them where the tree takes it for its own.

    Linux, include/uapi/linux/capability.h: what a user namespace's root gives names that user (revision 3).
    """
    if len(value) != _CAPABILITIES.size:
        return value
    (magic, *rights, root) = _CAPABILITIES.unpack(value)
    if magic >> 24 != 3 or owner(root, 0)[0] != 0:
        return value
    return struct.pack("<5I", 2 << 24 | magic & 0xFFFFFF, *rights)


def _translated(file: str | Path, value: bytes, owner: Callable[[int, int], tuple[int, int]] | None) -> bytes:
    """Return an access control list with the tree's numbers for those that it names."""
    rows = acl.decode(value)
    if owner is None and acl.names(rows):
        raise StageError(
            f"{shown(file)}: its access control list names users or groups of this host, and all is to become root's",
            "Take the list off (setfacl -b), or keep owners: source.directory.owner: keep.",
        )
    translated = acl.mapped(rows, owner) if owner else rows
    assert translated is not None, "everybody has a number inside"
    return acl.encode(translated)
