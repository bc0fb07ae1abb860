"""Whether packages are signed, by the keys of one file and no others, and what they then are: rpm judges."""

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
_TITLE: Final = "%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH}\\n"
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

    def titles(self, packages: Sequence[Path]) -> list[str]:
        """Return what packages that are signed say of themselves: name, version and architecture. Raises ToolFailed."""
        told = self._run("--query", "--package", "--queryformat", _TITLE, "--", *packages, program="rpm")
        return [line.replace(" 0:", " ", 1) for line in told.decode(errors="replace").splitlines()]

    def _run(self, *words: str | Path, check: bool = True, program: str = "rpmkeys") -> bytes:
        fixed: list[str | Path] = [host.find(program), "--dbpath", self._folder]
        return process.run([*fixed, *words], env=_ENV, cwd=self._folder, check=check).stdout
