"""Where the tree comes from: one class for each kind of source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Repository:
    """A further apt repository."""

    uri: str
    suite: str
    components: tuple[str, ...]
    key: Path


@dataclass(frozen=True, slots=True)
class Debian:
    """`source: debian`: a tree installed from the distribution's packages."""

    suite: str
    variant: Literal["minbase", "required", "important", "standard"]
    components: tuple[str, ...]
    packages: tuple[str, ...]
    exclude: tuple[str, ...]
    recommends: bool
    docs: bool
    security: bool
    mirror: str | None
    keyring: Path | None
    repositories: tuple[Repository, ...]


@dataclass(frozen=True, slots=True)
class Ubuntu(Debian):
    """`source: ubuntu`: the same of Ubuntu's packages, from its own archive, whose security updates are in it."""


@dataclass(frozen=True, slots=True)
class Arch:
    """`source: arch`: a tree installed from Arch's packages; `snapshot` is a day, YYYY-MM-DD, of its archive."""

    packages: tuple[str, ...]
    mirror: str | None
    snapshot: str | None
    repositories: tuple[str, ...]
    keyring: Path | None


@dataclass(frozen=True, slots=True)
class RpmRepository:
    """A further repository of RPM packages."""

    uri: str
    key: Path


@dataclass(frozen=True, slots=True)
class Fedora:
    """`source: fedora`: a tree installed from Fedora's packages."""

    release: str
    packages: tuple[str, ...]
    mirror: str
    keyring: Path
    updates: bool
    repositories: tuple[RpmRepository, ...]


@dataclass(frozen=True, slots=True)
class Directory:
    """`source: directory`: a tree that is there already; `owner` "root" makes everything root's.

    "keep" keeps owners by number, but for whoever owns the top, who becomes root. `modes` "exec" keeps of modes only
    whether files can be executed. `times` "keep" keeps when each file was changed, in seconds.
    """

    path: Path
    owner: Literal["root", "keep"]
    modes: Literal["keep", "exec"]
    times: Literal["epoch", "keep"]


@dataclass(frozen=True, slots=True)
class Tar:
    """`source: tar`: a tree in an archive, plain or packed; owners and modes as they are there."""

    file: Path
    subdir: str
    strip: int


@dataclass(frozen=True, slots=True)
class Oci:
    """`source: oci`: the tree of a container image, an OCI layout or archive, or what `docker save` wrote."""

    file: Path


@dataclass(frozen=True, slots=True)
class Container:
    """`source: container`: the tree that a Containerfile builds, of files of `context` and of `images`, by their names.

    Its commands reach the network only if they are to.
    """

    file: Path
    context: Path | None
    target: str | None
    args: Mapping[str, str]
    images: Mapping[str, Path]
    subdir: str
    network: bool

    @property
    def folder(self) -> Path:
        """Where the files are that it takes."""
        return self.context or self.file.parent


@dataclass(frozen=True, slots=True)
class Erofs:
    """`source: erofs`: the tree in an EROFS image."""

    file: Path


@dataclass(frozen=True, slots=True)
class Squashfs:
    """`source: squashfs`: the tree in a squashfs image."""

    file: Path


@dataclass(frozen=True, slots=True)
class Disk:
    """`source: disk`: the files in a partition of a disk image, by its number or name, or "root": the one of /."""

    file: Path
    partition: str


@dataclass(frozen=True, slots=True)
class OtherRecipe:
    """`source: recipe`: the finished tree of another recipe, by its file; what that says is in `Recipe.others`."""

    file: Path


@dataclass(frozen=True, slots=True)
class Nothing:
    """`source: none`: an empty tree."""


Source: TypeAlias = (
    Debian | Arch | Fedora | Directory | Tar | Oci | Container | Erofs | Squashfs | Disk | OtherRecipe | Nothing
)
