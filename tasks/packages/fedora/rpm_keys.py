"""Whether packages are signed: rpm judges, by the keys of one file and no others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.tools import host, process
from bootsmith.tasks.tools.environment import ENVIRONMENT

_ENV: Final = {**ENVIRONMENT, "HOME": "/nonexistent"}
_GOOD: Final = re.compile(r".*: digests signatures OK")


class RpmKeys:
    """The keys of a file, in a data base below `folder`."""

    def __init__(self, folder: Path, keys: Path) -> None:
        """Raise StageError where the file holds no keys."""
        folder.mkdir()
        self._folder = folder
        try:
            self._run("--import", keys)
        except ToolFailed as error:
            raise StageError(
                f"{shown(keys)} holds no keys: {error.tail}",
                "Name a file of OpenPGP public keys in text, as `gpg --armor --export` writes them.",
            ) from error

    def refused(self, packages: Sequence[Path]) -> list[Path]:
        """Return those of some packages that are not whole, and signed by one of the keys."""
        if not packages:
            return []
        told = self._run("--define", "_pkgverify_level all", "--checksig", "--", *packages, check=False)
        lines = told.decode(errors="replace").splitlines()
        good = {line.rpartition(": ")[0] for line in lines if _GOOD.fullmatch(line)}
        return [package for package in packages if str(package) not in good]

    def _run(self, *words: str | Path, check: bool = True) -> bytes:
        fixed: list[str | Path] = [host.find("rpmkeys"), "--dbpath", self._folder]
        return process.run([*fixed, *words], env=_ENV, cwd=self._folder, check=check).stdout
