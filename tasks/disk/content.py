"""What lands on which partition: the tree divided at its mount points. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.tar import Entry

Tree = dict[str, tuple[int, Entry]]
"""Path -> (number of the source that holds the data, entry), as `layer.merge` returns it; "" is the root."""


def owner(mounts: Mapping[str, str], path: str) -> tuple[str, str]:
    """Return the partition that holds `path` (no slash before it), and the path inside that partition.

    `mounts` maps a partition's name to its mount point. Raises StageError where none holds it.
    """
    best: tuple[int, str, str] | None = None
    for name, mount in mounts.items():
        below = mount.strip("/")
        inside = path if not below else path.removeprefix(f"{below}/") if path.startswith(f"{below}/") else None
        if inside is not None and (best is None or len(below) > best[0]):
            best = (len(below), name, inside)
    if best is None:
        raise StageError(f"no partition holds /{shown(path)}", "Give a partition `mount: /`.")
    return best[1], best[2]


def divide(tree: Tree, mounts: Mapping[str, str], epoch: int) -> dict[str, Tree]:
    """Return each mounted partition's own tree, paths inside it relative to its root.

    A mount point is a directory of the partition above it (made where the tree has none) and the root of its own. A
    hard link cannot reach into another partition: there its first name takes the data over.
    """
    tree = dict(tree)
    for mount in sorted(mounts.values()):
        make_directories(tree, [mount.strip("/")], epoch)
    points = {mount.strip("/"): name for name, mount in mounts.items()}
    deep = sorted((point for point in points if point), key=len, reverse=True)
    below = tuple(f"{point}/" for point in deep)
    homes = {
        path: next(point for point in deep if path.startswith(f"{point}/")) for path in tree if path.startswith(below)
    }
    found: dict[str, Tree] = {name: {} for name in mounts}
    if "" in points:
        found[points[""]] = {path: node for path, node in tree.items() if path not in homes} if homes else tree
    elif len(homes) < len(tree):
        alone = next(path for path in tree if path not in homes)
        raise StageError(f"no partition holds /{shown(alone)}", "Give a partition `mount: /`.")
    for point in deep:
        number, entry = tree[point]
        found[points[point]][""] = (number, entry._replace(path=""))
    for path, point in homes.items():
        number, entry = tree[path]
        inside = path[len(point) + 1 :]
        found[points[point]][inside] = (number, entry._replace(path=inside))
    if homes:
        _settle_links(tree, homes, found, points)
    return found


def _settle_links(tree: Tree, homes: Mapping[str, str], found: Mapping[str, Tree], points: Mapping[str, str]) -> None:
    """Point the hard links inside each partition at a name inside it."""
    heirs: dict[tuple[str, str], str] = {}
    for path in sorted(path for path, (_, entry) in tree.items() if entry.type == "h"):
        link, home = tree[path][1].link, homes.get(path, "")
        part = found[points[home]]
        inside = path[len(home) + 1 :] if home else path
        number, entry = part[inside]
        if homes.get(link, "") == home:
            heir = link[len(home) + 1 :] if home else link
        else:
            heir = heirs.setdefault((home, link), inside)
        if heir == inside:
            number, file = tree[link]
            part[inside] = (number, file._replace(path=inside))
        else:
            part[inside] = (number, entry._replace(link=heir))


def make_directories(tree: Tree, paths: Iterable[str], epoch: int) -> None:
    """Add the directories `paths` and those above them, root:root 0755, where the tree has none."""
    for path in paths:
        above = path
        while above not in tree:
            tree[above] = (0, Entry(above, "d", 0o755, mtime=epoch))
            above = above.rpartition("/")[0]
        if tree[path][1].type != "d":
            raise StageError(f"/{shown(path)} must be a directory, but the tree has something else there")


def place(tree: Tree, files: Mapping[str, tuple[int, int]], epoch: int) -> None:
    """Put files at paths of the tree: path -> (source's number, size); they start at byte 0 of their source."""
    for path, (number, size) in files.items():
        make_directories(tree, [path.rpartition("/")[0]], epoch)
        tree[path] = (number, Entry(path, "f", 0o644, size=size, mtime=epoch))
