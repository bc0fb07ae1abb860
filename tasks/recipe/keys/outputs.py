"""The keys of `outputs:`: the files to keep."""

from __future__ import annotations

from bootsmith.tasks.recipe.keys.media import MEDIA
from bootsmith.tasks.recipe.keys.tree_outputs import TREES
from bootsmith.tasks.recipe.model import outputs as model
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.files import File
from bootsmith.tasks.recipe.values.scalars import Bool, Choice, size
from bootsmith.tasks.recipe.values.shapes import Choose, Key, Kind, Section

_FILE_OF_OUTPUT = Key(words.FILE_NAME, "the file's name below build/NAME/", derived="NAME and the kind's ending")
_OS = Key(
    Choice("debian", "ubuntu", "linux", "other"),
    "what hypervisors are told that the guest is",
    derived="debian where it is that; linux; other for a multiboot kernel",
)
_SIZE = Key(
    size(512),
    "how large the disk is in it: larger than disk.size, its last partition and ext filesystem grown",
    derived="the disk's own",
)
_DISK = {"file": _FILE_OF_OUTPUT, "size": _SIZE}
_ALONE = Section({"file": _FILE_OF_OUTPUT}, bare="file")
_DISK_ALONE = Section(_DISK, bare="file")


def _image(kind: type, doc: str, *subformats: str) -> Kind:
    """Return a format of several forms, the first of which is the usual one."""
    forms = Key(Choice(*subformats), "which form of it", subformats[0])
    return Kind(Section({**_DISK, "subformat": forms}, bare="file"), doc, kind)


OUTPUT = Choose(
    {
        "raw": Kind(
            Section(
                {
                    **_DISK,
                    "compress": Key(
                        Choice("none", "gzip", "xz", "zstd"),
                        "how it is packed; a map of the blocks that matter (bmap) is put beside it",
                        "none",
                    ),
                },
                bare="file",
            ),
            "the disk, byte by byte, sparse",
            model.Raw,
        ),
        "qcow2": Kind(
            Section(
                {
                    **_DISK,
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
        "vhd": _image(model.Vhd, "Virtual PC's and Hyper-V's older format", "dynamic", "fixed"),
        "vhdx": _image(model.Vhdx, "Hyper-V's format", "dynamic", "fixed"),
        "vdi": _image(model.Vdi, "VirtualBox's format", "dynamic", "fixed"),
        "vmdk": _image(
            model.Vmdk,
            "VMware's format",
            "monolithicSparse",
            "streamOptimized",
            "monolithicFlat",
        ),
        "azure": Kind(_DISK_ALONE, "what Azure takes: a fixed VHD of whole MiB", model.Azure),
        "gcp": Kind(_DISK_ALONE, "what Google's cloud takes: disk.raw in a tar.gz, of whole GiB", model.Gcp),
        "aws": Kind(
            Section(
                {
                    **_DISK,
                    "bucket": Key(words.BUCKET, "the bucket that the image will be in when it is imported", "BUCKET"),
                },
                bare="file",
            ),
            "what Amazon's cloud takes: a streamOptimized VMDK, and the request to import it",
            model.Aws,
        ),
        "ova": Kind(
            Section({**_DISK, "os": _OS}, bare="file"),
            "a machine for VMware and VirtualBox, in one file: `machine:` tells its hardware",
            model.Ova,
        ),
        "ovf": Kind(
            Section({**_DISK, "os": _OS}, bare="file"),
            "the same in three files: description, disk, manifest",
            model.Ovf,
        ),
        "box": Kind(
            Section(
                {
                    **_DISK,
                    "provider": Key(Choice("libvirt", "virtualbox"), "whose machine it is", "libvirt"),
                    "os": _OS,
                },
                bare="file",
            ),
            "a box for Vagrant: `machine:` tells its hardware",
            model.Box,
        ),
        "kernel": Kind(_ALONE, "the kernel", model.KernelOutput),
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
        **TREES,
    }
)
