"""A boot is judged by what the guest shows, in the guest's own time."""

from __future__ import annotations

import base64

import pytest
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.machine.boot_run import BootRun, Unmet, began
from bootsmith.tasks.machine.console import Console
from bootsmith.tasks.machine.console_messages import STARVED, Phase
from bootsmith.tasks.recipe.model.machine import Keystrokes, Login

from tests.support.machine_keys import demands
from tests.support.scripted_guests import KERNEL, ScriptedGuest

NONCE = "cafe01"
MENU = "\x1b[2J\x1b[01;01H\x1b[15;33H box login: \x1b[18;01H\x1b[2J\x1b[01;01H"


def judged(guest: ScriptedGuest, **test: object) -> BootRun:
    """Return a boot run that passed. Raises Unmet."""
    run = BootRun(guest, demands(**test), NONCE)
    run.judge()
    return run


def refusal(guest: ScriptedGuest, **test: object) -> tuple[str, str]:
    """Return the kind of a failure, and what it says."""
    with pytest.raises(Unmet) as caught:
        judged(guest, **test)
    return caught.value.failure.kind, caught.value.failure.what


class Speaking(ScriptedGuest):
    """A guest whose unit prints the nonce on the second port at second `up`."""

    def __init__(self, script: list[tuple[float, str]], up: float = 15, **how: object) -> None:
        super().__init__(script, **how)  # type: ignore[arg-type]  # passed on
        self._up = up

    def pump(self, seconds: float) -> None:
        super().pump(seconds)
        if self.now() >= self._up and NONCE not in self.second:
            self.say_second(f"{NONCE} up\n")


def test_expectations_and_nonce_pass() -> None:
    """What was expected and the nonce together make a boot pass, each at its time."""
    guest = Speaking([(1, MENU), (5, KERNEL), (20, "box login: ")])
    run = judged(guest, expect=("Linux version", "login:"))
    assert run.evidence == ["2 of 2 expectations met", "nonce seen"]
    assert run.expected.met == [5, 20]


def test_a_menu_passes_nothing() -> None:
    """A menu that shows the expected words and then hangs fails by silence."""
    kind, what = refusal(ScriptedGuest([(1, MENU)]))
    assert kind == "silence"
    assert "nothing was printed for 90 s (`test.silence`): still waiting for test.expect: 'login:'" in what


def test_a_late_nonce_is_waited_for() -> None:
    """Expectations met early do not end the test while the guest still boots and may print its nonce."""
    guest = Speaking([(1, KERNEL), *((n, "[    1.000000] more\r\n") for n in range(2, 40))], up=35)
    assert judged(guest, expect=("Linux version",)).evidence[-1] == "nonce seen"
    assert guest.now() >= 35


def test_without_a_nonce_the_verdict_says_so() -> None:
    """A guest that cannot print the nonce passes by its expectations once it is calm, and the verdict says so."""
    guest = ScriptedGuest([(1, KERNEL), (5, "tiny is up\r\n")])
    assert judged(guest, expect=("tiny is up",)).evidence[-1].startswith("no nonce")
    assert guest.now() < 20


def test_a_guest_that_never_calms_down_is_not_waited_for_for_ever() -> None:
    """A guest that goes on printing without a nonce is judged after a minute."""
    guest = ScriptedGuest([(1, KERNEL), *((n, "tick\r\n") for n in range(2, 300))])
    assert judged(guest, expect=("Linux version",)).evidence[-1].startswith("no nonce")
    assert guest.now() < 70


def test_a_guest_that_powers_off_when_done_passes() -> None:
    """A guest that printed all that was expected may power itself off."""
    assert judged(ScriptedGuest([(1, KERNEL), (2, "tiny is up\r\n")], ends=3), expect=("tiny is up",))


def test_neither_expectations_nor_nonce_is_no_evidence() -> None:
    """A recipe that expects nothing, in a guest without a nonce, cannot pass."""
    kind, what = refusal(ScriptedGuest([(1, KERNEL)]), expect=())
    assert (kind, "waiting for the nonce" in what) == ("silence", True)
    assert judged(Speaking([(1, KERNEL)]), expect=()).evidence == ["nonce seen"]


def test_a_quiet_kernel_passes_by_its_nonce() -> None:
    """With `quiet` no kernel line is seen: the nonce proves that the prompt after it is the guest's."""
    guest = Speaking([(1, MENU), (20, "\r\nbox login: ")], up=15)
    assert judged(guest).evidence == ["1 of 1 expectations met", "nonce seen"]


def test_a_stale_nonce_is_none() -> None:
    """Another run's nonce proves nothing."""
    guest = ScriptedGuest([(1, KERNEL), (2, "beef99 up\r\nbox login: ")])
    assert judged(guest).evidence[-1].startswith("no nonce")


def test_a_panic_ends_the_test_at_once() -> None:
    """A recognised failure is reported when it happens, not when time is over (L7)."""
    guest = ScriptedGuest([(1, KERNEL), (3, "[    3.000000] Kernel panic - not syncing: no init\r\n")])
    kind, what = refusal(guest)
    assert kind == "kernel panic"
    assert "no init" in what
    assert guest.now() < 4


def test_a_failure_after_all_expectations_still_counts() -> None:
    """What goes wrong while the nonce is waited for fails the test."""
    guest = ScriptedGuest([(1, KERNEL + "box login: "), (5, "\r\nYou are in emergency mode. After\r\n")])
    assert refusal(guest)[0] == "emergency shell"


def test_the_wall_clock_limit() -> None:
    """A guest that prints for ever without doing what is expected fails at the time limit."""
    kind, what = refusal(ScriptedGuest([(n, "[    1.000000] busy\r\n") for n in range(600)]), timeout=60)
    assert kind == "timeout"
    assert "60 s were not enough (`test.timeout`): still waiting for test.expect: 'login:'" in what


def test_limits_are_stretched_by_patience() -> None:
    """Under a slower accelerator every limit is longer."""
    guest = ScriptedGuest([(1, KERNEL)])
    with pytest.raises(Unmet, match="nothing was printed for 180 s"):
        BootRun(guest, demands(), NONCE, patience=2).judge()
    assert guest.now() == pytest.approx(181, abs=2)


def test_a_machine_that_ends_early() -> None:
    """A guest that reboots fails, and so does a machine whose loader gave up; the loader's complaint is quoted."""
    assert "the guest rebooted or powered off" in refusal(ScriptedGuest([(1, KERNEL)], ends=2))[1]
    what = refusal(ScriptedGuest([(1, "error: file `/linux' not found.\r\n")], ends=2))[1]
    assert "no kernel started yet" in what
    assert "(before: error: file `/linux' not found.)" in what
    kind, what = refusal(ScriptedGuest([(1, GRUB)], ends=3))
    assert (kind, "the loader started no kernel: the machine rebooted" in what) == ("loader", True)


def shell(answers: dict[str, str]) -> object:
    """Return an answer to what is typed: the first whose key the text contains."""

    def answer(_port: str, text: str) -> str:
        return next((said for typed, said in answers.items() if typed in text), "")

    return answer


def test_login_refused() -> None:
    """A password the guest does not take fails the test, and is not shown."""
    answers = {"root": "root\r\nPassword: ", "sesame": "sesame\r\nLogin incorrect\r\n"}
    guest = Speaking([(1, KERNEL + "box login: ")], answer=shell(answers))
    run = BootRun(guest, demands(login=Login("root", Secret(env="PW"))), NONCE, password=b"sesame")
    with pytest.raises(Unmet, match="did not let root in"):
        run.judge()
    assert run.shown("sesame") == "********"


def test_commands_need_a_way_in() -> None:
    """`test.run` in a guest with neither our unit nor a login fails saying what it needs."""
    kind, what = refusal(ScriptedGuest([(1, KERNEL + "box login: ")]), run=("id",))
    assert kind == "no way in"
    assert "`test.login`" in what


@pytest.mark.parametrize(("status", "passes"), [(0, True), (3, False)])
def test_commands_must_exit_0(status: int, passes: bool) -> None:
    """A command in the guest that exits with anything but 0 fails the test, with its output."""
    answers = {"add": f"{NONCE} added\n", "run": f"some output\n\n{NONCE} exit {status}\n"}
    guest = Speaking([(1, KERNEL + "box login: ")], up=1, answer=shell(answers))
    if passes:
        run = judged(guest, run=("true", "id"))
        assert run.ran == [("true", 0, "some output"), ("id", 0, "some output")]
        assert run.evidence[-2:] == ["`true` ran", "`id` ran"]
    else:
        kind, what = refusal(guest, run=("false",))
        assert kind == "command failed"
        assert "`false` exited with status 3 in the guest\n  | some output" in what


def test_commands_wait_for_the_guests_services() -> None:
    """Which may be what they ask for; the unit that runs them is there before most others."""
    asked: list[str] = []
    answers = {"add": f"{NONCE} added\n", "run": f"\n{NONCE} exit 0\n"}

    def answer(port: str, text: str) -> str:
        if text.startswith("add "):
            asked.append(base64.b64decode(text.removeprefix("add ")).decode())
        return shell(answers)(port, text)

    run = judged(Speaking([(1, KERNEL + "box login: ")], up=1, answer=answer), run=("true", "id"))
    assert [command for command, _, _ in run.ran] == ["true", "id"]
    settled, *rest = asked
    assert "systemctl is-system-running --wait" in settled
    assert rest == ["true", "id"]
    asked.clear()
    judged(Speaking([(1, KERNEL + "box login: ")], up=1, answer=answer))
    assert asked == []


@pytest.mark.parametrize(
    "line",
    [
        "[ TIME ] Timed out waiting for device dev-ttyS0.device - /dev/ttyS0.",
        "[   95.000000] systemd[1]: dev-ttyS0.device: Job dev-ttyS0.device/start timed out.",
    ],
)
def test_a_guest_whose_serial_port_came_too_late_is_starved(line: str) -> None:
    """It is silent since systemd started no getty, on a host too busy for udev: it is booted again, as of a panic."""
    guest = ScriptedGuest([(1, KERNEL), (80, f"{line}\r\n")])
    kind, what = refusal(guest)
    assert kind == STARVED
    assert "systemd gave up on the serial port" in what
    assert refusal(ScriptedGuest([(1, KERNEL), (80, "other words\r\n")]))[0] == "silence"
    judged(Speaking([(1, KERNEL), (80, f"{line}\r\n"), (100, "box login: ")]))  # another way in was found


def test_progress_is_told() -> None:
    """Each phase is told once, when it is reached."""
    told: list[str] = []
    BootRun(Speaking([(1, "x\r\n"), (4, KERNEL), (20, "box login: ")]), demands(), NONCE, say=told.append).judge()
    assert told == ["firmware (1 s)", "kernel (4 s)", "userspace (15 s)", "login (20 s)"]


MACH = "GNU Mach 1.8+git20221224-486\r\nbiosmem: physical memory map:\r\nhd0: QEMU HARDDISK\r\n hd0s1\r\n"
GRUB = "GNU GRUB  version 2.06\r\n\x1b[5;3H*GNU Mach (no Lites) \x1b[m\r\n  Booting `GNU Mach (no Lites)'\r\n\r\n"
LITES = ("GNU Mach 1\\.8", "hd0s1", "start lites_server:")


def test_a_mach_kernel_takes_over() -> None:
    """GNU Mach is known by what it prints; its menu's titles, which name it, are no evidence (L7)."""
    run = judged(ScriptedGuest([(1, GRUB), (2, MACH + "start lites_server: hello\r\n")]), expect=LITES)
    assert run.booted.console.phase is Phase.USERSPACE
    assert run.booted.now() < 3, "Mach is not waited for: it knows no nonce"
    assert refusal(ScriptedGuest([(1, GRUB)]), expect=("GNU Mach",))[0] == "silence"
    direct = ScriptedGuest([(1, MACH + "start lites_server: hello\r\n")], console=Console(direct=True))
    assert judged(direct, expect=LITES).booted.now() < 3


def test_a_mach_panic_is_read_from_the_log() -> None:
    """Mach panics and reboots, which ends QEMU with status 0: the log tells, and the panic is quoted (L7)."""
    panic = "panic ../kern/bootstrap.c:181: bootstrap_create: No bootstrap code loaded with the kernel!\r\n"
    kind, what = refusal(ScriptedGuest([(1, GRUB), (2, MACH + panic)], ends=3), expect=LITES)
    assert kind == "kernel panic"
    assert "No bootstrap code loaded with the kernel!" in what


def test_a_kernel_nobody_knows() -> None:
    """`test.began` tells what a kernel of one's own prints first; no menu and no echo of a title is taken for it."""
    own = [(1, GRUB + "\x1b[5;3H*Mine 1.0 up\x1b[m\r\n  Booting `Mine 1.0 up'\r\n"), (2, "Mine 1.0\r\nup\r\n")]
    assert refusal(ScriptedGuest(own), expect=("up",))[0] == "silence"
    assert judged(ScriptedGuest(own, console=Console(began="Mine 1")), expect=("^up$",))
    assert refusal(ScriptedGuest(own[:1], console=Console(began="Mine 1")), expect=("up",))[0] == "silence"


def test_a_kernel_started_directly_has_the_console_alone() -> None:
    """Without firmware and loader on the console its first word is the guest's, even from a quiet kernel (W4)."""
    run = judged(ScriptedGuest([(2, "tiny is up\r\n")], console=Console(direct=True)), expect=("tiny is up",))
    assert began(run.booted.console.phases) == {"firmware": 0.0, "kernel": 2}


@pytest.mark.parametrize(
    ("script", "phase"),
    [
        ([], "firmware"),
        ([(1, GRUB)], "loader"),
        ([(1, GRUB), (2, KERNEL)], "kernel"),
        ([(1, KERNEL + "Loading, please wait...\r\n")], "initrd"),
        ([(1, KERNEL + "[  OK  ] Reached target Paths.\r\n")], "userspace"),
    ],
)
def test_each_phase_has_its_limit(script: list[tuple[float, str]], phase: str) -> None:
    """A boot that stays in a phase longer than `test.limits` allows fails, naming the phase."""
    guest = ScriptedGuest(script)
    kind, what = refusal(guest, limits=dict.fromkeys(("firmware", "loader", "kernel", "initrd", "userspace"), 20))
    assert kind == "limit"
    assert f"20 s were not enough for the phase {phase}" in what
    assert guest.now() < 25


def test_a_limit_ends_with_its_phase() -> None:
    """Phases that end in time do not add up, and what follows the last expectation is not limited."""
    script = [(15, GRUB), (30, KERNEL), (45, "[  OK  ] x\r\n"), (60, "box login: ")]
    assert judged(Speaking(script, up=80), limits={"firmware": 16, "loader": 16, "kernel": 16, "userspace": 16})


def test_keys_are_typed_when_asked_for() -> None:
    """`test.keys` are typed in order, each after its own words, whoever prints them."""
    keys = (Keystrokes("boot: $", "linux debug\r"), Keystrokes("^Name\\?", "me\r"), Keystrokes("never", "x"))
    guest = ScriptedGuest([(1, "boot: "), (5, "\r\n" + KERNEL + "Name? "), (6, "\r\nboot: login:\r\n")])
    run = judged(guest, keys=keys)
    assert guest.typed == ["linux debug\r", "me\r"]
    assert run.typist.typed == 2


def test_a_text_screen_tells_what_the_serial_port_does_not() -> None:
    """A BIOS says on its screen alone that it finds nothing to boot; silence is explained by what stands there."""
    screen = ["SeaBIOS (version 1.16.2)", "", "Booting from Hard Disk...", "Boot failed: not a bootable disk"]
    assert refusal(ScriptedGuest([], screen=screen))[0] == "no bootable device"
    kind, what = refusal(ScriptedGuest([], screen=["SeaBIOS", "GRUB  "]))
    assert (kind, "(on the screen: SeaBIOS | GRUB)" in what) == ("silence", True)
    assert judged(Speaking([(1, KERNEL), (20, "box login: ")], screen=["No bootable device."], up=2))


def test_the_cause_is_told_with_its_consequence() -> None:
    """A module that does not load is named where the guest dies of what it was to bring."""
    broken = "[    1.000000] virtio_blk: Invalid module format\r\n(initramfs) "
    kind, what = refusal(ScriptedGuest([(1, KERNEL + broken)]))
    assert kind == "initramfs shell"
    assert "before: [    1.000000] virtio_blk: Invalid module format" in what
