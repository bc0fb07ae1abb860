"""The stage `rootfs/context`: the folder that a Containerfile takes files from, but for what its ignore file names.

Apart from the build, so that what is ignored makes nothing again. All is root's and of one date, modes as they are.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bootsmith.cache.display import shown
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import host_files
from bootsmith.tasks.tree.layer import LayerWriter

IGNORE_FILES: Final = (".containerignore", ".dockerignore")
"""What names files that are left out; the first that is there counts."""
_LARGEST: Final = 1 << 20


@dataclass(frozen=True)
class BuildContextParams(Params):
    """When all of it was made."""

    epoch: int


def run(ctx: Context) -> None:
    """Pack the folder."""
    top = ctx.inputs["context"]
    if not top.is_dir():
        raise StageError(f"{shown(top)} is not a folder", "Let source.container.context name one.")
    ignored = _ignored(top)
    index = ctx.work / "index"
    names: dict[tuple[int, int], str] = {}
    with host_files.steady(top), LayerWriter(ctx.outputs["tar"], index, BuildContextParams.of(ctx).epoch) as writer:
        for path, file, status in host_files.below(top):
            inode, mode = (status.st_dev, status.st_ino), stat.S_IMODE(status.st_mode)
            if ignored is not None and ignored(path):
                continue
            if stat.S_ISDIR(status.st_mode):
                writer.add_directory(path, mode, 0, 0)
            elif stat.S_ISLNK(status.st_mode):
                writer.add_symlink(path, os.readlink(file), 0, 0)  # noqa: PTH115  any bytes, as they are
            elif inode in names:
                writer.add_hard_link(path, names[inode])
            elif stat.S_ISREG(status.st_mode):
                writer.add_file(path, file, mode, 0, 0)
                if status.st_nlink > 1:
                    names[inode] = path
            elif stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode):
                continue  # no engine takes them
            else:
                raise StageError(f"{shown(file)} is a device", "Remove it, or name it in .containerignore.")


def _ignored(top: Path) -> Callable[[str], bool] | None:
    for name in IGNORE_FILES:
        file = top / name
        if file.is_file():
            with file.open("rb") as opened:
                data = opened.read(_LARGEST + 1)
            if len(data) > _LARGEST:
                raise StageError(f"{shown(file)} has more than {_LARGEST >> 20} MiB", "Name folders instead of files.")
            return matcher(data.decode("utf-8", "surrogateescape"), file)
    return None


def matcher(text: str, file: Path) -> Callable[[str], bool]:
    """Return what tells whether an ignore file's patterns leave a path out: the last that matches it decides.

    Patterns are from the folder's top; one that matches a folder matches all that is in it. `!` takes back.
    Raises StageError for what is no pattern, in words of the file.
    """
    rules: list[tuple[bool, re.Pattern[str]]] = []
    for number, line in enumerate(text.split("\n"), 1):
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        kept = pattern.startswith("!")
        steps = [step for step in os.path.normpath(pattern[kept:].strip().lstrip("/")).split("/") if step]
        if steps and steps != ["."]:
            try:
                rules.append((kept, re.compile(_expression("/".join(steps)) + "(?:/.*)?", re.DOTALL)))
            except re.error as error:
                raise StageError(
                    f"{shown(file)}:{number}: {shown(pattern)} is no pattern",
                    "Write what is in [...] from the lower sign to the upper, or \\[ for the bracket itself.",
                ) from error

    def ignored(path: str) -> bool:
        found = False
        for kept, rule in rules:
            if found == kept and rule.fullmatch(path):
                found = not kept
        return found

    return ignored


def _expression(pattern: str) -> str:
    """Return the regular expression of a pattern: Go's filepath.Match, and `**` for any folders."""
    text, position = "", 0
    while position < len(pattern):
        sign = pattern[position]
        position += 1
        if pattern.startswith("*/", position) and sign == "*":
            text += "(?:.*/)?"
            position += 2
        elif sign == "*" and pattern.startswith("*", position):
            text += ".*"
            position += 1
        elif sign == "*":
            text += "[^/]*"
        elif sign == "?":
            text += "[^/]"
        elif sign == "\\" and position < len(pattern):
            text += re.escape(pattern[position])
            position += 1
        elif sign == "[" and (end := pattern.find("]", position + 1)) > 0:
            inner = re.sub(r"[\\\[&~|]", r"\\\g<0>", pattern[position:end])
            text += f"(?!/)[{inner}]"
            position = end + 1
        else:
            text += re.escape(sign)
    return text
