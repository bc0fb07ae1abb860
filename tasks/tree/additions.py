"""What `layers` add to the tree and take from it, one by one: files, directories, links, devices, removals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import accounts, patterns
from bootsmith.tasks.tree.delta import Delta
from bootsmith.tasks.tree.merged import Tree, tree_below


@dataclass(frozen=True)
class Access:
    """Mode and owners of what is added; owners are names of the tree's, or numbers."""

    mode: int
    owner: str
    group: str


@dataclass(frozen=True)
class AddedFile(Access):
    """A file; `content` is None where it is the input of that path."""

    content: str | None


@dataclass(frozen=True)
class AddedDevice(Access):
    """A device node: "b" or "c", major and minor number."""

    node: tuple[str, int, int]


@dataclass(frozen=True)
class FilesParams(Params):
    """Files by path."""

    epoch: int
    files: Mapping[str, AddedFile]


def add_files(ctx: Context) -> None:
    """Add single files."""
    put_files(ctx, FilesParams.of(ctx))


def put_files(ctx: Context, params: FilesParams) -> None:
    """Write the layer of single files, for a stage whose parameters may say more."""
    tree = tree_below(ctx)
    with Delta(ctx, tree, "files", params.epoch) as delta:
        for path, spec in params.files.items():
            data = ctx.inputs[path] if spec.content is None else spec.content.encode()
            if isinstance(data, Path) and not data.is_file():
                raise StageError(
                    f"{data}, to be {path}, is not a file", "Let the recipe name a file, or use an overlay."
                )
            delta.add_file(path, data, spec.mode, *accounts.ids(tree, spec.owner, spec.group, path))


@dataclass(frozen=True)
class DirectoriesParams(Params):
    """Directories by path."""

    epoch: int
    directories: Mapping[str, Access]


def make_directories(ctx: Context) -> None:
    """Make directories, or give those that are there mode and owner."""
    tree, params = tree_below(ctx), DirectoriesParams.of(ctx)
    with Delta(ctx, tree, "directories", params.epoch) as delta:
        for path, spec in params.directories.items():
            delta.set_directory(path, spec.mode, *accounts.ids(tree, spec.owner, spec.group, path))


@dataclass(frozen=True)
class LinksParams(Params):
    """Symlinks by path, and where they lead."""

    epoch: int
    links: Mapping[str, str]


def add_links(ctx: Context) -> None:
    """Add symlinks; what they point to need not be there."""
    params = LinksParams.of(ctx)
    with Delta(ctx, tree_below(ctx), "links", params.epoch) as delta:
        for path, target in params.links.items():
            delta.add_link(path, target)


@dataclass(frozen=True)
class DevicesParams(Params):
    """Device nodes by path."""

    epoch: int
    devices: Mapping[str, AddedDevice]


def add_devices(ctx: Context) -> None:
    """Add device nodes: members of a tar, which needs no right to make any."""
    tree, params = tree_below(ctx), DevicesParams.of(ctx)
    with Delta(ctx, tree, "devices", params.epoch) as delta:
        for path, spec in params.devices.items():
            owner, group = accounts.ids(tree, spec.owner, spec.group, path)
            delta.add_device(path, *spec.node, spec.mode, owner, group)


@dataclass(frozen=True)
class RemovalParams(Params):
    """Patterns of what is removed."""

    epoch: int
    remove: tuple[str, ...]


def remove(ctx: Context) -> None:
    """Remove what the patterns match; a path without wildcards must be there."""
    tree, params = tree_below(ctx), RemovalParams.of(ctx)
    with Delta(ctx, tree, "remove", params.epoch) as delta:
        for pattern in params.remove:
            found = _matching(tree, pattern)
            if not found and not patterns.has_wildcard(pattern):
                raise StageError(f"remove: {pattern} is not in the tree", "Mend the path, or leave it out.")
            gone = ""
            for path in found:
                if not gone or not path.startswith(f"{gone}/"):
                    gone = path
                    delta.remove(path)


def _matching(tree: Tree, pattern: str) -> list[str]:
    """Return the paths a pattern matches, sorted by name; links before its first wildcard are followed."""
    steps = [step for step in pattern.split("/") if step]
    fixed = next((number for number, step in enumerate(steps) if patterns.has_wildcard(step)), None)
    if fixed is None:
        place = tree.place(pattern)
        return [place] if place in tree.entries else []
    top = tree.resolve("/".join(steps[:fixed]))
    below = f"{top}/" if top else ""
    matches = patterns.path_matcher("/".join(steps[fixed:]))
    found = (path for path in tree.entries if path.startswith(below) and path and matches(path[len(below) :]))
    return sorted(found, key=lambda path: path.split("/"))
