"""Every key a recipe knows: its kind, its default, its meaning. Each section's stand in a file of their own.

The loader, the schema and the reference all read this.
"""

from __future__ import annotations

from bootsmith.tasks.recipe.keys.archive import ARCHIVE
from bootsmith.tasks.recipe.keys.boot import BOOT, LOADER
from bootsmith.tasks.recipe.keys.build import BUILDS
from bootsmith.tasks.recipe.keys.disk import DISK, PARTITION
from bootsmith.tasks.recipe.keys.layers import LAYER
from bootsmith.tasks.recipe.keys.machine import MACHINE, TEST
from bootsmith.tasks.recipe.keys.outputs import OUTPUT
from bootsmith.tasks.recipe.keys.source import SOURCE
from bootsmith.tasks.recipe.keys.system import SYSTEM, USER
from bootsmith.tasks.recipe.keys.verify import VERIFY
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.scalars import Choice
from bootsmith.tasks.recipe.values.shapes import Key, ListOf, Section, WordOr

__all__ = [
    "BOOT",
    "DISK",
    "LAYER",
    "LOADER",
    "MACHINE",
    "OUTPUT",
    "PARTITION",
    "RECIPE",
    "SOURCE",
    "SYSTEM",
    "TEST",
    "USER",
    "VERIFY",
]

RECIPE = Section(
    {
        "name": Key(words.NAME, "the folder below build/; not inherited", derived="the file's name without .yaml"),
        "description": Key(words.LINE, "its line in `doit recipes`; not inherited", ""),
        "version": Key(words.VERSION, "the image's version", "0"),
        "arch": Key(Choice("amd64", "i386"), "the guest's architecture", "amd64"),
        "seed": Key(words.LINE, "what every UUID is derived from", derived="name"),
        "epoch": Key(
            words.DATE,
            "the time every file and filesystem carries",
            derived="the lock file's; 1980-01-01 where none is needed",
        ),
        "build": Key(BUILDS, "files made by commands of your own, each taken as {build: NAME} where a FILE is", {}),
        "source": Key(SOURCE, "where the tree comes from", required=True),
        "archive": Key(
            ARCHIVE,
            "where packages come from on top of a tree of any source but debian, which says it itself",
            {},
        ),
        "layers": Key(ListOf(LAYER), "what is added to the tree, in order; each may carry a `name`", []),
        "system": Key(
            WordOr("none", other=SYSTEM),
            "what the guest is declared to be; none leaves the tree alone",
            derived="all its defaults; none for multiboot and for initrd: tree",
        ),
        "disk": Key(DISK, "the disk", {}),
        "boot": Key(BOOT, "how it boots", {}),
        "outputs": Key(ListOf(OUTPUT), "the files to keep", ["raw", "qcow2"]),
        "machine": Key(MACHINE, "the virtual machine around the image", {}),
        "test": Key(TEST, "what `doit qemu-test` demands", {}),
        "verify": Key(
            WordOr("off", other=VERIFY),
            "what the disk must be, read back before it counts as built; off leaves that to `doit verify`",
            {},
        ),
    }
)
