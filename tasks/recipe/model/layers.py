"""What is added to the tree: one class for each kind of layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from bootsmith.tasks.recipe.model.files import File


@dataclass(frozen=True, slots=True)
class Overlay:
    """A folder laid over the tree at `to`: root:root, 0755 or 0644 by the exec bit."""

    name: str
    source: Path
    to: str
    exclude: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileSpec:
    """One file of a `files` layer: exactly one of `source` and `content` is set. Owners are names or numbers."""

    source: File | None
    content: str | None
    mode: int
    owner: str
    group: str


@dataclass(frozen=True, slots=True)
class DirectorySpec:
    mode: int
    owner: str
    group: str


@dataclass(frozen=True, slots=True)
class Files:
    name: str
    files: Mapping[str, FileSpec]


@dataclass(frozen=True, slots=True)
class Directories:
    name: str
    directories: Mapping[str, DirectorySpec]


@dataclass(frozen=True, slots=True)
class Links:
    name: str
    links: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Remove:
    name: str
    remove: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """A device node: "b" or "c", major and minor number."""

    node: tuple[Literal["b", "c"], int, int]
    mode: int
    owner: str
    group: str


@dataclass(frozen=True, slots=True)
class Devices:
    name: str
    devices: Mapping[str, Device]


@dataclass(frozen=True, slots=True)
class Packages:
    """Packages installed into the tree below and removed from it, with answers for debconf (`preseed`)."""

    name: str
    install: tuple[str, ...]
    remove: tuple[str, ...]
    preseed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A command run in the tree below; of the host it sees its `inputs`, each by the variable of its name."""

    name: str
    command: str
    inputs: Mapping[str, Path]
    env: Mapping[str, str]
    network: bool


@dataclass(frozen=True, slots=True)
class Script:
    """A script run in the tree below, as `Run` is."""

    name: str
    file: Path
    inputs: Mapping[str, Path]
    env: Mapping[str, str]
    network: bool


LayerSpec: TypeAlias = Overlay | Files | Directories | Links | Devices | Remove | Packages | Run | Script
