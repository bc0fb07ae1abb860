"""Where kernels and initrds stand on a disk, each known by the entry of the menu whose it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bootsmith.tasks.errors import StageError


@dataclass(frozen=True, slots=True)
class Placement:
    """`partition` holds kernels and initrds, at paths inside it; both by the entry whose they are, "" being all others.

    `{id}` and `{version}` stand for the kernel's facts. All are empty where loaders bring their kernels along. `own`
    are the kernels that are none of the tree's: such a one takes the place of one that has its name there. `boot` is
    where the tree's /boot is on the partition, with a slash behind it, None where it is on another one: a kernel that
    stands there stays, and so does its initrd where the tree `has_initrd`.
    """

    partition: str = ""
    kernels: Mapping[str, str] = field(default_factory=dict)
    initrds: Mapping[str, str] = field(default_factory=dict)
    own: tuple[str, ...] = ()
    boot: str | None = None
    has_initrd: bool = False

    def named(self, facts: Mapping[str, Mapping[str, str]]) -> Placement:
        """Return it with the paths of the kernels that were built, `facts` telling of each.

        Raises StageError where two of them are the same, letters large or small.
        """
        known = {entry: facts.get(entry, {}) for entry in (*self.kernels, *self.initrds)}
        kernels = {entry: path.format_map(known[entry]) for entry, path in self.kernels.items()}
        initrds = {entry: path.format_map(known[entry]) for entry, path in self.initrds.items()}
        if "" in kernels and "" not in self.own:
            kernels[""] = self._in_boot(known[""].get("path")) or kernels[""]
        if "" in initrds and self.has_initrd:
            initrds[""] = self._in_boot(known[""].get("initrd")) or initrds[""]
        seen: dict[str, str] = {}
        for name, paths in (("kernel", kernels), ("initrd", initrds)):
            for entry, path in paths.items():
                what = key(entry, name)
                if seen.setdefault(path.lower(), what) != what:
                    raise StageError(
                        f"{seen[path.lower()]} and {what} would both stand at {path} on the partition {self.partition}",
                        "Let `as:` name another place for the one of your own.",
                    )
        return replace(self, kernels=kernels, initrds=initrds)

    def _in_boot(self, path: str | None) -> str | None:
        """Return where a file of the tree is on the partition; None unless it is in /boot itself, and that there."""
        folder, _, name = (path or "").rpartition("/")
        return f"{self.boot}{name}" if self.boot is not None and folder == "boot" else None


def role(kind: str, entry: str) -> str:
    """Return what the kernel, the initrd or the facts of an entry are called among a stage's inputs."""
    return f"{kind}/{entry}" if entry else kind


def key(entry: str, name: str) -> str:
    """Return the recipe's key that says it: `name` is kernel or initrd."""
    return f"boot.entries.{entry}.{name}" if entry else f"boot.{name}"
