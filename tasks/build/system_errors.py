"""What the system refuses, in words for the user: what, where, and what to do about it. The one place that has them."""

from __future__ import annotations

import errno
from pathlib import Path

from bootsmith.cache.display import human
from bootsmith.tasks.errors import BootsmithError, StageError

FULL = (errno.ENOSPC, errno.EDQUOT)
ROOM = "Free some, or point BOOTSMITH_CACHE at a larger disk; nothing finished is lost."
ROOM_THERE = "Free some, or work on a larger disk."
"""What to do where a file of the user's own finds no room."""
_IN_THE_WAY = "Move what is in the way: a file stands where a folder should, or a folder where a file should."
_TO_MEND = {
    errno.EACCES: "Make it yours to read, and to write where it is made anew.",
    errno.EPERM: "Make it yours to read, and to write where it is made anew.",
    errno.EROFS: "Make its file system one that may be written, or work elsewhere.",
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EISDIR: _IN_THE_WAY,
    errno.ENOTEMPTY: _IN_THE_WAY,
    errno.EXDEV: "A link or a mount there leads to another file system: put a folder of its own in its place.",
    errno.ELOOP: "Links lead in a circle there: remove one.",
    errno.ENAMETOOLONG: "Work where the path is shorter.",
    errno.EMFILE: "Let more files be open at once: `ulimit -n` shows how many.",
    errno.ENFILE: "Let other programs end: the whole host has too many files open.",
    errno.EBUSY: "Let whatever holds it end.",
    errno.ETXTBSY: "Let whatever runs it end.",
    errno.EFBIG: "Take a smaller size, or a file system with larger files.",
    errno.EIO: "Look after the disk: `dmesg` may say more.",
    errno.ESTALE: "Mount the file system anew.",
}
"""What is the user's to mend. All else, a file that is not there among it, is a bug of ours and shows itself as one."""


def in_words(error: OSError, name: str, folder: Path | None = None, *, room: str = ROOM) -> BootsmithError | OSError:
    """Turn what the system refused to the work called `name` into words; what no user can mend stays what it is.

    `folder` is where that works, for an error that does not say where; `room` what to do where there is none left.
    """
    where = error.filename or folder
    if error.errno in FULL and where is not None:
        from bootsmith.tasks.build.free_space import free

        return StageError(f"{name}: no space left for {where}: {human(free(folder or Path(where)))} free", room)
    if error.errno in _TO_MEND and where is not None:
        other = f" -> {error.filename2}" if error.filename2 else ""
        return StageError(f"{name}: {where}{other}: {error.strerror}", _TO_MEND[error.errno])
    return error
