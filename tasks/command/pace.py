"""How a stage gets on: what it says of itself, with the rate and the time left where it says how much is done."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from bootsmith.cache.display import human

LONG = 30
"""Seconds of packing after which it is worth a word that there are quicker ways."""
SOON = 1.0
"""Seconds before which a rate would be chance."""
_DONE = re.compile(r"(\d+(?:\.\d+)?)(?:/100)?%")
_SIZE = re.compile(r"(?:of )?(\d+) bytes")
_PACKS = re.compile(r"packing .*by (\w+)")
_QUICKER = {
    "zlib": "`compress: zstd` is quicker, and `none` more so",
    "gzip": "`compress: zstd` is quicker, and smaller",
    "xz": "`compress: zstd` is quicker, if not as small",
    "zstd": "`compress: none` is quicker",
    "deflate": "a VMDK that is not streamOptimized is quicker",
}


class Pace:
    """What a stage said last, and since when; `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._size = 0
        self._packing = ""
        self._begun = 0.0
        self._at = 2.0  # more than all: the first share that is told begins

    def said(self, text: str) -> str:
        """Return a stage's words as they are shown: "packing by zstd: 34% of 1.1 GiB, 210 MiB/s, 12 s left"."""
        if size := _SIZE.search(text):
            self._size = int(size[1])
        if packs := _PACKS.search(text):
            self._packing, self._begun = packs[1], self._clock()
        done = _DONE.search(text)
        if done is None:
            return _SIZE.sub(lambda match: match[0].replace(f"{match[1]} bytes", human(int(match[1]))), text)
        share = min(1.0, float(done[1]) / 100)
        if share < self._at:
            self._begun = self._clock()
        self._at = share
        return self._worded(share)

    def _worded(self, share: float) -> str:
        begun = f"packing by {self._packing}: " if self._packing else ""
        text = f"{begun}{share:.0%}" + (f" of {human(self._size)}" if self._size else "")
        spent = self._clock() - self._begun
        if spent < SOON or not 0 < share < 1:
            return text
        rate = f", {human(int(self._size * share / spent))}/s" if self._size else ""
        return f"{text}{rate}, {spent / share - spent:.0f} s left"

    def hint(self, name: str, seconds: float) -> str:
        """Return what is to be said of a stage that took so long, where packing was most of it; "" where nothing is."""
        spent = self._clock() - self._begun
        if self._packing not in _QUICKER or spent < LONG or spent < seconds / 2:
            return ""
        if name.startswith("convert/tgz"):
            return f"{name} spent {spent:.0f} s packing by gzip: the output `tar: {{compress: zstd}}` takes less"
        return f"{name} spent {spent:.0f} s packing by {self._packing}: {_QUICKER[self._packing]}"
