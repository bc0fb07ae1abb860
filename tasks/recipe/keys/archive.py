"""The keys of `archive:`: where packages come from on top of a tree of any source but debian."""

from __future__ import annotations

from bootsmith.tasks.recipe.keys.source import REPOSITORY
from bootsmith.tasks.recipe.model import archive as model
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.scalars import Bool, FilePath
from bootsmith.tasks.recipe.values.shapes import Key, ListOf, Section

ARCHIVE = Section(
    {
        "suite": Key(words.SUITE, "the release, by its code name", derived="as the tree's os-release says"),
        "components": Key(
            ListOf(words.COMPONENT, once=True),
            "the archive's areas to install from",
            derived="main; of an Ubuntu main and universe",
        ),
        "recommends": Key(Bool(), "install recommended packages too", False),
        "docs": Key(Bool(), "keep manuals, documentation and translations of what is installed", False),
        "security": Key(Bool(), "with the security updates of the suite", True),
        "mirror": Key(words.URL, "where to fetch packages; never changes what is built", derived="the host's"),
        "keyring": Key(FilePath("file"), "the keys that sign the archive", derived="by distribution"),
        "repositories": Key(ListOf(REPOSITORY), "further repositories", []),
    },
    model.Archive,
)
