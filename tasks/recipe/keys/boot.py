"""The keys of `boot:`: how it boots."""

from __future__ import annotations

from bootsmith.tasks.recipe.loaders.kinds import KINDS
from bootsmith.tasks.recipe.model import boot as model
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.files import File
from bootsmith.tasks.recipe.values.scalars import Bool, Choice, FilePath, integer
from bootsmith.tasks.recipe.values.shapes import Key, ListOf, Named, OneOrMore, Section, WordOr

_KERNEL = Section(
    {
        "file": Key(File(), "the kernel", required=True),
        "as": Key(words.TREE_PATH, "where it stands in the tree", derived="by loader", attr="path"),
    },
    model.Kernel,
    bare="file",
)
_MODULES = ListOf(
    Section(
        {
            "file": Key(WordOr("none", other=File()), "the module; none leaves out every entry with it", required=True),
            "as": Key(words.TREE_PATH, "where it stands in the tree", required=True, attr="path"),
            "args": Key(words.LINE, "its words, its own name first; by default that name alone", ""),
        },
        model.Module,
    )
)

_KERNELS = WordOr("auto", "install", "none", other=_KERNEL)
_INITRDS = WordOr("auto", "none", "tree", other=File())

LOADER = words.LoaderName(*KINDS)
BOOT = Section(
    {
        "loader": Key(
            OneOrMore(LOADER),
            "the bootloader, or several for one disk; or a Python file that makes one",
            "systemd-boot",
        ),
        "kernel": Key(
            _KERNELS,
            "auto: the newest in the tree; install: that, with the distribution's package added where none brings one; "
            "none: there is none; or a kernel of your own",
            "auto",
        ),
        "initrd": Key(
            _INITRDS,
            "auto: made by the tree's own tools, of a directory or tar the kernel's own in /boot, none for multiboot; "
            "tree: the whole tree, packed; or one of your own",
            "auto",
        ),
        "protocol": Key(Choice("linux", "multiboot", "multiboot2"), "what the kernel expects of its loader", "linux"),
        "modules": Key(_MODULES, "what a multiboot kernel is started with", []),
        "root": Key(
            Choice("partuuid", "uuid", "label", "none", other=words.DEVICE),
            "how the kernel is told its root filesystem; none says nothing",
            derived="partuuid; uuid without a table; none for multiboot and where the initrd is the whole tree",
        ),
        "cmdline": Key(words.LINE, "further words for the kernel", ""),
        "console": Key(
            ListOf(words.CONSOLE),
            "consoles, for Linux, loader and getty; the last one is /dev/console",
            ["tty0", "ttyS0"],
        ),
        "entries": Key(
            Named(
                words.NAME,
                Section(
                    {
                        "title": Key(words.LINE, "what the menu shows", derived="the distribution's name"),
                        "cmdline": Key(words.LINE, "words for the kernel after boot.cmdline", ""),
                        "kernel": Key(
                            _KERNELS,
                            "its own kernel, in `entries/NAME` beside the others unless `as` says where",
                            derived="boot.kernel",
                        ),
                        "initrd": Key(
                            _INITRDS, "its own initrd; auto goes by the entry's kernel", derived="boot.initrd"
                        ),
                        "modules": Key(_MODULES, "its own modules", derived="boot.modules"),
                    }
                ),
            ),
            "the menu, in order",
            {"default": {}},
        ),
        "default": Key(words.NAME, "the entry that boots by itself", derived="the first one"),
        "timeout": Key(integer(0, 3600), "seconds the menu waits", derived="0, with several entries 5"),
        "place": Key(
            Choice("auto", "esp", "active", "root", "none"),
            "where kernels stand: on the ESP, on the active partition, in the tree's /boot, or nowhere by themselves",
            derived="by loader",
        ),
        "removable": Key(
            Choice("only", "also", "no"),
            "EFI/BOOT/BOOTX64.EFI, which any firmware starts; also the vendor's path; or only that, for which a "
            "firmware needs an entry in its NVRAM: `run-uefi` and `qemu-test` give it one in a copy",
            "only",
        ),
        "packages": Key(Bool(), "install the loader's own package in the tree", True),
        "config": Key(Named(words.FILE_NAME, File()), "files that stand in for a loader's own, as they are", {}),
        "grub_modules": Key(ListOf(words.GRUB_MODULE, once=True), "further modules in GRUB's image", []),
        "secure_boot": Key(
            Section(
                {
                    "key": Key(
                        words.SecretRef(holds="an RSA key, such as `openssl genrsa 2048` prints,"),
                        "the RSA key to sign with, PEM",
                        required=True,
                    ),
                    "certificate": Key(FilePath("file"), "its certificate, PEM or DER", required=True),
                    "enroll": Key(Bool(), "let systemd-boot offer the certificate to a firmware without keys", False),
                },
                model.SecureBoot,
            ),
            "sign what the firmware starts",
        ),
    }
)
