"""One boot being judged: what it has to show, in which order, and when to give up on it.

Time is the guest's own, so that a made-up guest can be judged in no time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, Protocol

from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.machine.console import Expectations
from bootsmith.tasks.machine.console_messages import NO_SERIAL, STARVED, Failure, Phase
from bootsmith.tasks.machine.dialogue import Agent, SerialPorts, Shell, Typist
from bootsmith.tasks.machine.entry import EntryChoice, EntryKeys
from bootsmith.tasks.recipe.model.machine import Test

NO_NONCE = "no nonce (the guest's init printed none)"
_POLL = 0.5
_SCREEN_PERIOD = 2.0  # seconds between two looks at a text screen
_SILENCE = 10.0  # seconds without output after which a guest is taken not to start anything more
_SETTLED = "timeout 90 systemctl is-system-running --wait >/dev/null 2>&1; true"  # at once where there is no systemd
_NONCE_WAIT = 60.0  # seconds that a nonce is waited for after all expectations were met


class Booted(SerialPorts, Protocol):
    """What a test does with a running machine (see guest.py)."""

    ended: bool

    def pump(self, seconds: float) -> None: ...
    def screen(self) -> Sequence[str]:
        """Return what a text screen shows now; nothing where there is none."""
        ...


class Unmet(BootsmithError):
    """The guest did not do what was demanded; `failure` says what it did instead."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.what)
        self.failure = failure


LIMITED: Mapping[Phase, str] = {
    Phase.NOTHING: "firmware", Phase.FIRMWARE: "firmware", Phase.LOADER: "loader", Phase.KERNEL: "kernel",
    Phase.INITRD: "initrd", Phase.USERSPACE: "userspace", Phase.LOGIN: "userspace",
}  # fmt: skip
"""The phases as `test.limits` and the table of times name them."""


def began(phases: Mapping[Phase, float]) -> dict[str, float]:
    """Return the second at which each part of a boot began, in order; a part nobody saw is left out."""
    found = {"firmware": 0.0}
    for phase, at in sorted(phases.items()):
        found.setdefault(LIMITED[phase], at)
    return found


class BootRun:
    """A boot and what is demanded of it. All limits are multiplied by `patience`."""

    def __init__(
        self,
        booted: Booted,
        test: Test,
        nonce: str,
        *,
        patience: int = 1,
        password: bytes = b"",
        entry: EntryChoice | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.booted = booted
        self.evidence: list[str] = []
        self.expected = Expectations(test.expect)
        self.ran: list[tuple[str, int, str]] = []
        self.typist = Typist(booted, test.keys)
        self._test = test
        self._patience = patience
        self._password = password
        self._agent = Agent(booted, nonce)
        self._entry_keys = EntryKeys(booted, entry) if entry else None
        self._say = say
        self._said: Phase | None = None
        self._screen_read = 0.0

    def shown(self, line: str) -> str:
        """Return a line of the console without the password, should the guest have echoed it."""
        password = self._password.decode(errors="replace")
        return line.replace(password, "********") if password else line

    def judge(self) -> None:
        """Watch until everything demanded was seen. Raises Unmet."""
        self._wait(self._expectations_met, lambda: f"test.expect: {self.expected.missing!r}", limited=True)
        if self._entry_keys:
            self.evidence.append(self._entry_keys.evidence)
        if self._test.expect:
            self.evidence.append(f"{len(self._test.expect)} of {len(self._test.expect)} expectations met")
            self._wait_for_nonce()
        else:
            self._wait(lambda: self._agent.up, lambda: "the nonce (`test.expect` is empty)", limited=True)
        self.evidence.append("nonce seen" if self._agent.up else NO_NONCE)
        shell = self._log_in() if self._test.login else None
        if self._test.run:
            self._let_services_start(shell)
        for command in self._test.run:
            self._run(command, shell)

    def _expectations_met(self) -> bool:
        return self.expected.look(self.booted.console.said, self.booted.now())

    def _wait_for_nonce(self) -> None:
        """Give the guest time to print its nonce, if it can: as long as it goes on printing, within limits."""
        since = self.booted.now()

        def enough() -> bool:
            waited = self.booted.now() - since > _NONCE_WAIT * self._patience
            is_silent = self.booted.quiet > _SILENCE * self._patience
            return self._agent.up or waited or is_silent or self.booted.ended or self.booted.console.is_mach

        self._wait(enough, lambda: "the nonce", patient=True)

    def _log_in(self) -> Shell:
        login = self._test.login
        assert login is not None, "asked before"
        shell = Shell(self.booted)
        self._say(f"logging in as {login.user}")
        self._wait(shell.at_login, lambda: "a login prompt", patient=True)
        shell.user(login.user)
        self._wait(shell.at_password, lambda: "the password prompt")
        shell.password(self._password)
        self._wait(shell.let_in, lambda: f"a shell for {login.user}", patient=True)
        if shell.refused:
            _give_up("login refused", f"the guest did not let {login.user} in with the password given")
        self.evidence.append(f"{login.user} logged in")
        return shell

    def _let_services_start(self, shell: Shell | None) -> None:
        """Give systemd's services time to start: what is asked for may well be one of them."""
        who = self._agent if self._agent.listens else shell
        if who is not None:
            asked = who.ask(_SETTLED)
            self._wait(asked.answered, lambda: "the start of the guest's services", patient=True)

    def _run(self, command: str, shell: Shell | None) -> None:
        self._say(f"in the guest: {command}")
        who = self._agent if self._agent.listens else shell
        if who is None:
            _give_up("no way in", f"`test.run` needs systemd 252 in the guest, or `test.login`: {command}")
        asked = who.ask(command)
        self._wait(asked.answered, lambda: f"the end of `{command}`", patient=True)
        status, output = asked.answer()
        self.ran.append((command, status, output))
        if status:
            lines = "".join(f"\n  | {line}" for line in output.splitlines()[-10:])
            _give_up("command failed", f"`{command}` exited with status {status} in the guest{lines}")
        self.evidence.append(f"`{command}` ran")

    def _wait(
        self, done: Callable[[], bool], what: Callable[[], str], *, patient: bool = False, limited: bool = False
    ) -> None:
        """Pump until `done`; raise Unmet when that cannot come any more, or took too long.

        `patient` allows silence; `limited` says that the phases' own limits hold.
        """
        console = self.booted.console
        while True:
            self._look()
            if console.failure:
                _give_up(console.failure.kind, console.failure.what + self._before())
            if done():
                return
            if self.booted.ended:
                kind, who = self._ended()
                _give_up(kind, f"{who} rebooted or powered off while waiting for {what()}{self._before()}")
            if late := self._late(patient=patient, limited=limited):
                kind, why = late
                _give_up(kind, f"{why}: still waiting for {what()}{self._before()}")
            self.booted.pump(_POLL)

    def _ended(self) -> tuple[str, str]:
        """Tell who ended the machine, as a kind of failure and in words."""
        console = self.booted.console
        if console.took_over:
            return "ended", "the guest"
        if console.phase is Phase.LOADER:
            return "loader", "the loader started no kernel: the machine"
        return "ended", "the machine, no kernel started yet,"

    def _look(self) -> None:
        """Take in what there is to see, and do what it asks for."""
        console = self.booted.console
        if self._agent.up:
            console.guest_began(self.booted.now())
        if not console.took_over:
            if self.booted.now() - self._screen_read > _SCREEN_PERIOD:
                self._screen_read = self.booted.now()
                console.read_screen(self.booted.screen(), self._screen_read)
            if self._entry_keys:
                self._entry_keys.press()
        elif self._entry_keys and (refusal := self._entry_keys.refusal()):
            raise Unmet(refusal)
        self.typist.look()
        self._tell(console.phase)

    def _late(self, *, patient: bool, limited: bool) -> tuple[str, str] | None:
        """Tell which limit is over, as a kind of failure and in words."""
        now = self.booted.now()
        if limited:
            part, since = list(began(self.booted.console.phases).items())[-1]
            limit = self._test.limits.get(part)
            if limit and now - since > limit * self._patience:
                return "limit", f"{limit * self._patience} s were not enough for the phase {part} (`test.limits`)"
        timeout = self._test.timeout * self._patience
        if now > timeout:
            return "timeout", f"{timeout} s were not enough (`test.timeout`)"
        silence = self._test.silence * self._patience
        if not patient and self.booted.quiet > silence:
            if NO_SERIAL.search(self.booted.console.said):
                return STARVED, "systemd gave up on the serial port: the host was too busy, or the image has no udev"
            return "silence", f"nothing was printed for {silence} s (`test.silence`)"
        return None

    def _before(self) -> str:
        """Return what was complained about before, and what a text screen shows where no kernel runs."""
        console = self.booted.console
        told = [f"before: {console.complaint}"] if console.complaint else []
        if not console.took_over and (lines := [line for line in self.booted.screen() if line.strip()][-4:]):
            told.append(f"on the screen: {' | '.join(map(str.strip, lines))}")
        return f" ({'; '.join(told)})" if told else ""

    def _tell(self, phase: Phase) -> None:
        if phase not in (self._said, Phase.NOTHING):
            self._said = phase
            self._say(f"{phase} ({self.booted.now():.0f} s)")


def _give_up(kind: str, what: str) -> NoReturn:
    raise Unmet(Failure(kind, what))
