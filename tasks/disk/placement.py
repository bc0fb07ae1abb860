"""Where kernel and initrd stand, and which partitions loaders put files on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Placement:
    """`partition` holds both; the paths are inside it, `{id}` and `{version}` being the kernel's facts.

    All are empty where a loader brings its kernels along. `own`: the kernel is none of the tree's, and takes the place
    of one that has its name there.
    """

    partition: str
    kernel: str
    initrd: str
    own: bool = False

    def named(self, facts: Mapping[str, str]) -> tuple[str, str]:
        """Return the paths of kernel and initrd for the kernel that was built."""
        return self.kernel.format_map(facts), self.initrd.format_map(facts)
