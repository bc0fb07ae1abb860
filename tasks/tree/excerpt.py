"""A part of a tar as a tar of its own: what lies below one of its folders, its leading folders stripped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from bootsmith.cache.display import nearest, shown
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import foreign_tar, layer
from bootsmith.tasks.tree import tar as tars
from bootsmith.tasks.tree.tar import Entry

Tree = Mapping[str, Entry]
_CHUNK = 1 << 20
_SHOWN = 20  # names of folders, for who named none of them


def write(source: Path, target: Path, index: Path, *, subdir: str, strip: int, key: str = "source.tar") -> list[str]:
    """Write the part of a tar, and its index; strip comes first. Raises StageError for what it lacks.

    That names `source`, and the `key` where a recipe says which part.

    Returns the paths that mean removals, which are left out. Names come sorted. A hard link to a file outside of the
    part becomes the file; its further names are links to it.
    """
    entries = tuple(tars.scan(source))
    tree = {path: entry for path, (_, entry) in layer.merge([entries]).items()}
    places = _below(f"{key}.subdir", subdir.strip("/"), tree, _stripped(tree, strip, source), source)
    with source.open("rb") as data, target.open("wb") as out:
        written = []
        for entry in foreign_tar.settled(_placed(tree, places), source):
            out.write(tars.header(entry))
            offset = out.tell()
            if entry.type == "f":
                data.seek(entry.offset)
                _copy(data, out, entry.stored)
            written.append(entry._replace(offset=offset if entry.type == "f" else 0))
        out.write(tars.END)
    layer.write_index(index, written)
    return foreign_tar.whiteouts(entries)


def _stripped(tree: Tree, strip: int, tar: Path) -> dict[str, str]:
    """Return new path -> path, without the first components of each. The one folder that is stripped is the top then.

    Raises StageError where nothing is left, or where two files would get one name.
    """
    found: dict[str, str] = {}
    tops = [path for path in tree if path and path.count("/") == strip - 1]
    for path in sorted(tree, key=lambda path: path.split("/")):
        steps = path.split("/") if path else []
        if len(steps) < strip or (strip and len(steps) == strip and (len(tops) > 1 or tree[path].type != "d")):
            continue
        place = "/".join(steps[strip:])
        if place in found and not _alike(tree[found[place]], tree[path]):
            raise StageError(
                f"source.tar.strip: {strip} would put /{shown(found[place])} and /{shown(path)} of {tar} in one place",
                "Strip less, and name the folder to keep: source.tar.subdir.",
            )
        found.setdefault(place, path)
    if not any(found):
        raise StageError(
            f"source.tar.strip: {strip} leaves nothing of {tar}",
            f"Strip less: its paths have at most {max((path.count('/') + 1 for path in tree), default=0)} components.",
        )
    return found


def _alike(one: Entry, other: Entry) -> bool:
    """Tell whether two entries are folders that differ in nothing but their names."""
    return one.type == "d" == other.type and one._replace(path="", mtime=0) == other._replace(path="", mtime=0)


def _below(key: str, subdir: str, tree: Tree, places: dict[str, str], tar: Path) -> dict[str, str]:
    """Return new path -> path of what lies in a folder, the folder itself as the top."""
    if not subdir:
        return places
    _check_folder(key, subdir, tree, places, tar)
    return {path[len(subdir) + 1 :]: old for path, old in places.items() if f"{path}/".startswith(f"{subdir}/")}


def _check_folder(key: str, subdir: str, tree: Tree, places: dict[str, str], tar: Path) -> None:
    """Refuse a path at which the part has no folder. Raises StageError."""
    what = f"{key}: /{subdir}"
    steps = subdir.split("/")
    for depth in range(1, len(steps) + 1):
        path, above = "/".join(steps[:depth]), "/".join(steps[: depth - 1])
        found = tree[places[path]] if path in places else None
        if found is not None and found.type == "l":
            raise StageError(
                f"{what}: /{shown(path)} of {tar} is a link to {shown(found.link)}", "Name the folder itself."
            )
        if found is not None and found.type != "d":
            raise StageError(f"{what}: /{shown(path)} of {tar} is not a folder", "Name a folder of the tar.")
        if found is None and not any(each.startswith(f"{path}/") for each in places):
            beside = sorted(
                f"/{each}"
                for each, old in places.items()
                if each and each.rpartition("/")[0] == above and tree[old].type == "d"
            )
            raise StageError(f"{what}: {tar} has no /{shown(path)}", _meant(f"/{shown(path)}", beside))


def _meant(path: str, folders: list[str]) -> str:
    """Return what to do about a folder that is not there, in the words of those that are."""
    near = nearest(path, folders)
    if near:
        return f"Did you mean {shown(near)}?"
    return f"Folders there: {', '.join(map(shown, folders[:_SHOWN]))}." if folders else "There are no folders there."


def _placed(tree: Tree, places: dict[str, str]) -> list[Entry]:
    """Return the entries of the part, those above before those below; their data stands where it did."""
    names: dict[str, str] = {}  # a file of the tar -> its first name in the part
    found = []
    for place in sorted(places, key=lambda path: path.split("/")):
        entry = tree[places[place]]
        file = tree[entry.link] if entry.type == "h" else entry
        if entry.type != "d" and file.path in names:
            found.append(file._replace(path=place, type="h", link=names[file.path], size=0, offset=0, xattrs={}))
        else:
            names[file.path] = place
            found.append(file._replace(path=place))
    return found


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    left = size
    while left:
        chunk = source.read(min(left, _CHUNK))
        if not chunk:
            raise StageError(f"{source.name} became shorter while it was read", "Run the same command again.")
        target.write(chunk)
        left -= len(chunk)
    target.write(bytes(-size % tars.BLOCK))
