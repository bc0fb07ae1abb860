"""The keys of `verify:`, what an image must be as it is read back."""

from __future__ import annotations

from typing import Final

from bootsmith.tasks.recipe.model import recipe as model
from bootsmith.tasks.recipe.values.scalars import Choice, size
from bootsmith.tasks.recipe.values.shapes import Key, ListOf, Section

CHECKS: Final = (
    "table",
    "filesystems",
    "loader",
    "root",
    "fstab",
    "free-space",
    "hostname",
    "machine-id",
    "passwords",
    "ssh-host-keys",
    "services",
    "settings",
    "accounts",
    "starts",
    "verity",
)
"""Every check by its name, in the order in which they are made."""

VERIFY = Section(
    {
        "min_free": Key(
            size(at_least=0, multiple=1),
            "what the root filesystem must have left, where `extra` is less",
            derived="what `extra` says; of a root with a size and no `extra` 32M, or a tenth of it where that is less",
        ),
        "skip": Key(ListOf(Choice(*CHECKS), once=True), "checks that are not made", []),
    },
    model.Verify,
)
