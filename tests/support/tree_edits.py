"""A folder of the host's that is edited at random, in every way in which people and programs edit one."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

MOST = 60
"""Files at which more are removed than added."""


class TreeEdits:
    """The folder `top`; `links` are made in it, symbolic and hard ones, and `attributes` given only where asked for."""

    def __init__(self, top: Path, chance: random.Random, *, links: bool = False, attributes: bool = False) -> None:
        self.top = top
        self.chance = chance
        self._number = 0
        top.mkdir(parents=True, exist_ok=True)
        self._edits: list[Callable[[], str]] = [
            self.add, self.add, self.make_folder, self.remove, self.rename, self.chmod, self.rewrite, self.rewrite,
            self.resize, self.replace, self.swap,
        ]  # fmt: skip
        if links:
            self._edits += [self.link, self.join, self.join]
        if attributes:
            self._edits.append(self.mark)

    def edit(self) -> str:
        """Change something; return what."""
        if len(self.files()) > MOST:
            return self.remove()
        return self.chance.choice(self._edits)()

    # -- what there is

    def _paths(self) -> list[Path]:
        return sorted(self.top.rglob("*"))

    def files(self) -> list[Path]:
        """Return the files there are."""
        return [path for path in self._paths() if path.is_file() and not path.is_symlink()]

    def _folder(self) -> Path:
        return self.chance.choice(
            [self.top, *(each for each in self._paths() if each.is_dir() and not each.is_symlink())]
        )

    def _file(self) -> Path:
        found = self.files()
        return self.chance.choice(found) if found else self._add()

    def _new(self) -> Path:
        self._number += 1
        return self._folder() / f"{self.chance.choice(['a', 'File', 'näme', 'z.conf'])}{self._number}"

    def _content(self) -> bytes:
        return self.chance.randbytes(self.chance.choice([0, 1, 511, 512, 4096, 4097, 20_000]))

    # -- edits

    def _add(self) -> Path:
        path = self._new()
        path.write_bytes(self._content())
        return path

    def add(self) -> str:
        """Add a file."""
        return f"added {self._add()}"

    def make_folder(self) -> str:
        """Add a folder with a file in it."""
        path = self._new()
        path.mkdir()
        (path / "in it").write_bytes(self._content())
        return f"made {path}"

    def remove(self) -> str:
        """Remove a file, or a folder with all that is in it."""
        found = self._paths()
        if not found:
            return self.add()
        path = self.chance.choice(found)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        return f"removed {path}"

    def rename(self) -> str:
        """Give a file, or a folder, another name somewhere else."""
        path, target = self._file(), self._new()
        if self.chance.random() < 0.3 and path.parent != self.top and path.parent not in (target, *target.parents):
            path = path.parent
        path.rename(target)
        return f"renamed {path} to {target}"

    def chmod(self) -> str:
        """Give a file another mode."""
        path = self._file()
        path.chmod(self.chance.choice([0o644, 0o755, 0o600, 0o4755]))
        return f"chmod of {path}"

    def rewrite(self) -> str:
        """Change a file's bytes in place, and not how many they are."""
        path = self._file()
        path.write_bytes(self.chance.randbytes(path.stat().st_size))
        return f"rewrote {path}"

    def resize(self) -> str:
        """Make a file larger or smaller."""
        path = self._file()
        path.write_bytes(self._content())
        return f"resized {path}"

    def replace(self) -> str:
        """Put a new file in the place of one, as editors do."""
        path = self._file()
        draft = self.top / ".draft"
        draft.write_bytes(self._content())
        draft.replace(path)
        return f"replaced {path}"

    def swap(self) -> str:
        """Let two files change places."""
        one, other = self._file(), self._file()
        if one != other:
            one.rename(self.top / ".third")
            other.rename(one)
            (self.top / ".third").rename(other)
        return f"swapped {one} and {other}"

    def link(self) -> str:
        """Make a symbolic link, in the place of an older one or new."""
        path = self._new()
        path.symlink_to(self.chance.choice(["File1", "../a2", "/etc/hostname", "x" * 80]))
        return f"linked {path}"

    def join(self) -> str:
        """Make a hard link."""
        file, path = self._file(), self._new()
        os.link(file, path)
        return f"joined {path} to {file}"

    def mark(self) -> str:
        """Give a file, or a folder, an attribute."""
        path = self.chance.choice([self._file(), self._folder()])
        os.setxattr(path, "user.mark", self.chance.randbytes(4))
        return f"marked {path}"
