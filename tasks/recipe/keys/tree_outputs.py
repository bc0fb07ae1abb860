"""The keys of the outputs that are the finished tree: archives, bare filesystems, and what is told of it."""

from __future__ import annotations

from bootsmith.tasks.recipe.model import tree_outputs as model
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.scalars import Choice, Str, size
from bootsmith.tasks.recipe.values.shapes import Key, Kind, ListOf, Section

_FILE = Key(words.FILE_NAME, "the file's name below build/NAME/", derived="NAME and the kind's ending")
_ALONE = Section({"file": _FILE}, bare="file")


def _packed(*how: str, usual: str) -> Key:
    return Key(Choice(*how), "how it is packed", usual)


TREES = {
    "tar": Kind(
        Section({"file": _FILE, "compress": _packed("none", "gzip", "xz", "zstd", usual="none")}, bare="file"),
        "the finished tree, with kernel and initrd in /boot, as a tar",
        model.TarOutput,
    ),
    "tgz": Kind(_ALONE, "the same, packed by gzip: what run-tgz boots", model.TgzOutput),
    "oci": Kind(
        Section(
            {
                "file": Key(words.FILE_NAME, _FILE.doc, derived="NAME-oci.tar"),
                "compress": _packed("none", "gzip", "zstd", usual="gzip"),
                "layers": Key(
                    Choice("one", "each"),
                    "one: the finished tree; each: the source and every layer of the recipe as one of the image, "
                    "so that images share what they have in common",
                    "one",
                ),
                "tag": Key(words.IMAGE_TAG, "what the image is called in the archive", "latest"),
                "command": Key(ListOf(Str(lines=True)), "what a container runs that is told nothing", ["/bin/sh"]),
            },
            bare="file",
        ),
        "the finished tree as a container image, in an OCI archive",
        model.OciOutput,
    ),
    "directory": Kind(
        Section(
            {"file": Key(words.FILE_NAME, "the folder's name below build/NAME/", derived="NAME-tree")}, bare="file"
        ),
        "the finished tree as a folder, which run-dir boots; an ordinary user's subordinate ids stand for owners",
        model.DirectoryOutput,
    ),
    "ext4": Kind(
        Section(
            {
                "file": _FILE,
                "size": Key(
                    Choice("auto", other=size(1 << 20, 4096)), "the whole file; auto: content x 1.1 + extra", "auto"
                ),
                "extra": Key(size(0), "free space, where the size is auto", "0s"),
                "label": Key(words.EXT_LABEL, "the filesystem's label", "root"),
            },
            bare="file",
        ),
        "the finished tree as a filesystem without a disk around it",
        model.Ext4Output,
    ),
    "squashfs": Kind(
        Section({"file": _FILE, "compress": _packed("gzip", "lz4", "xz", "zstd", usual="zstd")}, bare="file"),
        "the same, packed and read-only",
        model.SquashfsOutput,
    ),
    "erofs": Kind(
        Section({"file": _FILE, "compress": _packed("none", "lz4", "lz4hc", usual="lz4")}, bare="file"),
        "the same, read-only, quicker to read",
        model.ErofsOutput,
    ),
    "manifest": Kind(_ALONE, "every package and every file of the tree, as JSON", model.ManifestOutput),
    "sbom": Kind(
        Section(
            {
                "file": Key(words.FILE_NAME, _FILE.doc, derived="NAME.spdx.json or NAME.cdx.json"),
                "format": Key(
                    Choice("spdx", "cyclonedx"), "spdx: SPDX 2.3; cyclonedx: CycloneDX 1.5; both as JSON", "spdx"
                ),
            },
            bare="file",
        ),
        "the packages of the tree for those who look for vulnerable ones: a software bill of materials",
        model.SbomOutput,
    ),
}
