"""What was written back of a guest's changes, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bootsmith.cache.display import shown

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.writeback.apply import Report
    from bootsmith.tasks.writeback.differences import Differences

SHOWN = 3
"""Names that a line gives as examples."""


def left_out(report: Report, changes: Differences, top: Path, *, strays: bool) -> Iterator[str]:
    """Yield in words what of the guest's changes is not in the directory as it is in the guest, or is to be known."""
    anybody = top.stat().st_mode & 0o011
    open_to = f", and whoever may enter {shown(top)} may run them; to keep others out: chmod 700" if anybody else ""
    for paths, what in (
        (report.owners, "belong to somebody else in the guest, which only root can do here: they are yours"),
        (report.attributes, "have attributes in the guest that cannot be set here"),
        (report.devices, "are device nodes, which would be this host's devices: not written"),
        (list(changes.sockets), "are sockets: not written"),
        (report.set_id, f"run with the rights of others (setuid, setgid, capabilities){open_to}"),
    ):
        if paths:
            yield f"{files(len(paths))} {what}: {examples(paths)}"
    if strays:
        yield "what e2fsck put into the guest's lost+found was not written"


def done(report: Report) -> str:
    """Return what was done, by number."""
    said = [f"wrote back {files(report.written)}"]
    said += [f"made {report.made} director{'y' if report.made == 1 else 'ies'}"] if report.made else []
    said += [f"removed {report.removed}"] if report.removed else []
    return ", ".join(said)


def files(number: int) -> str:
    """Return a number of files."""
    return f"{number} file{'' if number == 1 else 's'}"


def examples(paths: list[bytes]) -> str:
    """Return the first few of these paths."""
    names = ", ".join(shown(path) for path in sorted(paths)[:SHOWN])
    return f"{names}, ..." if len(paths) > SHOWN else names
