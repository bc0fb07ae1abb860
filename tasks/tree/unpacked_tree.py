"""The finished tree in files of this host: what of it can be unpacked without being real root."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.tree import sandbox

if TYPE_CHECKING:
    from bootsmith.tasks.tree.merged_tar import Member
    from bootsmith.tasks.tree.tar import Entry

FLAGS: Final = (
    "--numeric-owner",
    "--same-permissions",
    "--xattrs",
    "--xattrs-include=security.capability",
    "--xattrs-include=system.posix_acl_*",
)
"""How tar unpacks what `fitting` gave."""


def fitting(tree: Mapping[str, tuple[int, Entry]], lost: list[str]) -> Iterator[Member]:
    """Yield the members that can be unpacked without real root; what is `lost` of others but those of /dev."""
    for path, (number, entry) in tree.items():
        if tree[entry.link if entry.type == "h" else path][1].type in sandbox.UNMADE:
            if not path.startswith("dev/"):  # there the kernel makes them
                lost.append(path)
            continue
        kept = {name: value for name, value in entry.xattrs.items() if name in sandbox.KEPT_ATTRIBUTES}
        if len(kept) < len(entry.xattrs):
            lost.append(path)
        yield entry._replace(xattrs=kept) if len(kept) < len(entry.xattrs) else entry, number


def told(lost: list[str], files: str) -> str:
    """Return what to tell of what is lost, at least one path; `files` are those that were to have it."""
    among = f" and {len(lost) - 1} more" if lost[1:] else ""
    return (
        f"/{shown(min(lost))}{among}: device nodes, and attributes but for capabilities and access control lists, "
        f"only real root could give to {files}: left out"
    )
