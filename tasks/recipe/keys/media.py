"""The keys of the outputs that are media of their own: an ISO, and what cloud-init reads."""

from __future__ import annotations

from bootsmith.tasks.recipe.loaders.optical import ON_DISKS
from bootsmith.tasks.recipe.model import outputs as model
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.scalars import Choice
from bootsmith.tasks.recipe.values.shapes import Key, Kind, OneOrMore, Section

_FILE = Key(words.FILE_NAME, "the file's name below build/NAME/", derived="NAME and the kind's ending")
MEDIA = {
    "iso": Kind(
        Section(
            {
                "file": _FILE,
                "mode": Key(
                    Choice("live", "initramfs"),
                    "live: the tree, packed, with a layer in RAM over it for what is written; "
                    "initramfs: kernel and initrd alone",
                    "live",
                ),
                "label": Key(
                    words.ISO_LABEL, "the volume's name", derived="NAME in capitals, other signs than A-Z 0-9 as _"
                ),
                "loader": Key(
                    OneOrMore(Choice(*ON_DISKS)),
                    "what starts it, for each firmware at most one",
                    derived="grub-bios and grub-efi; with boot.secure_boot efistub for grub-efi; grub-bios for i386",
                ),
            }
        ),
        "a CD that also starts as a disk",
        model.Iso,
    ),
    "cidata": Kind(
        Section(
            {
                "file": Key(words.FILE_NAME, _FILE.doc, derived="NAME-cidata.iso, or .img"),
                "format": Key(Choice("iso", "vfat"), "its filesystem", "iso"),
            }
        ),
        "what system.cloud_init says, on a volume for cloud-init (NoCloud)",
        model.Cidata,
    ),
}
