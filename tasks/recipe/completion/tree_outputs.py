"""The outputs that are the finished tree, filled in. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Final

from bootsmith.tasks.recipe.completion import identifiers
from bootsmith.tasks.recipe.model import tree_outputs as model

_PACKED: Final = {"none": "", "gzip": ".gz", "xz": ".xz", "zstd": ".zst"}
_ENDINGS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "tar": lambda values: ".tar" + _PACKED[values["compress"]],
    "tgz": lambda _: ".tgz",
    "oci": lambda _: "-oci.tar",
    "directory": lambda _: "-tree",
    "ext4": lambda _: ".ext4",
    "squashfs": lambda _: ".squashfs",
    "erofs": lambda _: ".erofs",
    "manifest": lambda _: "-manifest.json",
    "sbom": lambda values: ".cdx.json" if values["format"] == "cyclonedx" else ".spdx.json",
}
_MODELS: Final[Mapping[str, Any]] = {each.kind: each for each in model.KINDS}


class Trees:
    """The outputs of one recipe; each bare filesystem has a UUID of its own."""

    def __init__(self, name: str, seed: str) -> None:
        self._name, self._seed = name, seed
        self._numbers = itertools.count(1)

    def output(self, kind: str, values: Mapping[str, Any]) -> model.TreeOutput:
        """Return an output of a kind."""
        more = {}
        if kind in ("ext4", "erofs"):
            more["uuid"] = identifiers.uuid(self._seed, "tree", kind, str(next(self._numbers)))
        found: model.TreeOutput = _MODELS[kind](
            **{**values, **more, "file": values["file"] or self._name + _ENDINGS[kind](values)}
        )
        return found


def is_tree(kind: str) -> bool:
    """Tell whether an output of that kind is the tree."""
    return kind in _MODELS
