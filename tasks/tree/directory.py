"""A tree that is there already, or an empty one, as the base layer."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.cache.display import shown
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import host_files, image_archive

if TYPE_CHECKING:
    from bootsmith.tasks.tree.layer import LayerWriter


@dataclass(frozen=True)
class DirectoryParams(Params):
    """`owners` is what `ownership.facts` told, None where all is root's; `modes` are "keep", or "exec", by that bit."""

    epoch: int
    owners: str | None
    modes: str


def pack(ctx: Context) -> None:
    """Pack a directory: all root's unless owners are kept, modes as they are or by exec bit; the top open to all."""
    from bootsmith.tasks.tree import ownership

    top = ctx.inputs["directory"]
    if not top.is_dir():
        raise StageError(f"{shown(top)} is not a directory", "Let source.directory name one.")
    params = DirectoryParams.of(ctx)
    keep = params.owners is not None
    owners = ownership.of(top)
    with host_files.steady(top), _writer(ctx, params.epoch) as writer:
        mode = by_exec_bit if params.modes == "exec" else kept_mode
        add_tree(writer, top, owners.inside if keep else lambda _: (0, 0), mode)
    if keep and ownership.facts(top) != params.owners:
        raise StageError(f"{shown(top)}: owners changed while it was packed", "Run the same command again.")


def kept_mode(status: os.stat_result) -> int:
    """Return a file's mode as it is."""
    return stat.S_IMODE(status.st_mode)


def by_exec_bit(status: os.stat_result) -> int:
    """Return the mode that a file has whatever the umask was when it was checked out."""
    return 0o755 if stat.S_ISDIR(status.st_mode) or status.st_mode & 0o111 else 0o644


def add_tree(
    writer: LayerWriter,
    top: Path,
    owner: Callable[[os.stat_result], tuple[int, int]],
    mode: Callable[[os.stat_result], int] = kept_mode,
) -> None:
    """Add all that is in a directory, but for the top itself; `owner` tells user and group of a file."""
    from bootsmith.tasks.tree.layer import WHITEOUT

    _refuse_images(top)
    names: dict[tuple[int, int], str] = {}
    for path, file, status in host_files.below(top):
        if file.name.startswith(WHITEOUT):
            raise StageError(
                f"{shown(file)}: layers mean something else by {WHITEOUT}*, that a file is removed",
                "Give it another name.",
            )
        inode = status.st_dev, status.st_ino
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode) and inode in names:
            writer.add_hard_link(path, names[inode])
            continue
        names[inode] = path
        _add(writer, path, file, status, owner(status), mode(status))


def _refuse_images(top: Path) -> None:
    there = [top / name for name in (image_archive.DOCKER, image_archive.OCI)]
    sizes = [(each.name, each.stat().st_size) for each in there if each.is_file() and not each.is_symlink()]
    image_archive.check(shown(top), sizes, lambda name: (top / name).read_bytes())


def _add(  # noqa: PLR0917  the order of chown and chmod
    writer: LayerWriter, path: str, file: Path, status: os.stat_result, owner: tuple[int, int], mode: int
) -> None:
    uid, gid = owner
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFREG:
            writer.add_file(path, file, mode, uid, gid, xattrs=_attributes(file))
        case stat.S_IFDIR:
            writer.add_directory(path, mode, uid, gid, xattrs=_attributes(file))
        case stat.S_IFLNK:
            writer.add_symlink(path, os.readlink(file), uid, gid)  # noqa: PTH115  any bytes, as they are
        case stat.S_IFCHR | stat.S_IFBLK as kind:
            numbers = os.major(status.st_rdev), os.minor(status.st_rdev)
            letter = "c" if kind == stat.S_IFCHR else "b"
            writer.add_device(path, letter, *numbers, mode=mode, uid=uid, gid=gid)
        case stat.S_IFIFO:
            writer.add_fifo(path, mode, uid, gid)
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


def _attributes(file: Path) -> dict[str, bytes]:
    """Return a file's extended attributes, but for those that a host gives by itself and a fingerprint leaves out."""
    from bootsmith.cache.digest.attributes import HOST_GIVEN

    try:
        names = os.listxattr(file, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        return {}
    kept = [name for name in names if not os.fsencode(name).startswith(HOST_GIVEN)]
    return {name: os.getxattr(file, name, follow_symlinks=False) for name in kept}
