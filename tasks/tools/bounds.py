"""What a host program may take that reads bytes of people unknown: time, memory, the size of a file."""

from __future__ import annotations

from typing import NamedTuple

from bootsmith.tasks.tools.programs import find
from bootsmith.tasks.tools.tool import SH

# A limit that is lower already stays: it cannot be raised, and need not be.
_GUARD = 'for each in "$1" "$2" "$3" "-c 0"; do ulimit $each 2>/dev/null || :; done; shift 3; exec "$@"'


class Bounds(NamedTuple):
    """Seconds of a processor, bytes of memory, bytes of each file that is written."""

    seconds: int
    memory: int
    file: int = 0

    def command(self) -> list[str]:
        """Return the words before the program's own."""
        limits = f"-t {self.seconds}", f"-v {self.memory >> 10}", f"-f {-(-self.file // 512)}"
        return [str(find(SH)), "-c", _GUARD, "sh", *limits]


READER = Bounds(30, 1 << 30)
"""For what only looks into a disk image: it writes nothing."""
