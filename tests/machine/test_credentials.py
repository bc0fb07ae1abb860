"""What a run asks of the guest is asked by credentials that systemd 252 can take."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.machine import qemu
from bootsmith.tasks.machine.credentials import LIMIT, Asked, credentials

from tests.support.machine_keys import TCG, machine

KEY = f"ssh-ed25519 {'A' * 68} bootsmith"
ALL = Asked(nonce="0123456789abcdef", autologin=True, ssh_key=KEY)


def written(asked: Asked) -> dict[str, str]:
    """Return the files that the tmpfiles lines write, by path, with their content."""
    lines = credentials(asked)["tmpfiles.extra"].decode().splitlines()
    fields = [line.split() for line in lines]
    return {path: base64.b64decode(rest[-1]).decode() for kind, path, *rest in fields if "~" in kind}


def test_nothing_asked_is_no_credential() -> None:
    """A run that asks nothing passes nothing."""
    assert credentials(Asked()) == {}


def test_the_nonce_is_printed_by_a_unit_that_udev_wants() -> None:
    """The unit, its script and the rule that starts it are written through /dev, before udev begins."""
    files = written(Asked(nonce="cafe01"))
    assert set(files) == {
        "/dev/.bootsmith/bootsmith-agent",
        "/dev/.bootsmith/systemd/system/bootsmith.service",
        "/dev/.bootsmith/udev/rules.d/99-bootsmith.rules",
    }
    assert "ExecStart=sh /run/bootsmith-agent\n" in files["/dev/.bootsmith/systemd/system/bootsmith.service"]
    assert '+="bootsmith.service"' in files["/dev/.bootsmith/udev/rules.d/99-bootsmith.rules"]
    assert credentials(Asked(nonce="cafe01"))["tmpfiles.extra"].startswith(b"L+ /dev/.bootsmith - - - - /run\n")


def test_the_nonce_is_not_told_in_clear() -> None:
    """What travels beside the image does not hold the nonce as text: printing the credential is no evidence."""
    assert not any(b"0123456789abcdef" in content for content in credentials(ALL).values())


def test_a_test_s_guest_is_given_no_way_in() -> None:
    """Asking for evidence alone changes no login."""
    text = str(written(Asked(nonce="cafe01")))
    assert "agetty" not in text
    assert "authorized_keys" not in text


def test_autologin_and_key() -> None:
    """A development run gets a root shell on the console, and its key beside the guest's own (V21)."""
    asked = Asked(autologin=True, ssh_key=KEY + "\n")
    files = written(asked)
    conf = files["/dev/.bootsmith/systemd/system/serial-getty@.service.d/bootsmith.conf"]
    assert "\nExecStart=\nExecStart=-/sbin/agetty --autologin root " in conf
    assert credentials(asked)["systemd.unit-dropin.serial-getty@.service~bootsmith"].decode() == conf
    assert f"k='{KEY}' f=/root/.ssh/authorized_keys\n" in files["/dev/.bootsmith/bootsmith-key"]
    assert "bootsmith-agent" not in str(files)


def test_it_fits_into_what_debian_12_reads() -> None:
    """All that can be asked at once fits into the one page that systemd 252 reads."""
    command = qemu.command(
        machine(), disk=Path("/d"), format="raw", firmware=None, accel=TCG, credentials=credentials(ALL)
    )
    strings = [word.removeprefix("type=11,value=") for word in command if word.startswith("type=11,value=")]
    assert sum(len(string) + 1 for string in strings) < LIMIT


@pytest.mark.parametrize("name", ["bootsmith-agent", "bootsmith-key", "bootsmith-reload"])
def test_the_scripts_are_shell(name: str) -> None:
    """What the guest's shell is given parses."""
    script = written(ALL)[f"/dev/.bootsmith/{name}"]
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_the_same_key_is_added_once(tmp_path: Path) -> None:
    """A guest that keeps its disk has each run's key once, beside the keys that were there, for root's eyes only."""
    script = written(ALL)["/dev/.bootsmith/bootsmith-key"].replace("/root", str(tmp_path))
    keys = tmp_path / ".ssh/authorized_keys"
    for before, after in (("", f"\n{KEY}\n"), ("ssh-rsa AAAA mine", f"ssh-rsa AAAA mine\n{KEY}\n")):
        if before:
            keys.write_text(before)
        for _ in range(2):
            subprocess.run(["sh"], input=script, text=True, check=True)
            assert keys.read_text() == after
    assert (keys.stat().st_mode & 0o777, keys.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_without_a_second_port_the_nonce_goes_to_the_console(tmp_path: Path) -> None:
    """Where the second port cannot be set up the console gets the nonce, and no commands are taken."""
    script = written(Asked(nonce="cafe01"))["/dev/.bootsmith/bootsmith-agent"]
    script = script.replace("/dev/ttyS1", str(tmp_path / "none")).replace("/dev/console", str(tmp_path / "console"))
    subprocess.run(["sh"], input=script, text=True, check=True, stderr=subprocess.DEVNULL)
    assert (tmp_path / "console").read_text() == "cafe01 up\n"


def test_the_agent_does_what_it_is_sent(tmp_path: Path) -> None:
    """The script prints the nonce, and runs commands that come in pieces, with their status; here on plain files."""
    script = written(Asked(nonce="cafe01"))["/dev/.bootsmith/bootsmith-agent"]
    port, sent = tmp_path / "port", tmp_path / "sent"
    command = base64.b64encode(b"echo one 100%; exit 3").decode()
    sent.write_text(f"noise\nadd {command[:8]}\nadd {command[8:]}\nrun\nadd {base64.b64encode(b'pwd').decode()}\nrun\n")
    script = script.replace("</dev/ttyS1 >/dev/ttyS1", f"<{sent} >{port}").replace(
        "/run/bootsmith-command", f"{tmp_path}/c"
    )
    subprocess.run(["sh"], input=f"stty() {{ true; }}\n{script}", text=True, check=True)
    assert port.read_text().splitlines() == [
        "cafe01 up", "cafe01 added", "cafe01 added", "one 100%", "", "cafe01 exit 3",
        "cafe01 added", "/", "", "cafe01 exit 0",
    ]  # fmt: skip
