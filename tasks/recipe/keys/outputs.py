"""The keys of `outputs:`: the files to keep."""

from __future__ import annotations

from bootsmith.tasks.recipe import model
from bootsmith.tasks.recipe.keys.media import MEDIA
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.files import File
from bootsmith.tasks.recipe.values.scalars import Bool, Choice, size
from bootsmith.tasks.recipe.values.shapes import Choose, Key, Kind, Section

_FILE_OF_OUTPUT = Key(words.FILE_NAME, "the file's name below build/NAME/", derived="NAME and the kind's ending")
OUTPUT = Choose(
    {
        "raw": Kind(Section({"file": _FILE_OF_OUTPUT}, bare="file"), "the disk, byte by byte, sparse", model.Raw),
        "qcow2": Kind(
            Section(
                {
                    "file": _FILE_OF_OUTPUT,
                    "compress": Key(
                        Choice("none", "zlib", "zstd"),
                        "how clusters are packed",
                        derived="zstd; zlib for compat 0.10; none encrypted",
                    ),
                    "preallocation": Key(
                        Choice("off", "metadata", "falloc", "full"),
                        "what is laid out beforehand",
                        derived="metadata; off when compressed or with backing, encrypt or snapshot",
                    ),
                    "cluster": Key(size(512), "bytes in a cluster, a power of two up to 2M", "64K"),
                    "compat": Key(Choice("0.10", "1.1"), "the format's version", "1.1"),
                    "lazy_refcounts": Key(Bool(), "put off reference counts", derived="true; false for compat 0.10"),
                    "backing": Key(File(), "the image it differs from: only what is another there is kept"),
                    "backing_format": Key(
                        Choice("raw", "qcow2"),
                        "what that image is; never told by its content, which a guest may have written",
                        derived="qcow2 for a file of that ending, else raw",
                    ),
                    "encrypt": Key(
                        words.SecretRef(holds="the passphrase"), "the passphrase to encrypt it with, by LUKS"
                    ),
                    "snapshot": Key(words.SNAPSHOT, "keep the disk as it was made under this name"),
                }
            ),
            "QEMU's own format",
            model.Qcow2,
        ),
        "kernel": Kind(Section({"file": _FILE_OF_OUTPUT}, bare="file"), "the kernel", model.KernelOutput),
        "initramfs": Kind(
            Section(
                {
                    "file": _FILE_OF_OUTPUT,
                    "compress": Key(
                        Choice("none", "gzip", "zstd"),
                        "how it is packed, with boot.initrd: tree",
                        derived="gzip",
                    ),
                },
            ),
            "the initrd",
            model.InitramfsOutput,
        ),
        **MEDIA,
    }
)
