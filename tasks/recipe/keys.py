"""Every key a recipe knows: its kind, its default, its meaning.

The loader, the schema and the reference all read this.
"""

from __future__ import annotations

from bootsmith.tasks.recipe import lexicon as words
from bootsmith.tasks.recipe import loaders, model
from bootsmith.tasks.recipe.files import File
from bootsmith.tasks.recipe.scalars import Bool, Choice, FilePath, Str, integer, mode, size, time
from bootsmith.tasks.recipe.shapes import Choose, Key, Kind, ListOf, Named, OneOrMore, Section, WordOr

LINE = Str()
PACKAGES = ListOf(words.PACKAGE, once=True)

_REPOSITORY = Section(
    {
        "uri": Key(words.URL, "where it is", required=True),
        "suite": Key(words.SUITE, "its suite", required=True),
        "components": Key(ListOf(words.COMPONENT, once=True), "its components", ["main"]),
        "key": Key(FilePath("file"), "the OpenPGP key that signs it", required=True),
    },
    model.Repository,
)

_DEBIAN = Section(
    {
        "suite": Key(words.SUITE, "the release, by its code name", required=True),
        "variant": Key(
            Choice("minbase", "required", "important", "standard"),
            "the packages to begin with: mmdebstrap's sets, by priority",
            "minbase",
        ),
        "components": Key(ListOf(words.COMPONENT, once=True), "the archive's areas to install from", ["main"]),
        "packages": Key(PACKAGES, "what to install, with everything it depends on", []),
        "exclude": Key(PACKAGES, "what must not be installed, even where something recommends it", []),
        "recommends": Key(Bool(), "install recommended packages too", False),
        "docs": Key(Bool(), "keep manuals, documentation and translations", False),
        "security": Key(Bool(), "install the suite's security updates", True),
        "mirror": Key(words.URL, "where to fetch packages; never changes what is built", derived="the host's"),
        "keyring": Key(FilePath("file"), "the keys that sign the archive", derived="by suite"),
        "repositories": Key(ListOf(_REPOSITORY), "further repositories", []),
    },
    model.Debian,
)

_DIRECTORY_TREE = Section(
    {
        "path": Key(FilePath("directory"), "the folder", required=True),
        "owner": Key(Choice("root", "keep"), "root: everything becomes root's; keep: whose it is, by number", "root"),
    },
    model.Directory,
    bare="path",
)
_TAR_TREE = Section({"file": Key(FilePath("file"), "the archive", required=True)}, model.Tar, bare="file")
SOURCE = Choose(
    {
        "debian": Kind(_DEBIAN, "a tree installed from Debian's packages", model.Debian),
        "directory": Kind(_DIRECTORY_TREE, "a tree that is there already, modes as they are", model.Directory),
        "tar": Kind(_TAR_TREE, "a tree in a tar, plain or packed by gzip, zstd or xz, owners as they are", model.Tar),
        "none": Kind(Section({}, model.Nothing), "an empty tree", model.Nothing),
    }
)

_OWNED = {
    "owner": Key(words.OWNER, "the user it belongs to, a name of the tree or a number", "root"),
    "group": Key(words.OWNER, "the group it belongs to", "root"),
}
_OVERLAY = Section(
    {
        "from": Key(FilePath("directory"), "the folder whose contents to add", required=True, attr="source"),
        "to": Key(words.FOLDER, "where in the tree", "/"),
        "exclude": Key(ListOf(LINE), "patterns of what to leave out, relative to the folder", []),
    },
    bare="from",
)
_FILE = Section(
    {
        "from": Key(File(), "the file to copy", attr="source"),
        "content": Key(Str(lines=True), "or its text"),
        "mode": Key(mode(), "its permissions", "0644"),
        **_OWNED,
    },
    model.FileSpec,
    bare="from",
)
_DIRECTORY = Section({"mode": Key(mode(), "its permissions", "0755"), **_OWNED}, model.DirectorySpec)
_DEVICE = Section(
    {
        "node": Key(words.NODE, "what it is: a block or character device, major and minor number", required=True),
        "mode": Key(mode(), "its permissions", "0600"),
        **_OWNED,
    },
    model.Device,
    bare="node",
)

LAYER = Choose(
    {
        "overlay": Kind(
            _OVERLAY, "a folder laid over the tree: all root's, 0755 where executable, else 0644", model.Overlay
        ),
        "files": Kind(Named(words.TREE_PATH, _FILE), "single files", model.Files),
        "directories": Kind(Named(words.TREE_PATH, _DIRECTORY), "directories", model.Directories),
        "links": Kind(Named(words.TREE_PATH, LINE), "symbolic links, each with its target", model.Links),
        "devices": Kind(Named(words.TREE_PATH, _DEVICE), "device nodes, made without root", model.Devices),
        "remove": Kind(ListOf(words.GLOB), "patterns of what to remove", model.Remove),
    },
    Key(words.PLAIN, "the layer's own name", derived="its number and kind"),
)

USER = Section(
    {
        "password": Key(
            words.SecretRef("locked", "empty", hashed=True),
            "none that works, none at all, or the password (or its hash) by reference",
            "locked",
        ),
        "ssh_keys": Key(ListOf(words.SshKey()), "public keys that may log in: their lines, or files of such lines", []),
        "uid": Key(integer(0, 4294967294), "the user's number", derived="the next free one"),
        "groups": Key(ListOf(words.GROUP, once=True), "further groups", []),
        "shell": Key(words.TREE_PATH, "the login shell", derived="the tree's usual one"),
        "home": Key(words.TREE_PATH, "the home directory", derived="/home/NAME, for root /root"),
    },
    model.User,
)
_UNITS = ListOf(words.UNIT, once=True)

SYSTEM = Section(
    {
        "hostname": Key(words.HOST, "the guest's name", derived="name"),
        "hosts": Key(Named(words.HOST, words.IP), "further names for /etc/hosts", {}),
        "users": Key(Named(words.USER, USER), "the users; root is always among them", {"root": {}}),
        "services": Key(
            Section(
                {
                    "enable": Key(_UNITS, "units to start", []),
                    "disable": Key(_UNITS, "units not to start by themselves", []),
                    "mask": Key(_UNITS, "units never to start", []),
                },
                model.Services,
            ),
            "systemd units",
            {},
        ),
        "network": Key(
            Choice("auto", "networkd", "ifupdown", "none"),
            "who asks for addresses (DHCP) on every wired link; auto is what the tree has",
            "auto",
        ),
        "machine_id": Key(
            Choice("empty", "none", other=words.MACHINE_ID),
            "empty: made on first boot; none: no such file; or the id itself",
            "empty",
        ),
        "ssh_host_keys": Key(
            Choice("first-boot", "keep", "none"),
            "made on first boot, left as the packages made them, or removed",
            "first-boot",
        ),
        "fstab": Key(
            Choice("uuid", "partuuid", "label", "none"),
            "what /etc/fstab names filesystems by; none leaves the file alone",
            "uuid",
        ),
    }
)

PARTITION = Section(
    {
        "fs": Key(
            Choice("ext4", "ext3", "ext2", "vfat", "none"), "the filesystem", derived="vfat for an ESP, else ext4"
        ),
        "mount": Key(words.MOUNT, "where the guest mounts it; the files below are put on it"),
        "size": Key(
            Choice("auto", "remaining", other=size()),
            "auto: what its content needs, a tenth more, and extra; remaining: what disk.size leaves. "
            "Where disk.size is given and nothing is remaining, an auto / becomes it",
            "auto",
        ),
        "extra": Key(size(0), "free space promised to the guest", derived="256M for /, else 0s"),
        "start": Key(size(34 * 512), "where it begins", derived="the next whole MiB"),
        "type": Key(
            words.PARTITION_TYPE,
            "what the table says it is: a name, gdisk's code, a GUID, or MBR's code like 0x83",
            derived="by mount",
        ),
        "active": Key(Bool(), "MBR's flag for the partition that a BIOS boots", derived="the loader's, on MBR"),
        "label": Key(LINE, "the filesystem's label", derived="the partition's name, for vfat in capitals"),
        "name": Key(LINE, "its name in a GPT", derived="the partition's name", attr="gpt_name"),
        "uuid": Key(words.VOLUME_ID, "the filesystem's UUID; vfat's is like ABCD-1234", derived="from seed and name"),
        "partuuid": Key(
            words.PARTUUID, "the partition's GUID", derived="from seed and name; on MBR from disk.id and its place"
        ),
        "attributes": Key(
            ListOf(Choice("legacy-boot", "no-auto", "read-only", other=words.ATTRIBUTE), once=True),
            "flags in a GPT, by name or bit; syslinux adds legacy-boot",
            [],
        ),
        "options": Key(words.OPTIONS, "mount options in fstab", "defaults"),
        "pass": Key(
            integer(0, 2),
            "fsck's turn in fstab",
            derived="1 for /; 0 for vfat, read-only or unmounted; else 2",
            attr="fsck_pass",
        ),
        "mkfs": Key(ListOf(LINE), "further words for the program that makes the filesystem", []),
    }
)

DISK = Section(
    {
        "table": Key(
            Choice("gpt", "mbr", "none"), "the partition table; none: the disk is one filesystem", derived="by loader"
        ),
        "size": Key(Choice("auto", other=size(1 << 20)), "the whole disk", "auto"),
        "sector": Key(words.SECTOR, "bytes in a sector", 512),
        "id": Key(words.DISK_ID, "the disk's GUID, or MBR's signature: eight hex digits", derived="from seed"),
        "partitions": Key(
            Named(words.PLAIN, PARTITION), "the partitions in order; replaces the usual layout", derived="by loader"
        ),
    }
)

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
            "args": Key(LINE, "its words, its own name first; by default that name alone", ""),
        },
        model.Module,
    )
)

LOADER = words.LoaderName(*loaders.KINDS)
BOOT = Section(
    {
        "loader": Key(
            OneOrMore(LOADER),
            "the bootloader, or several for one disk; or a Python file that makes one",
            "systemd-boot",
        ),
        "kernel": Key(
            WordOr("auto", "none", other=_KERNEL),
            "auto: the newest in the tree; or a kernel of your own",
            "auto",
        ),
        "initrd": Key(
            WordOr("auto", "none", "tree", other=File()),
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
        "cmdline": Key(LINE, "further words for the kernel", ""),
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
                        "title": Key(LINE, "what the menu shows", derived="the distribution's name"),
                        "cmdline": Key(LINE, "words for the kernel after boot.cmdline", ""),
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
                    "key": Key(words.SecretRef(), "the RSA key to sign with, PEM", required=True),
                    "certificate": Key(FilePath("file"), "its certificate, PEM or DER", required=True),
                    "enroll": Key(Bool(), "let systemd-boot offer the certificate to a firmware without keys", False),
                },
                model.SecureBoot,
            ),
            "sign what the firmware starts",
        ),
    }
)

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
                    "encrypt": Key(words.SecretRef(), "the passphrase to encrypt it with, by LUKS"),
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
    }
)

MACHINE = Section(
    {
        "firmware": Key(
            Choice("auto", "uefi", "bios", "direct"), "what starts the loader; direct: QEMU starts the kernel", "auto"
        ),
        "secure_boot": Key(Bool(), "the firmware starts only what is signed by a key it knows", False),
        "type": Key(Choice("q35", "pc", "microvm"), "the board; microvm starts kernels directly only", "q35"),
        "cpu": Key(words.CPU, "the CPU model; best is the most the accelerator gives", "best"),
        "cpus": Key(integer(1, 255), "how many", 2),
        "memory": Key(size(16 << 20, 1 << 20), "RAM", "1G"),
        "accel": Key(Choice("auto", "kvm", "tcg"), "auto: KVM where it really runs a guest", "auto"),
        "display": Key(Choice("none", "gtk", "sdl", "vnc"), "a window, or VNC on 127.0.0.1", "none"),
        "gpu": Key(Choice("none", "std", "virtio"), "the graphics card", "none"),
        "serial": Key(Choice("stdio", other=FilePath()), "the terminal, or a file for the serial console", "stdio"),
        "drive": Key(Choice("virtio", "ide", "sata", "nvme", "scsi"), "how the disk is attached", "virtio"),
        "cache": Key(
            Choice("writeback", "none", "unsafe", "writethrough", "directsync"), "QEMU's cache of it", "writeback"
        ),
        "nic": Key(Choice("virtio", "e1000", "none"), "the network card", "virtio"),
        "forward": Key(ListOf(words.FORWARD), "ports of 127.0.0.1 that lead into the guest", []),
        "share": Key(Named(words.TAG, FilePath("directory")), "folders of this host, for the guest to mount", {}),
        "monitor": Key(Bool(), "offer QEMU's monitor", False),
        "gdb": Key(Bool(), "wait for gdb before the first instruction", False),
        "debug": Key(words.DEBUG, "what QEMU logs (its -d), such as int,cpu_reset; to build/NAME/debug.log"),
        "qemu": Key(ListOf(LINE), "further words for QEMU", []),
        "keep": Key(Bool(), "keep what the guest writes, in build/NAME/run.qcow2", False),
        "login": Key(
            Choice("auto", "none"), "auto: a run may enter a locked image by credentials, image untouched", "auto"
        ),
    }
)


def _given(**limits: int | None) -> dict[str, int]:
    """Return the limits that were given."""
    return {phase: seconds for phase, seconds in limits.items() if seconds is not None}


TEST = Section(
    {
        "firmware": Key(
            ListOf(Choice("auto", "uefi", "bios", "direct"), at_least=1, once=True),
            "boot under each of these; auto is machine.firmware",
            ["auto"],
        ),
        "entry": Key(words.NAME, "the menu entry to boot, without a change to the image", derived="boot.default"),
        "expect": Key(ListOf(words.REGEX), "what the console must show, in order, after the kernel began", ["login:"]),
        "fail": Key(ListOf(words.REGEX), "what it must not show, beside panics and the like", []),
        "began": Key(words.REGEX, "what a kernel prints first that is neither Linux nor GNU Mach"),
        "timeout": Key(time(), "the longest a test may take; like all times here, twice that without KVM", "5m"),
        "silence": Key(time(), "the longest the console may be silent", "90s"),
        "limits": Key(
            Section(
                {
                    "firmware": Key(time(), "until a loader speaks"),
                    "loader": Key(time(), "until a kernel speaks"),
                    "kernel": Key(time(), "until its initrd or its init runs"),
                    "initrd": Key(time(), "until the init of the root filesystem runs"),
                    "userspace": Key(time(), "until all that is expected was printed"),
                },
                _given,
            ),
            "the longest each phase of the boot may take; a phase that is not named may take what there is",
            {},
        ),
        "login": Key(
            Section(
                {
                    "user": Key(words.USER, "who", required=True),
                    "password": Key(words.SecretRef(), "with which password", required=True),
                },
                model.Login,
            ),
            "log in on the serial console",
        ),
        "run": Key(ListOf(LINE), "commands in the guest that must exit 0", []),
        "keys": Key(
            ListOf(
                Section(
                    {
                        "after": Key(words.REGEX, "once this was printed, by whomever", required=True),
                        "send": Key(Str(lines=True), "type this", required=True),
                    },
                    model.Keystrokes,
                )
            ),
            'what to type on the serial console, in order; Enter is "\\r"',
            [],
        ),
        "screenshot": Key(Bool(), "keep a picture of the screen", True),
    },
    model.Test,
)

RECIPE = Section(
    {
        "name": Key(words.NAME, "the folder below build/; not inherited", derived="the file's name without .yaml"),
        "description": Key(LINE, "its line in `doit recipes`; not inherited", ""),
        "version": Key(words.VERSION, "the image's version", "0"),
        "arch": Key(Choice("amd64", "i386"), "the guest's architecture", "amd64"),
        "seed": Key(LINE, "what every UUID is derived from", derived="name"),
        "epoch": Key(
            words.DATE,
            "the time every file and filesystem carries",
            derived="the lock file's; 1980-01-01 where none is needed",
        ),
        "source": Key(SOURCE, "where the tree comes from", required=True),
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
    }
)
