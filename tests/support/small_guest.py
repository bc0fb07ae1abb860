"""A small system on a disk, built as users build theirs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.checkout import CHECKOUT
from tests.support.project import dodo, doit

MIB = 1 << 20


@dataclass(frozen=True)
class SmallProject:
    """A project that holds the small recipe, and whatever recipes extend it."""

    top: Path

    @classmethod
    def make(cls, top: Path) -> SmallProject:
        shutil.copytree(CHECKOUT / "tests/support/small", top / "recipes")
        (top / "dodo.py").write_text(dodo("recipes/small.yaml"))
        return cls(top)

    def doit(self, *words: str) -> str:
        """Run `doit WORDS`, which must succeed; return what it printed."""
        return doit(self.top, *words)

    @property
    def disk(self) -> Path:
        """The disk of small.yaml itself."""
        return self.top / "build/small/small.raw"
