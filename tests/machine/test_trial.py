"""A boot is judged by what the guest shows, in the guest's own time."""

from __future__ import annotations

import pytest
from bootsmith.tasks.machine.trial import Trial, Unmet
from bootsmith.tasks.recipe.model import Login
from bootsmith.tasks.stage import Secret
from machines import KERNEL, MadeUpGuest, demands

NONCE = "cafe01"
MENU = "\x1b[2J\x1b[01;01H\x1b[15;33H box login: \x1b[18;01H\x1b[2J\x1b[01;01H"


def judged(guest: MadeUpGuest, **test: object) -> Trial:
    """Return a trial that passed. Raises Unmet."""
    trial = Trial(guest, demands(**test), NONCE)
    trial.judge()
    return trial


def refusal(guest: MadeUpGuest, **test: object) -> tuple[str, str]:
    """Return the kind of a failure, and what it says."""
    with pytest.raises(Unmet) as caught:
        judged(guest, **test)
    return caught.value.failure.kind, caught.value.failure.what


class Speaking(MadeUpGuest):
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
    trial = judged(guest, expect=("Linux version", "login:"))
    assert trial.evidence == ["2 of 2 expectations met", "nonce seen"]
    assert trial.expected.met == [5, 20]


def test_a_menu_passes_nothing() -> None:
    """A menu that shows the expected words and then hangs fails by silence."""
    kind, what = refusal(MadeUpGuest([(1, MENU)]))
    assert kind == "silence"
    assert "nothing was printed for 90 s, waiting for test.expect: 'login:'" in what


def test_a_late_nonce_is_waited_for() -> None:
    """Expectations met early do not end the test while the guest still boots and may print its nonce."""
    guest = Speaking([(1, KERNEL), *((n, "[    1.000000] more\r\n") for n in range(2, 40))], up=35)
    assert judged(guest, expect=("Linux version",)).evidence[-1] == "nonce seen"
    assert guest.now() >= 35


def test_without_a_nonce_the_verdict_says_so() -> None:
    """A guest that cannot print the nonce passes by its expectations once it is calm, and the verdict says so."""
    guest = MadeUpGuest([(1, KERNEL), (5, "tiny is up\r\n")])
    assert judged(guest, expect=("tiny is up",)).evidence[-1].startswith("no nonce")
    assert guest.now() < 20


def test_a_guest_that_never_calms_down_is_not_waited_for_for_ever() -> None:
    """A guest that goes on printing without a nonce is judged after a minute."""
    guest = MadeUpGuest([(1, KERNEL), *((n, "tick\r\n") for n in range(2, 300))])
    assert judged(guest, expect=("Linux version",)).evidence[-1].startswith("no nonce")
    assert guest.now() < 70


def test_a_guest_that_powers_off_when_done_passes() -> None:
    """A guest that printed all that was expected may power itself off."""
    assert judged(MadeUpGuest([(1, KERNEL), (2, "tiny is up\r\n")], ends=3), expect=("tiny is up",))


def test_neither_expectations_nor_nonce_is_no_evidence() -> None:
    """A recipe that expects nothing, in a guest without a nonce, cannot pass."""
    kind, what = refusal(MadeUpGuest([(1, KERNEL)]), expect=())
    assert (kind, "waiting for the nonce" in what) == ("silence", True)
    assert judged(Speaking([(1, KERNEL)]), expect=()).evidence == ["nonce seen"]


def test_a_quiet_kernel_passes_by_its_nonce() -> None:
    """With `quiet` no kernel line is seen: the nonce proves that the prompt after it is the guest's."""
    guest = Speaking([(1, MENU), (20, "\r\nbox login: ")], up=15)
    assert judged(guest).evidence == ["1 of 1 expectations met", "nonce seen"]


def test_a_stale_nonce_is_none() -> None:
    """Another run's nonce proves nothing."""
    guest = MadeUpGuest([(1, KERNEL), (2, "beef99 up\r\nbox login: ")])
    assert judged(guest).evidence[-1].startswith("no nonce")


def test_a_panic_ends_the_test_at_once() -> None:
    """A recognised failure is reported when it happens, not when time is over (L7)."""
    guest = MadeUpGuest([(1, KERNEL), (3, "[    3.000000] Kernel panic - not syncing: no init\r\n")])
    kind, what = refusal(guest)
    assert kind == "kernel panic"
    assert "no init" in what
    assert guest.now() < 4


def test_a_failure_after_all_expectations_still_counts() -> None:
    """What goes wrong while the nonce is waited for fails the test."""
    guest = MadeUpGuest([(1, KERNEL + "box login: "), (5, "\r\nYou are in emergency mode. After\r\n")])
    assert refusal(guest)[0] == "emergency shell"


def test_the_wall_clock_limit() -> None:
    """A guest that prints for ever without doing what is expected fails at the time limit."""
    kind, what = refusal(MadeUpGuest([(n, "[    1.000000] busy\r\n") for n in range(600)]), timeout=60)
    assert kind == "timeout"
    assert "60 s were not enough: still waiting for test.expect: 'login:'" in what


def test_limits_are_stretched_by_patience() -> None:
    """Under a slower accelerator every limit is longer."""
    guest = MadeUpGuest([(1, KERNEL)])
    with pytest.raises(Unmet, match="nothing was printed for 180 s"):
        Trial(guest, demands(), NONCE, patience=2).judge()
    assert guest.now() == pytest.approx(181, abs=2)


def test_a_machine_that_ends_early() -> None:
    """A guest that reboots fails, and so does a machine whose loader gave up; the loader's complaint is quoted."""
    assert "the guest rebooted or powered off" in refusal(MadeUpGuest([(1, KERNEL)], ends=2))[1]
    what = refusal(MadeUpGuest([(1, "error: file `/linux' not found.\r\n")], ends=2))[1]
    assert "no kernel started yet" in what
    assert "(before: error: file `/linux' not found.)" in what


def shell(answers: dict[str, str]) -> object:
    """Return an answer to what is typed: the first whose key the text contains."""

    def answer(_port: str, text: str) -> str:
        return next((said for typed, said in answers.items() if typed in text), "")

    return answer


def test_login_refused() -> None:
    """A password the guest does not take fails the test, and is not shown."""
    answers = {"root": "root\r\nPassword: ", "sesame": "sesame\r\nLogin incorrect\r\n"}
    guest = Speaking([(1, KERNEL + "box login: ")], answer=shell(answers))
    trial = Trial(guest, demands(login=Login("root", Secret(env="PW"))), NONCE, password=b"sesame")
    with pytest.raises(Unmet, match="did not let root in"):
        trial.judge()
    assert trial.shown("sesame") == "********"


def test_commands_need_a_way_in() -> None:
    """`test.run` in a guest with neither our unit nor a login fails saying what it needs."""
    kind, what = refusal(MadeUpGuest([(1, KERNEL + "box login: ")]), run=("id",))
    assert kind == "no way in"
    assert "`test.login`" in what


@pytest.mark.parametrize(("status", "passes"), [(0, True), (3, False)])
def test_commands_must_exit_0(status: int, passes: bool) -> None:
    """A command in the guest that exits with anything but 0 fails the test, with its output."""
    answers = {"add": f"{NONCE} added\n", "run": f"some output\n\n{NONCE} exit {status}\n"}
    guest = Speaking([(1, KERNEL + "box login: ")], up=1, answer=shell(answers))
    if passes:
        trial = judged(guest, run=("true", "id"))
        assert trial.ran == [("true", 0, "some output"), ("id", 0, "some output")]
        assert trial.evidence[-2:] == ["`true` ran", "`id` ran"]
    else:
        kind, what = refusal(guest, run=("false",))
        assert kind == "command failed"
        assert "`false` exited with status 3 in the guest\n  | some output" in what


def test_progress_is_told() -> None:
    """Each phase is told once, when it is reached."""
    told: list[str] = []
    Trial(Speaking([(1, "x\r\n"), (4, KERNEL), (20, "box login: ")]), demands(), NONCE, say=told.append).judge()
    assert told == ["firmware (1 s)", "kernel (4 s)", "init (15 s)", "login (20 s)"]
