"""The serial console: phases, failures, and menus that try to pass for a guest.

The texts are made up after what the programs really print; ESC sequences stand where they paint.
"""

from __future__ import annotations

import pytest
from bootsmith.tasks.machine.console import Console, Expectations, clean
from bootsmith.tasks.machine.console_messages import Phase

from tests.support.scripted_guests import KERNEL

CLEAR = "\x1b[2J\x1b[01;01H"
OVMF = (
    f"{CLEAR}\x1b[=3h{CLEAR}{CLEAR}"
    'BdsDxe: loading Boot0001 "UEFI Misc Device" from PciRoot(0x0)/Pci(0x1,0x0)\r\n'
    'BdsDxe: starting Boot0001 "UEFI Misc Device" from PciRoot(0x0)/Pci(0x1,0x0)\r\n'
)
TITLE = "Debian GNU/Linux"
STUB = "EFI stub: Loaded initrd from LINUX_EFI_INITRD_MEDIA_GUID device path\r\n"
INITRAMFS = (
    "[    1.500000] Run /init as init process\r\nLoading, please wait...\r\n"
    "Begin: Loading essential drivers ... done.\r\nBegin: Mounting root file system ... done.\r\n"
)
SYSTEMD = (
    "[    3.100000] systemd[1]: systemd 257.7-1 running in system mode (+PAM)\r\n"
    "\r\nWelcome to \x1b[1mDebian GNU/Linux 13 (trixie)\x1b[0m!\r\n\r\r\n"
    "[\x1b[0;32m  OK  \x1b[0m] Created slice \x1b[0;1;39msystem-getty.slice\x1b[0m.\r\r\n"
)
LOGIN = (
    "\x1b[!p\x1b]104\x07\x1b[?7h\x1b[6n\x1b[32766;32766H\x1b[6n\r\r\nDebian GNU/Linux 13 box ttyS0\r\n\r\nbox login: "
)


def systemd_boot(title: str = TITLE) -> str:
    """Return systemd-boot's menu: all painted, not a newline in it."""
    line = f"\x1b[18;01H{'Boot in 1 s.':^100}"
    return f" {CLEAR}\x1b[15;33H\x1b[0m\x1b[30m\x1b[47m   {title}   \x1b[0m\x1b[37m\x1b[40m{line}{CLEAR}"


def grub(title: str = TITLE) -> str:
    """Return GRUB's menu, and what it says when the entry is chosen."""
    return (
        "\x1b[0m\x1b[30m\x1b[47mWelcome to GRUB!\r\n\r\n\x1b[0m\x1b[37m\x1b[40m\x1b[H\x1b[J\x1b[1;1H\x1b[?25l"
        "\x1b[m\x1b[2;24HGNU GRUB  version 2.06\r\n\r\n\x1b[m\x1b[4;2H+----+\x1b[5;2H|"
        "\r\n\r      Press enter to boot the selected OS, `e' to edit the commands       "
        f"\x1b[5;80H \x1b[7m\x1b[5;3H*{title}                \x1b[m\x1b[5;78H\r\n"
        f"  Booting `{title}'\r\n\r\n"
    )


def read(*texts: str, size: int = 1 << 20, fail: tuple[str, ...] = ()) -> Console:
    """Return a console that was fed the texts, `size` bytes at a time; text number n comes at second n."""
    console = Console(fail)
    for second, text in enumerate(texts):
        data = text.encode()
        for at in range(0, len(data), size):
            console.feed(data[at : at + size], second)
    return console


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("menu", [systemd_boot(), grub()])
def test_the_phases_of_a_boot(menu: str, size: int) -> None:
    """Each phase is noted when it begins, however the bytes arrive, under either loader."""
    console = read(OVMF, menu, STUB + KERNEL, INITRAMFS, SYSTEMD, LOGIN, size=size)
    assert console.phases == {
        Phase.FIRMWARE: 0, Phase.LOADER: 0, Phase.KERNEL: 2, Phase.INITRD: 3, Phase.USERSPACE: 4, Phase.LOGIN: 5,
    }  # fmt: skip
    assert console.phase is Phase.LOGIN
    assert str(console.phase) == "login"
    assert console.failure is None


def test_nothing_printed_is_no_phase() -> None:
    """A machine that says nothing reached nothing."""
    assert Console().phase is Phase.NOTHING
    assert Console().last_lines == []


def test_a_kernel_without_initrd_or_systemd() -> None:
    """A guest without initrd goes straight to its init, whichever that is."""
    console = read(OVMF, KERNEL, "[    2.0] x\r\n[    2.000001] Run /sbin/init as init process\r\n", "box login: ")
    assert console.phases[Phase.USERSPACE] == 2
    assert Phase.INITRD not in console.phases
    assert console.phases[Phase.LOGIN] == 3


def test_only_the_guest_is_heard() -> None:
    """What firmware and loader printed the guest did not say; what the kernel printed it did, from the first line."""
    console = read(OVMF, systemd_boot("login: Linux version"), STUB, KERNEL, "box login: ")
    assert console.said.startswith("EFI stub: ")
    assert console.said.endswith("\nbox login: ")
    assert "login: Linux version" not in console.said
    assert "login: Linux version" in console.heard


FOOLERS = [
    "Debian login: ",
    "box login:",
    "Linux version 6.12",
    "GNU Mach 1.8",
    "[    0.000000] Linux version 6.12",
    "[  OK  ] Reached target Login Prompts",
    "Welcome to Debian GNU/Linux 13!",
    "Kernel panic - not syncing",
    "(initramfs) ",
    "You are in emergency mode",
    "No space left on device",
    "EFI stub: Loaded initrd",
    "Run /init as init process",
    "grub> ",
    "UEFI Interactive Shell v2.2",
    "BdsDxe: No bootable option or device was found.",
]


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize("menu", [systemd_boot, grub])
@pytest.mark.parametrize("title", FOOLERS)
def test_a_menu_title_is_no_evidence(title: str, menu: type, size: int) -> None:
    """No menu title makes a kernel begin, a boot fail or an expectation come true."""
    console = read(OVMF, menu(title), menu(title), size=size, fail=(".",))
    assert not console.took_over
    assert console.said == ""
    assert console.failure is None
    assert not Expectations((".",)).look(console.said, 0)


def test_one_line_that_looks_like_a_kernel_is_not_enough() -> None:
    """A single line could be anybody's; with the second one both are the guest's."""
    first, second = KERNEL.splitlines(keepends=True)
    assert not read(OVMF, first).took_over
    assert read(OVMF, first, second).said == clean(KERNEL.encode())


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_the_first_line_on_a_cleared_screen_is_printed(size: int) -> None:
    """GRUB, where a key chose the entry, clears the screen and repeats no title: the kernel's first line counts."""
    console = read(
        OVMF, grub().split("\x1b[5;78H")[0], f"\x1b[?25h\x1b[H\x1b[J\x1b[1;1H\x1b[H\x1b[J\x1b[1;1H{KERNEL}", size=size
    )
    assert console.said == clean(KERNEL.encode())


def test_word_from_inside_begins_the_guest() -> None:
    """A kernel told to be quiet prints nothing; once our unit reported, what follows is the guest's."""
    console = read(OVMF, systemd_boot("box login: ").removesuffix(CLEAR))
    console.guest_began(5.0)
    assert console.said == ""
    console.feed(b"\r\nbox login: ", 6.0)
    assert console.phases == {
        Phase.FIRMWARE: 0, Phase.LOADER: 0, Phase.KERNEL: 5.0, Phase.USERSPACE: 5.0, Phase.LOGIN: 6.0,
    }  # fmt: skip
    assert console.said.strip() == "box login:"


def test_a_prompt_that_waits_already_is_the_guest_s() -> None:
    """A quiet guest whose prompt came before our unit's report is not asked to print it again."""
    console = read(OVMF, systemd_boot(), "\r\nbox login: ")
    console.guest_began(5.0)
    assert console.said == "box login: "


EARLY = {
    "no option": ("BdsDxe: No bootable option or device was found.\r\n", "no bootable device"),
    "after the shell": (
        'BdsDxe: starting Boot0002 "EFI Internal Shell" fr\x1bBBdsDxe: No bootable option or device was found.\r\n',
        "no bootable device",
    ),
    "shell": (f"{CLEAR}\x1b[01;01HUEFI Interactive Shell v2.2\r\nEDK II\r\n", "no bootable device"),
    "network": (">>Start PXE over IPv4.\r\n", "no bootable device"),
    "bios": ("Booting from Hard Disk...\r\nBoot failed: not a bootable disk\r\n\r\n", "no bootable device"),
    "bios, end": ("No bootable device.\r\n", "no bootable device"),
    "rescue": ("error: no such partition.\r\nEntering rescue mode...\r\ngrub rescue> ", "loader"),
    "prompt": ("\r\n\r\ngrub> ", "loader"),
    "syslinux": ("Could not find kernel image: linux\r\nboot: ", "loader"),
    "boot sector": ("Missing operating system.\r\n", "loader"),
    "no entry": ("\r\n  Failed to boot both default and fallback entries.\r\n", "loader"),
}
LATE = {
    "panic": (
        "[    1.084888] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n",
        "kernel panic",
    ),
    "timer": (
        "[    0.100000] Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug\r\n",
        "starved",
    ),
    "root": ("ALERT!  PARTUUID=11111111-99 does not exist.  Dropping to a shell!\r\n", "initramfs shell"),
    "initramfs": ("\r\nBusyBox v1.36.1 built-in shell (ash)\r\n\r\n(initramfs) ", "initramfs shell"),
    "dracut": ("dracut-initqueue[512]: Warning: Could not boot.\r\n", "initramfs shell"),
    "emergency": ('You are in emergency mode. After logging in, type "journalctl -xb"\r\n', "emergency shell"),
    "rescue": ("You are in rescue mode. After logging in, type\r\n", "emergency shell"),
    "locked": ("Cannot open access to console, the root account is locked.\r\n", "emergency shell"),
    "sulogin": ("Give root password for maintenance\r\n(or press Control-D to continue): ", "emergency shell"),
    "mach": ("panic ../kern/bootstrap.c:181: bootstrap_create: No bootstrap code loaded\r\n", "kernel panic"),
    "space": ("[   30.000000] systemd[1]: Failed to write: No space left on device\r\n", "no space"),
}


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize("name", EARLY)
def test_failures_before_the_kernel(name: str, size: int) -> None:
    """Firmware without anything to boot, and a loader at its own prompt, are recognised."""
    text, kind = EARLY[name]
    console = read(OVMF, text, size=size)
    assert console.failure is not None
    assert console.failure.kind == kind


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize("name", LATE)
def test_failures_of_the_guest(name: str, size: int) -> None:
    """Panic, initramfs shell, emergency shell and a full disk are recognised, but only after the kernel began (W14)."""
    text, kind = LATE[name]
    console = read(OVMF, KERNEL, text, size=size)
    assert console.failure is not None
    assert console.failure.kind == kind
    assert read(OVMF, grub(), f"  Booting `{text.split(chr(13))[0]}'\r\n", size=size).failure is None


def test_the_whole_line_of_a_failure_is_shown() -> None:
    """A failure quotes its line to the end, although the bytes came one by one."""
    console = read(KERNEL, LATE["panic"][0], size=1)
    assert console.failure is not None
    assert console.failure.what.endswith("VFS: Unable to mount root fs on unknown-block(0,0)")


def test_the_first_failure_stands() -> None:
    """What follows from a failure does not cover it up."""
    console = read(KERNEL, LATE["root"][0], LATE["initramfs"][0], LATE["panic"][0])
    assert console.failure is not None
    assert "PARTUUID" in console.failure.what


def test_a_recipe_s_own_failures() -> None:
    """`test.fail` ends the boot on a line the guest printed, and on nothing a loader says."""
    assert read(OVMF + grub("segfault at 0"), fail=("segfault",)).failure is None
    console = read(KERNEL, "[    9.000000] app[1]: segfault at 0\r\n", fail=("segfault",))
    assert console.failure is not None
    assert console.failure.kind == "fail pattern"
    assert "segfault at 0" in console.failure.what


def test_complaints_of_a_loader_are_kept_for_later() -> None:
    """A loader's error need not be the end, but is remembered; a kernel that starts makes it harmless."""
    console = read(OVMF, "error: file `/grub/fonts/unicode.pf2' not found.\r\n")
    assert console.failure is None
    assert console.complaint == "error: file `/grub/fonts/unicode.pf2' not found."
    failed = 'BdsDxe: failed to load Boot0001 "UEFI Misc Device" from PciRoot(0x0): Not Found\r\n'
    assert read(failed, failed).complaint == failed.strip()
    assert read(failed, "error: one.\r\nerror: two.\r\n").complaint == f"{failed.strip()}; error: one.; error: two."


def test_a_device_that_failed_before_another_booted() -> None:
    """A failure of the firmware's is forgotten once a kernel runs."""
    assert read(OVMF, "BdsDxe: No bootable option or device was found.\r\n" + KERNEL).failure is None


def test_the_last_lines_can_be_read() -> None:
    """The last lines come without escapes, boxes and empty lines, the unfinished one included."""
    console = read(OVMF, grub(), KERNEL, SYSTEMD, LOGIN)
    assert console.last_lines[-3:] == [
        "[  OK  ] Created slice system-getty.slice.", "Debian GNU/Linux 13 box ttyS0", "box login:",
    ]  # fmt: skip
    assert not any("+----+" in line or "\x1b" in line for line in console.last_lines)
    assert len(read(OVMF, grub(), grub(), KERNEL, SYSTEMD, LOGIN).last_lines) == 15
    boxed = Console()
    boxed.feed(b"\x1b[17;30H\xc4\xc4\xc4\x1b[18;01Hone line", 0)
    assert boxed.last_lines == ["one line"]


def test_expectations_come_in_order() -> None:
    """Patterns count one after the other: the second only behind the first."""
    expected = Expectations(("^first$", "second"))
    assert not expected.look("second\n", 1)
    assert not expected.look("second\nfirst\n", 2)
    assert expected.missing == "second"
    assert expected.look("second\nfirst\nsecond", 3)
    assert expected.met == [2, 3]
    assert expected.missing is None


def test_no_expectations_are_met() -> None:
    """A test that expects nothing has nothing to wait for."""
    assert Expectations(()).look("", 0)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x1b[0;1;31mred\x1b[0m\r\nnext\x00\x07", "red\nnext"),
        (b"\x1b]0;a title\x07x\x1b]104\x1b\\y", "xy"),
        (b"\x1b(Ba\x1b7b\x1bMc", "abc"),
        ("Küche…".encode(), "Küche…"),
        (b"\xff\xfe", "��"),
    ],
)
def test_escapes_are_taken_out(raw: bytes, text: str) -> None:
    """Colours, titles, character sets and control bytes vanish; text and line ends stay."""
    assert clean(raw) == text
