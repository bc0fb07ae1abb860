"""The commands that are not stages, as data: each of one of a few kinds, with its options and the function that runs.

A function is named as `module:function`; it takes a `Request`, and its module of actions/ is imported only for it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

Param: TypeAlias = dict[str, Any]
Function: TypeAlias = str


class Command:
    """What every command has; `positional` names its positional argument."""

    def __init__(
        self, name: str, doc: str, run: Function, params: tuple[Param, ...] = (), positional: str | None = None
    ) -> None:
        self.name = name
        self.doc = doc
        self.run = run
        self.params = params
        self.positional = positional


class ImageCommand(Command):
    """Boots or reads the recipe's disk, made fresh first: or a past build's by `at=ID`, or the file that is named."""

    def __init__(
        self,
        *words: Any,
        check: Function,
        refuse: Function = "",
        secrets: Function = "",
        sealed: bool = False,
        within: bool = False,
        cd: bool = False,
        **more: Any,
    ) -> None:
        """Take `check`, which refuses options, where some were given, before anything is made.

        `refuse` refuses a recipe by its plan, where the command can do nothing with what that makes; `secrets` tells,
        of a plan, which secrets it reads besides those of its stages; `sealed` says that it is about an encrypted
        image, where the recipe keeps no other disk; `within`, that its words name files in the image, while another
        image is named by `--image`; and `cd` that it is about a CD, where the recipe keeps no disk at all.
        """
        super().__init__(*words, **more)
        self.check = check
        self.refuse = refuse
        self.secrets = secrets
        self.sealed = sealed
        self.within = within
        self.cd = cd


class TreeCommand(Command):
    """Is about a tree that no recipe made: what is built of it is fresh first."""

    def __init__(self, *words: Any, plan: Function, check: Function = "", **more: Any) -> None:
        """Take what makes the `plan` of the positional argument, and a `check` of options before that."""
        super().__init__(*words, **more)
        self.plan = plan
        self.check = check


class PlanCommand(Command):
    """Looks at the recipe's plan as it is: no stage runs for it, and no lock file is made or renewed."""

    def __init__(self, *words: Any, past: bool = False, **more: Any) -> None:
        """Say whether it is about a `past` build, which `at=ID` names too."""
        super().__init__(*words, **more)
        self.past = past


class RecipeCommand(Command):
    """Is about recipes and their lock files, which it needs no plan for."""

    def __init__(self, *words: Any, chooses: bool = False, **more: Any) -> None:
        """Say whether it `chooses` a recipe where none is named, instead of the default one."""
        super().__init__(*words, **more)
        self.chooses = chooses


class HostCommand(Command):
    """Is about this host: its programs, its cache, the machines that run on it."""

    def __init__(self, *words: Any, relays: bool = False, **more: Any) -> None:
        """Say whether it `relays` its words to somebody else, so that options among them are not its own."""
        super().__init__(*words, **more)
        self.relays = relays


def function(name: Function) -> Callable[..., Any]:
    """Return the function that the table names."""
    module, _, inner = name.partition(":")
    found: Callable[..., Any] = getattr(import_module(f"{__package__}.actions.{module}"), inner)
    return found


def option(name: str, text: str, *, kind: type = str, short: str = "") -> Param:
    """Return a doit parameter; None, or False for a flag, stands for "not given"."""
    default = False if kind is bool else None
    return {
        "name": name.replace("-", "_"),
        "long": name,
        "short": short,
        "type": kind,
        "default": default,
        "help": text,
    }


MACHINE = (
    option("memory", "the guest's memory, such as 2G"),
    option("cpus", "number of virtual CPUs"),
    option("cpu", "CPU model; best: all the accelerator can give"),
    option("accel", "auto, kvm or tcg"),
    option("type", "q35, pc, or to start a kernel directly microvm"),
    option("drive", "virtio, ide, sata, nvme or scsi"),
    option("cache", "writeback, none, unsafe, writethrough or directsync"),
    option("nic", "virtio, e1000 or none"),
    option("forward", "HOST:GUEST ports, comma-separated; always on 127.0.0.1"),
    option("share", "TAG=FOLDER: for the guest to mount; several with commas"),
    option("display", "none, gtk, sdl or vnc"),
    option("gpu", "none, std or virtio"),
    option("serial", "stdio or a file"),
    option("monitor", "give the QEMU monitor the terminal too (Ctrl-A C)", kind=bool),
    option("gdb", "wait for gdb on 127.0.0.1:1234", kind=bool),
    option("debug", "what QEMU logs to debug.log in the build directory, such as int,cpu_reset"),
    option("keep", "keep the guest's writes in run.qcow2 in the build directory", kind=bool),
    option("login", "auto: let me into a locked image; none: do not"),
    option("qemu", "more words for QEMU, split as a shell would"),
    option("print", "print the QEMU command, do not run it", kind=bool),
    option("detach", "run it in the background: `machines` shows it, `ssh` enters it, `stop` ends it", kind=bool),
    option("name", "with --detach: what those commands call it"),
)
KERNEL = (
    option("kernel", "a kernel, instead of the newest in the tree"),
    option("initrd", "its initrd"),
    option("cmdline", "words for the kernel"),
)
WRITE = option("write", "when the machine has ended, write what it changed into DIRECTORY", kind=bool)
FORMAT = option("format", "the image file's format, where it cannot be told: raw, qcow2, vmdk, vhd, vhdx, vdi or iso")
PASSPHRASE = option("passphrase", "an encrypted image's: file:PATH or env:NAME")
WITHIN = (option("image", "a disk image's file, instead of the recipe's"), PASSPHRASE)
SECURE_BOOT = option("secure-boot", "let the firmware refuse what is not signed", kind=bool)
MACHINES = "machines:check"

COMMANDS = (
    ImageCommand(
        "run-uefi",
        "boot the image, or any disk FILE, under UEFI (OVMF); the serial console on this terminal",
        "image_machines:run_uefi",
        (*MACHINE, FORMAT, PASSPHRASE, SECURE_BOOT),
        positional="image",
        check=MACHINES,
        refuse="image_machines:refuse_uefi",
        secrets="images:secrets",
        cd=True,
    ),
    ImageCommand(
        "run-bios",
        "boot the image, or any disk FILE, under a BIOS (SeaBIOS); the serial console on this terminal",
        "image_machines:run_bios",
        (*MACHINE, FORMAT, PASSPHRASE),
        positional="image",
        check=MACHINES,
        refuse="image_machines:refuse_bios",
        secrets="images:secrets",
        cd=True,
    ),
    ImageCommand(
        "run-direct",
        "let QEMU start the recipe's kernel, or any KERNEL, without firmware or loader",
        "image_machines:run_direct",
        (
            *MACHINE,
            option("initrd", "the initrd of KERNEL"),
            option("cmdline", "KERNEL's command line; with a recipe, words after its own"),
            option("entry", "the recipe's menu entry whose kernel, initrd and command line are taken"),
            option("disk", "a disk for KERNEL"),
            FORMAT,
            PASSPHRASE,
        ),
        positional="kernel",
        check=MACHINES,
        refuse="image_machines:refuse_direct",
        secrets="images:secrets",
    ),
    TreeCommand(
        "run-dir",
        "boot a DIRECTORY as the root of a machine; it stays as it is, unless --write",
        "tree_machines:run_tree",
        (*MACHINE, *KERNEL, WRITE),
        positional="directory",
        plan="tree_machines:of_directory",
        check=MACHINES,
    ),
    TreeCommand(
        "run-tgz",
        "boot the tree in a tar FILE, packed or not",
        "tree_machines:run_tree",
        (*MACHINE, *KERNEL),
        positional="file",
        plan="tree_machines:of_tar",
        check=MACHINES,
    ),
    *(
        TreeCommand(
            name,
            f"a disk for {firmware} of the tree in a tar or a directory, without a recipe",
            "recipeless_disks:deliver",
            (
                option("output", "the disk's file, its ending says the format; without, one below build/disks/"),
                option("size", "the whole disk's size, such as 4G"),
                option("subdir", "the folder of it that holds the tree"),
                option("hostname", "what the guest is called"),
                option("password-file", "a file with root's password"),
                option("ssh-key", "a file of public keys that may log in as root"),
                *KERNEL,
            ),
            positional="tree",
            plan=f"recipeless_disks:{plan}",
        )
        for name, firmware, plan in (
            ("build-syslinux-bios", "a BIOS", "for_bios"),
            ("build-efistub", "UEFI", "for_uefi"),
        )
    ),
    TreeCommand(
        "build-tgz",
        "a tree as a tgz, with kernel and initrd: the recipe's, or of a directory, a tar, an image, a SUITE of Debian",
        "recipeless_trees:deliver",
        (
            option("output", "the tgz; without, one below build/trees/"),
            option("packages", "of a SUITE: packages beside what it boots with, comma-separated"),
            option("kernel", "a kernel, instead of the newest in the tree; none: nothing is to boot"),
            option("initrd", "its initrd"),
        ),
        positional="tree",
        plan="recipeless_trees:plan",
    ),
    HostCommand(
        "ssh",
        "a shell in the running image, or COMMAND run there",
        "guest_shell:ssh",
        (
            option("machine", "the machine of this name, as `machines` shows it"),
            option("port", "the machine whose ssh server is forwarded to this port"),
            option("user", "whom to be there, where root's keys are yours too: the default is root"),
            option("timeout", "seconds to wait for its ssh server; 300 without"),
        ),
        positional="command",
        relays=True,
    ),
    HostCommand(
        "watch",
        "build TASK, `image` without, and again whenever something changes that it is made of; Ctrl-C ends it",
        "watch:watch",
        (option("poll", "look at files again and again, instead of being told by the kernel", kind=bool),),
        positional="task",
        relays=True,
    ),
    HostCommand(
        "machines",
        "what runs here: since when, by which process, on which ports",
        "running_machines:machines",
        (option("json", "as JSON", kind=bool),),
    ),
    HostCommand(
        "stop",
        "end the machine called NAME, or the only one: by its power button, and where it does not heed that, by force",
        "running_machines:stop",
        (
            option("all", "all that run here", kind=bool),
            option("now", "by force at once", kind=bool),
            option("timeout", "seconds to wait until it has powered off; 60 without"),
        ),
        positional="name",
    ),
    ImageCommand(
        "qemu-test",
        "boot the image and demand proof from inside the guest",
        "qemu_test:qemu_test",
        (
            option("firmware", "auto, uefi, bios or direct, comma-separated: boot under each"),
            option("entry", "the menu entry to boot"),
            option("accel", "auto, kvm or tcg"),
            option("timeout", "give up after this long, such as 5m"),
            option("silence", "give up after this long without a word on the console"),
            option("force", "boot, though the very same boot has passed before", kind=bool),
            option("timing", "print what each phase of the boot took", kind=bool),
        ),
        check="qemu_test:check",
        secrets="qemu_test:secrets",
        sealed=True,
        cd=True,
    ),
    ImageCommand(
        "write",
        "write the image, or any disk FILE, to a real disk: what is on that is lost",
        "device:write",
        (
            option("erase", "the DEVICE to write to, or a file that stands for one; all that it holds is lost"),
            option("grow", "let the last partition, and its ext filesystem, fill the device", kind=bool),
            FORMAT,
            PASSPHRASE,
        ),
        positional="image",
        check="device:check",
        refuse="device:refuse",
        secrets="images:secrets",
        cd=True,
    ),
    RecipeCommand(
        "update",
        "put the distribution's new package versions into the lock file",
        "recipes:update",
        (option("package", "move this package alone, with what its newest version needs; several with commas"),),
    ),
    RecipeCommand(
        "fetch-mach",
        "GNU Mach's kernel into the cache, where recipes/lites.yaml finds it",
        "recipes:fetch_mach",
        chooses=True,
    ),
    PlanCommand(
        "explain",
        "what a build would do, stage by stage, and why",
        "explain:explain",
        (option("json", "as JSON", kind=bool),),
    ),
    HostCommand(
        "cache",
        "stat, verify, gc, explain KEY or path: what the cache holds, whether it is sound, room in it",
        "cache_commands:cache",
        (
            option("json", "stat: as JSON", kind=bool),
            option("repair", "verify: move what is damaged away", kind=bool),
            option("sha256", "verify: print the SHA-256 of every stored file", kind=bool),
            option("size", "gc: keep no more than this, such as 10G"),
            option("age", "gc: keep nothing unused for longer, such as 30d"),
            option("dry-run", "gc: only tell what would be removed", kind=bool),
        ),
        positional="words",
    ),
    PlanCommand(
        "log",
        "the builds there were: when, what changed, whether the store still has them",
        "past_builds:log",
        (option("json", "as JSON", kind=bool), option("number", "only the newest so many", short="n")),
    ),
    PlanCommand(
        "restore",
        "a past build's files, beside the present ones: below build/NAME/at/",
        "past_builds:restore",
        (option("at", "the build's id, as `log` shows it, or the beginning of it"),),
        past=True,
    ),
    HostCommand("tools", "host programs: found, version, used by, missing", "host_programs:tools"),
    ImageCommand(
        "inspect",
        "partitions, filesystems, loaders and sizes of the image, or of any disk FILE",
        "images:inspect",
        (option("json", "as JSON", kind=bool), PASSPHRASE),
        positional="image",
        check="images:check",
        refuse="images:refuse",
        cd=True,
    ),
    ImageCommand(
        "verify",
        "read the image, or any disk FILE, back: tables, filesystems, loaders, and what the recipe declares",
        "images:verify",
        (option("json", "as JSON", kind=bool), PASSPHRASE),
        positional="image",
        check="images:check",
        refuse="images:refuse",
    ),
    ImageCommand(
        "ls",
        "the files in a directory of the image, or of any disk FILE",
        "image_files:ls",
        (
            option("long", "modes, owners, sizes, times and targets too", kind=bool, short="l"),
            option("recursive", "all that lies below it", kind=bool, short="R"),
            *WITHIN,
        ),
        positional="path",
        check="images:check",
        refuse="images:refuse",
        within=True,
    ),
    ImageCommand(
        "cat",
        "the content of a file in the image, or in any disk FILE",
        "image_files:cat",
        WITHIN,
        positional="path",
        check="images:check",
        refuse="images:refuse",
        within=True,
    ),
    ImageCommand(
        "extract",
        "a file of the image, or all in a directory, taken out into a DIRECTORY",
        "image_files:extract",
        WITHIN,
        positional="path directory",
        check="images:check",
        refuse="images:refuse",
        within=True,
    ),
    HostCommand(
        "diff",
        "what two images differ in: files, or recipes' disks as they are; exit status 1 where they do",
        "image_files:diff",
        (option("json", "as JSON", kind=bool),),
        positional="image",
    ),
    HostCommand(
        "convert-file",
        "any image file in another format",
        "file_conversion:convert_file",
        (
            option("input", "the image to read", short="i"),
            option(
                "output",
                "the file to write: raw, qcow2, vhd, vhdx, vdi, vmdk, ova, ovf, box, raw packed, by its ending",
                short="o",
            ),
            option("compress", "pack: qcow2 by zstd, zlib or none; raw by gzip, xz or zstd; vmdk by zlib", short="c"),
            option("prealloc", "qcow2: lay out beforehand: off, metadata, falloc or full", short="p"),
            option("cluster", "qcow2: bytes in a cluster, such as 64K", short="s"),
            option("compat", "qcow2: the format's version, 0.10 or 1.1"),
            option("no-lazy-refcounts", "qcow2: keep reference counts at all times", kind=bool),
            option(
                "subformat", "vhd, vhdx, vdi: dynamic or fixed; vmdk: monolithicSparse, monolithicFlat, streamOptimized"
            ),
            option("to", "the format to write, where OUT's ending does not say: also azure, gcp, aws"),
            option("bucket", "aws: the bucket that the image will be in when it is imported"),
            option("provider", "box: libvirt or virtualbox"),
            option("os", "ova, ovf, box: what the guest is: debian, ubuntu, linux or other"),
            option("memory", "ova, ovf, box: the machine's, such as 2G"),
            option("cpus", "ova, ovf, box: the machine's"),
            option("from", "the format of IN, where it cannot be told: raw, qcow2, vmdk, vhd, vhdx, vdi or iso"),
            option("priority", "low or idle: leave processor and disks to whoever else wants them"),
            option(
                "follow", "read the other files that IN names, as a backing file: of an image that you trust", kind=bool
            ),
            PASSPHRASE,
        ),
    ),
    HostCommand(
        "resize",
        "an image's FILE made as large as SIZE: the disk, its last partition, and the ext filesystem in that",
        "resizing:resize",
        (FORMAT,),
        positional="file size",
    ),
    RecipeCommand(
        "show",
        "the recipe with all its defaults, parents and variables filled in",
        "recipes:show",
    ),
    RecipeCommand("recipes", "every recipe here, one line each", "recipes:recipes"),
    RecipeCommand("schema", "the JSON Schema of recipes", "recipes:schema"),
)

IMAGE = (option("rebuild", "then build all of it again, in a fresh place, and compare bit for bit", kind=bool),)
"""The options of `image`."""
GROUPS = {
    "image": "build every output of the recipe",
    "rootfs": "the base tree, as a tar",
    "files": "single files, out of packages",
    "build": "files made by the recipe's own commands",
    "layers": "what the recipe adds to the tree",
    "initramfs": "the initrd",
    "kernel": "the kernel, out of the tree",
    "partition": "the partition table",
    "populate": "one filesystem per partition",
    "bootloader": "loaders and boot entries",
    "iso": "of a live system, the packed tree and the initrd",
    "assemble": "the raw disk, from its parts",
    "raw": "the same as assemble",
    "convert": "the other outputs, from the raw disk",
}
