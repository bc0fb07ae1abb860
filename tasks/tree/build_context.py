"""The stage `rootfs/context`: the folder that a Containerfile takes files from, but for what its ignore file names.

Apart from the build, so that what is ignored makes nothing again. All is root's and of one date, modes as they are.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
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
FOLDER: Final = "context"
"""The role of the folder."""
INSIDE: Final = "context/"
"""Before the path of what is in it: the role of that, where the folder holds the builds, which are left out."""
_LARGEST: Final = 1 << 20


@dataclass(frozen=True)
class BuildContextParams(Params):
    """When all of it was made; of a folder that is told name by name, the modes of files and folders, and links."""

    epoch: int
    modes: Mapping[str, int]
    links: Mapping[str, str]


def run(ctx: Context) -> None:
    """Pack the folder."""
    params = BuildContextParams.of(ctx)
    with LayerWriter(ctx.outputs["tar"], ctx.work / "index", params.epoch) as writer:
        if FOLDER not in ctx.inputs:
            _pack_names(ctx, params, writer)
            return
        top = ctx.inputs[FOLDER]
        if not top.is_dir():
            raise StageError(f"{shown(top)} is not a folder", "Let source.container.context name one.")
        ignored = _ignored({name: top / name for name in IGNORE_FILES if (top / name).is_file()})
        _pack(writer, top, "", ignored)


def _pack_names(ctx: Context, params: BuildContextParams, writer: LayerWriter) -> None:
    """Pack what is told by its names, in the order of a folder: what is in one of them stands behind it."""
    found = {role.removeprefix(INSIDE): path for role, path in ctx.inputs.items()}
    for name in IGNORE_FILES:
        if name in params.links:
            raise StageError(f"{name} is a link", "Write a file in its place: which files it names is to be known.")
    ignored = _ignored({name: found[name] for name in IGNORE_FILES if name in found})
    for inside in sorted({*found, *params.modes, *params.links}, key=lambda path: os.fsencode(path).split(b"/")):
        there, kept = found.get(inside), ignored is None or not ignored(inside)
        if there is None or inside in params.modes:
            if kept:
                _pack_name(writer, inside, there, params)
            continue
        if not there.is_dir():
            raise StageError(f"{shown(there)} is a device", "Remove it, or name it in .containerignore.")
        if kept:
            writer.add_directory(inside, stat.S_IMODE(there.stat().st_mode), 0, 0)
        _pack(writer, there, f"{inside}/", ignored)


def _pack_name(writer: LayerWriter, inside: str, file: Path | None, params: BuildContextParams) -> None:
    """Pack a link, a file, or a folder without what is in it."""
    if inside in params.links:
        writer.add_symlink(inside, params.links[inside], 0, 0)
    elif file is None:
        writer.add_directory(inside, params.modes[inside], 0, 0)
    else:
        writer.add_file(inside, file, params.modes[inside], 0, 0)


def _pack(writer: LayerWriter, top: Path, above: str, ignored: Callable[[str], bool] | None) -> None:
    """Pack what is in a folder, whose own path is `above`."""
    names: dict[tuple[int, int], str] = {}
    with host_files.steady(top):
        for inside, file, status in host_files.below(top):
            path = above + inside
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


def _ignored(there: Mapping[str, Path]) -> Callable[[str], bool] | None:
    """Return what tells which paths are left out, of the ignore files that are there."""
    file = next((there[name] for name in IGNORE_FILES if name in there), None)
    if file is None:
        return None
    with file.open("rb") as opened:
        data = opened.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise StageError(f"{shown(file)} has more than {_LARGEST >> 20} MiB", "Name folders instead of files.")
    return matcher(data.decode("utf-8", "surrogateescape"), file)


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
