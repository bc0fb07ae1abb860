"""What was written back of a guest's changes, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsmith.tasks.writeback.apply import Report
    from bootsmith.tasks.writeback.differences import Differences

SHOWN = 3
"""Names that a line gives as examples."""


def left_out(report: Report, changes: Differences, *, strays: bool) -> Iterator[str]:
    """Yield in words what of the guest's changes is not in the directory as it is in the guest."""
    for paths, what in (
        (report.owners, "belong to somebody else in the guest, which only root can do here: they are yours"),
        (report.attributes, "have attributes in the guest that cannot be set here"),
        (report.devices, "are device nodes, which only root can make: not written"),
        (list(changes.sockets), "are sockets: not written"),
        (report.set_id, "run with the rights of their owner or group (setuid, setgid)"),
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
    from bootsmith.cache.display import shown

    names = ", ".join(shown(path) for path in sorted(paths)[:SHOWN])
    return f"{names}, ..." if len(paths) > SHOWN else names
