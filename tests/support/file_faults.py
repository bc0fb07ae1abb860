"""Faults on demand: a Python that is killed, or refused, at the n-th change it makes to the files below some folders.

Python tells audit hooks of every opening, renaming, removing and making before it happens. A program started with
`environment(...)` counts those below the folders named; at the n-th it ends by SIGKILL, or the operation fails.
"""

from __future__ import annotations

import errno
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

FIRED = "the fault came"

HOOK = f"""
    import atexit, errno, os, signal, sys

    LEFT = [int(os.environ["FAULT_AT"])]
    KIND = os.environ["FAULT_KIND"]
    BELOW = tuple(os.environ["FAULT_BELOW"].split(":"))
    CHANGES = {{"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.chmod"}}
    WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def hook(event, args):
        if event not in CHANGES and not (event == "open" and isinstance(args[2], int) and args[2] & WRITING):
            return
        named = args[0]
        if isinstance(named, int):
            return
        path = os.fsdecode(named)
        inside = path.startswith(BELOW) or (event != "open" and not os.path.isabs(path))
        if not inside or path.endswith(os.environ["FAULT_SPARED"]):
            return
        LEFT[0] -= 1
        if LEFT[0] == 0:
            if KIND == "KILL":
                os.kill(os.getpid(), signal.SIGKILL)
            os.write(2, b"{FIRED}\\n")
            number = getattr(errno, KIND)
            raise OSError(number, os.strerror(number), path)

    def tell():
        with open(os.environ["HOOK"] + "/seen", "w") as seen:
            seen.write(str(-LEFT[0]))

    if LEFT[0] == 0:
        atexit.register(tell)
    sys.addaudithook(hook)
    for folder in sys.path:  # the one that this one hides
        if folder != os.environ["HOOK"] and os.path.exists(folder + "/sitecustomize.py"):
            exec(open(folder + "/sitecustomize.py").read())
            break
"""


def environment(scratch: Path, kind: str, at: int, below: Iterable[Path], spared: str) -> Mapping[str, str]:
    """Return what to add to a Python's environment so that its `at`-th change below `below` meets the fault.

    `kind` is KILL or an errno's name, such as ENOSPC. Paths that end in `spared` are not counted. With `at` 0 nothing
    happens, and `seen` tells afterwards how many changes there were.
    """
    assert kind == "KILL" or hasattr(errno, kind)
    folder = scratch / "hook"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(textwrap.dedent(HOOK))
    return {
        "FAULT_AT": str(at),
        "FAULT_KIND": kind,
        "FAULT_BELOW": ":".join(map(str, below)),
        "FAULT_SPARED": spared,
        "HOOK": str(folder),
    }


def seen(scratch: Path) -> int:
    """Return how many changes the last program made whose fault was awaited at 0."""
    return int((scratch / "hook/seen").read_text())
