"""What the system refuses, in words: what, where, and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from bootsmith.tasks.build.system_errors import in_words
from bootsmith.tasks.errors import StageError


def refused(number: int, *paths: str) -> OSError:
    """Return an error as the system gives it."""
    first, second = (*paths, None, None)[:2]
    return OSError(number, os.strerror(number), first, None, second)


@pytest.mark.parametrize(
    ("number", "said", "hint"),
    [
        (errno.ENOSPC, "x: no space left for /there/file: ", "nothing finished is lost"),
        (errno.EDQUOT, "x: no space left for /there/file: ", "nothing finished is lost"),
        (errno.EROFS, "x: /there/file: Read-only file system", "may be written"),
        (errno.EACCES, "x: /there/file: Permission denied", "yours to read"),
        (errno.EISDIR, "x: /there/file: Is a directory", "in the way"),
        (errno.ENOTDIR, "x: /there/file: Not a directory", "in the way"),
        (errno.EEXIST, "x: /there/file: File exists", "in the way"),
        (errno.EMFILE, "x: /there/file: Too many open files", "ulimit -n"),
        (errno.EFBIG, "x: /there/file: File too large", "smaller size"),
        (errno.EIO, "x: /there/file: Input/output error", "dmesg"),
    ],
)
def test_what_is_the_users_to_mend_is_said(tmp_path: Path, number: int, said: str, hint: str) -> None:
    """A full disk, a folder in the way, a file that may not be read: which one, and what to do."""
    found = in_words(refused(number, "/there/file"), "x", tmp_path)
    assert isinstance(found, StageError)
    assert found.message.startswith(said)
    assert hint in found.hint


def test_both_ends_of_a_move_are_said() -> None:
    """A link or a mount below the build directory may lead to another file system."""
    found = in_words(refused(errno.EXDEV, "/here/a", "/there/a"), "x")
    assert isinstance(found, StageError)
    assert found.message.startswith("x: /here/a -> /there/a: ")
    assert "another file system" in found.hint


def test_an_error_that_does_not_say_where_has_the_place_of_the_work(tmp_path: Path) -> None:
    """A write to an open file names none."""
    assert str(tmp_path) in str(in_words(OSError(errno.EROFS, "Read-only file system"), "x", tmp_path))


def test_a_bug_of_ours_stays_one(tmp_path: Path) -> None:
    """A file that we expect and that is not there is no mistake of the user's, nor is an error without a place."""
    for error in (refused(errno.ENOENT, "/there/file"), refused(errno.EINVAL, "/there/file")):
        assert in_words(error, "x", tmp_path) is error
    nowhere = OSError(errno.EACCES, "Permission denied")
    assert in_words(nowhere, "x") is nowhere
