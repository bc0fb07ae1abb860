"""How a stage packs a file, such that the same file gives the same bytes on any machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

PACK: Final[Mapping[str, tuple[str, ...]]] = {
    # neither name nor time, and the same bytes on any number of cores: xz and zstd cut what they pack into pieces of
    # one size as soon as they may use two threads, whether there are as many or not
    "gzip": ("gzip", "-nc"),
    "xz": ("xz", "-c", "--block-size=24MiB"),
    "zstd": ("zstd", "-qc"),
}


def packing(how: str) -> tuple[str, ...]:
    """Return the words that pack what is given to stdout; none for "none"."""
    threads = max(2, min(16, os.cpu_count() or 2))
    return PACK.get(how, ()) if how in ("gzip", "none") else (*PACK[how], f"-T{threads}")
