"""Whether the secrets that a run will read are there: asked before packages are resolved or anything is built.

It spares the wait, and decides nothing: who reads a secret finds out what is in it, and whether it is still there.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.cache.display import shown

if TYPE_CHECKING:
    from bootsmith.tasks.build.secret import Secret


def missing(secrets: Iterable[Secret], builds: Path) -> list[str]:
    """Return what is wrong with secrets, each as `file:line:column: key: what; what to do`. None of them is read.

    A file below the folder `builds` is left out: a stage may be about to make it.
    """
    found = [(each, _wrong(each, builds)) for each in dict.fromkeys(secrets)]
    return [f"{each.where}: {what}" for each, what in found if what]


def _wrong(secret: Secret, builds: Path) -> str | None:
    if secret.file is not None:
        return _wrong_file(secret.file, builds, secret.holds)
    if secret.env is not None and secret.env not in os.environ:
        return f"the environment variable {secret.env} is not set; let it hold {secret.holds} or name another one"
    return None


def _wrong_file(file: Path, builds: Path, holds: str) -> str | None:
    if file.resolve().is_relative_to(builds.resolve()):
        return None
    name = shown(Path(os.path.normpath(file)))
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # what is read more than once, and must not be waited for
            return f"{name} is not a file; name another one"
        with file.open("rb"):
            return None
    except (FileNotFoundError, NotADirectoryError):
        folder = shown(Path(os.path.normpath(file.parent)))
        first = "" if file.parent.exists() else f"`mkdir -p -m 700 {shlex.quote(folder)}`, then "
        return f"there is no file {name}; {first}write {holds} into it, or name another file"
    except OSError as error:
        return f"{name} cannot be read: {error.strerror}; let it be yours to read, or name another file"
