"""The keys of `machine:` and `test:`: the virtual machine around the image, and what a boot in it must show."""

from __future__ import annotations

from bootsmith.tasks.recipe.model import machine as model
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.scalars import Bool, Choice, FilePath, Str, integer, size, time
from bootsmith.tasks.recipe.values.shapes import Key, ListOf, Named, Section

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
        "qemu": Key(ListOf(words.LINE), "further words for QEMU", []),
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
                    "password": Key(words.SecretRef(holds="the password"), "with which password", required=True),
                },
                model.Login,
            ),
            "log in on the serial console",
        ),
        "run": Key(ListOf(words.LINE), "commands in the guest that must exit 0", []),
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
