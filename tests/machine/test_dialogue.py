"""Talking to a guest: commands by our unit, and by a shell behind a login."""

from __future__ import annotations

import base64
import subprocess

from bootsmith.tasks.machine.dialogue import Agent, Question, Shell

from tests.support.scripted_guests import KERNEL, ScriptedGuest

NONCE = "cafe01"


def ended(question: Question, guest: ScriptedGuest) -> tuple[int, str]:
    """Return a question's answer once it is there."""
    for _ in range(100):
        if question.answered():
            return question.answer()
        guest.pump(0.5)
    raise AssertionError("no answer")


class FakeAgent:
    """Does in Python what the script in the guest does."""

    def __init__(self, output: str, status: int) -> None:
        self.commands: list[str] = []
        self.longest = 0
        self._output, self._status, self._encoded = output, status, ""

    def __call__(self, port: str, text: str) -> str:
        assert port == "second"
        self.longest = max(self.longest, len(text))
        if text.startswith("add "):
            self._encoded += text[4:].strip()
            return f"{NONCE} added\n"
        self.commands.append(base64.b64decode(self._encoded).decode())
        self._encoded = ""
        return f"{self._output}\n{NONCE} exit {self._status}\n"


def test_a_command_by_the_agent() -> None:
    """A command reaches the unit whole, in lines a tty can hold, and comes back with status and output."""
    fake = FakeAgent("one\ntwo\n", 3)
    guest = ScriptedGuest([], answer=fake)
    command = "printf 'ü%s\\n' " + "x" * 5000
    assert ended(Agent(guest, NONCE).ask(command), guest) == (3, "one\ntwo")
    assert ended(Agent(guest, NONCE).ask("id"), guest) == (3, "one\ntwo")
    assert fake.commands == [command, "id"]
    assert fake.longest < 1000


def test_the_agent_is_up_when_its_nonce_came() -> None:
    """The nonce counts on either port, but only on the second one can commands be sent."""
    guest = ScriptedGuest([(1, f"{NONCE} up\r\n")])
    agent = Agent(guest, NONCE)
    assert not agent.up
    guest.pump(2)
    assert (agent.up, agent.listens) == (True, False)
    guest.say_second(f"menu noise{NONCE} up\n")
    assert agent.listens
    assert not Agent(guest, "cafe02").up


class FakeTerminal:
    """A login and a shell on a console that echo what is typed; the shell does not hear the first `deaf` lines."""

    def __init__(self, password: str, deaf: int = 0) -> None:
        self.state = "login"
        self._password, self._deaf = password, deaf
        self._typed = ""
        self._printed = 0

    def __call__(self, port: str, text: str) -> str:
        assert port == "console"
        line = text.removesuffix("\r")
        if self.state == "login":
            self.state = "password" if line else "login"
            return f"{line}\r\nPassword: " if line else "\r\nbox login: "
        if self.state == "password":
            right = line == self._password
            self.state = "shell" if right else "login"
            return "\r\nWelcome\r\n# " if right else "\r\n\r\nLogin incorrect\r\nbox login: "
        if self._deaf:
            self._deaf -= 1
            return ""
        return f"{line}\r\n{self._shell(line)}# "

    def _shell(self, line: str) -> str:
        """Return what a real shell prints for the line, after all the lines before it."""
        self._typed += f"{line}\n"
        ran = subprocess.run(["sh"], input=self._typed, stdout=subprocess.PIPE, text=True, check=False)
        printed, self._printed = ran.stdout[self._printed :], len(ran.stdout)
        return printed.replace("\n", "\r\n")


def at_the_prompt(terminal: FakeTerminal) -> tuple[ScriptedGuest, Shell]:
    guest = ScriptedGuest([(1, KERNEL + "\r\nbox login: ")], answer=terminal)
    guest.pump(2)
    return guest, Shell(guest)


def logged_in(guest: ScriptedGuest, shell: Shell, password: bytes) -> None:
    """Log in as root, as a boot test does."""
    assert shell.at_login()
    shell.user("root")
    assert shell.at_password()
    shell.password(password)
    for _ in range(100):
        if shell.let_in():
            return
        guest.pump(0.5)
    raise AssertionError("no shell")


def test_a_login_is_proved_by_a_sum() -> None:
    """Only what the shell makes of what we type counts, not the echo; what a login swallows is typed again."""
    guest, shell = at_the_prompt(FakeTerminal("pw", deaf=2))
    logged_in(guest, shell, b"pw")
    assert not shell.refused
    asked = [text for text in guest.typed if text.startswith("echo sum-")]
    assert len(asked) == 3
    assert guest.hidden == b"pw"


def test_a_wrong_password_is_refused() -> None:
    """A login that is not let in says so."""
    guest, shell = at_the_prompt(FakeTerminal("pw"))
    logged_in(guest, shell, b"wrong")
    assert shell.refused


def test_a_prompt_printed_over_is_asked_for_again() -> None:
    """A kernel message over the prompt does not hide the login: Enter brings a new one."""
    terminal = FakeTerminal("pw")
    guest = ScriptedGuest([(1, KERNEL + "\r\nbox login: [    9.000000] late news\r\n")], answer=terminal)
    guest.pump(2)
    shell = Shell(guest)
    for _ in range(40):
        if shell.at_login():
            break
        guest.pump(0.5)
    assert guest.typed == ["\r"]


def test_a_command_by_the_shell() -> None:
    """Commands typed at the shell come back with their status and their output, without our own words."""
    guest, shell = at_the_prompt(FakeTerminal("pw"))
    logged_in(guest, shell, b"pw")
    long = "#" + "x" * 3000
    assert ended(shell.ask(f"{long}\nprintf 'a  b\\n100%%\\n'; exit 7"), guest) == (7, "a  b\n100%")
    assert ended(shell.ask("test 'a b' = \"a b\""), guest) == (0, "")
    assert ended(shell.ask("echo 'never closed"), guest)[0] != 0
    assert ended(shell.ask("cat; echo input is empty"), guest) == (0, "input is empty")
    assert max(map(len, guest.typed)) < 1000
