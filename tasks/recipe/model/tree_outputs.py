"""The outputs that are the finished tree: archives, a folder, bare filesystems, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from bootsmith.tasks.recipe.model.one_file import OneFile


@dataclass(frozen=True, slots=True)
class TarOutput(OneFile):
    kind: ClassVar = "tar"
    compress: Literal["none", "gzip", "xz", "zstd"]


@dataclass(frozen=True, slots=True)
class TgzOutput(OneFile):
    """`tgz`: the tar packed by gzip."""

    kind: ClassVar = "tgz"
    compress: ClassVar = "gzip"


@dataclass(frozen=True, slots=True)
class OciOutput(OneFile):
    """`oci`: a container image in an OCI archive; `layers` "each" keeps those of the recipe apart."""

    kind: ClassVar = "oci"
    compress: Literal["none", "gzip", "zstd"]
    layers: Literal["one", "each"]
    tag: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DirectoryOutput(OneFile):
    """`directory`: the tree as a folder; `file` is what that is called."""

    kind: ClassVar = "directory"


@dataclass(frozen=True, slots=True)
class Ext4Output(OneFile):
    """`ext4`: the tree as a filesystem without a disk; `size` and `extra` in bytes."""

    kind: ClassVar = "ext4"
    size: int | Literal["auto"]
    extra: int
    label: str
    uuid: str


@dataclass(frozen=True, slots=True)
class SquashfsOutput(OneFile):
    kind: ClassVar = "squashfs"
    compress: Literal["gzip", "lz4", "xz", "zstd"]


@dataclass(frozen=True, slots=True)
class ErofsOutput(OneFile):
    kind: ClassVar = "erofs"
    compress: Literal["none", "lz4", "lz4hc"]
    uuid: str


@dataclass(frozen=True, slots=True)
class ManifestOutput(OneFile):
    """`manifest`: every package and every file of the tree."""

    kind: ClassVar = "manifest"


@dataclass(frozen=True, slots=True)
class SbomOutput(OneFile):
    """`sbom`: the tree's packages, as SPDX or CycloneDX has them."""

    kind: ClassVar = "sbom"
    format: Literal["spdx", "cyclonedx"]


TreeOutput: TypeAlias = (
    TarOutput
    | TgzOutput
    | OciOutput
    | DirectoryOutput
    | Ext4Output
    | SquashfsOutput
    | ErofsOutput
    | ManifestOutput
    | SbomOutput
)
KINDS = (
    TarOutput,
    TgzOutput,
    OciOutput,
    DirectoryOutput,
    Ext4Output,
    SquashfsOutput,
    ErofsOutput,
    ManifestOutput,
    SbomOutput,
)
"""The same, for who asks whether an output is one."""
