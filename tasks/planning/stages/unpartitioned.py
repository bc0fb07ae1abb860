"""The stage of a tree that no recipe made, as a disk without loader or table: what run-dir and run-tgz run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk.tree_disk import DirectoryDiskParams, TarDiskParams
from bootsmith.tasks.tree import archive, file_kinds, ownership

if TYPE_CHECKING:
    from bootsmith.tasks.build.parameters import Params
    from bootsmith.tasks.planning.site import Site


EPOCH = 315_532_800
"""When the filesystem was made: 1980. mke2fs takes 0 for no time at all."""


def of_directory(top: Path, site: Site, *, kernel: bool) -> Stage:
    """Return the stage for a directory; with `kernel` it takes kernel and initrd out, too. Raises StageError."""
    params = DirectoryDiskParams(EPOCH, *ownership.facts(top))
    return _stage("dir-disk", "pack_directory", top, params, site, kernel=kernel)


def of_tar(file: Path, site: Site, *, kernel: bool) -> Stage:
    """Return the stage for a tar, packed or not; with `kernel` it takes kernel and initrd out. Raises StageError."""
    packing = archive.packing(file)
    file_kinds.check_tar(file)
    tools = (packing,) if packing else ()
    params = TarDiskParams(EPOCH, packing)
    return _stage("tgz-disk", "unpack_tar", file, params, site, kernel=kernel, tools=tools)


def _stage(
    name: str,
    function: str,
    tree: Path,
    params: Params,
    site: Site,
    *,
    kernel: bool,
    tools: tuple[str, ...] = (),
) -> Stage:
    taken = {"kernel": site.kernel, "initrd": site.initrd} if kernel else {}
    return Stage(
        name,
        f"bootsmith.tasks.disk.tree_disk:{function}",
        {"tree": tree},
        {"disk": disk(site), **taken},
        params.to_json(),
        ("mke2fs", *tools),
        stored=False,  # quicker to make again
        doc="a tree as a disk without a loader",
    )


def disk(site: Site) -> Path:
    """Return where the disk is made."""
    return site.output("tree.img")
