"""The outputs that are media of their own, filled in. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from bootsmith.tasks.recipe.completion import identifiers
from bootsmith.tasks.recipe.model.boot import Boot
from bootsmith.tasks.recipe.model.outputs import Cidata, Iso


class Volume(NamedTuple):
    """What of a recipe each of its volumes goes by."""

    seed: str
    arch: str

    def iso(self, file: str, values: Mapping[str, Any], name: str, boot: Boot, number: int) -> Iso:
        """Return an ISO, the recipe's one of that `number`: each has a UUID of its own."""
        label = values["label"] or re.sub("[^A-Z0-9_]", "_", name.upper())[:32]
        uuid = identifiers.volume_date(self.seed, "iso", str(number))
        return Iso(file, values["mode"], label, values["loader"] or self._loaders(boot), uuid)

    def _loaders(self, boot: Boot) -> tuple[str, ...]:
        """Return what starts an ISO, where nobody says, under every firmware that there is for its machine."""
        if self.arch == "i386":
            return ("grub-bios",)
        return ("grub-bios", "efistub" if boot.secure_boot else "grub-efi")


def cidata(values: Mapping[str, Any], name: str) -> Cidata:
    """Return a volume for cloud-init."""
    ending = "iso" if values["format"] == "iso" else "img"
    return Cidata(values["file"] or f"{name}-cidata.{ending}", values["format"])
