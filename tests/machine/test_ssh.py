"""The way into a guest by ssh."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.machine import ssh


def test_a_folder_keeps_its_key(tmp_path: Path) -> None:
    """Each folder has one pair, readable by its owner alone: a guest that keeps its disk gathers no keys (L17)."""
    first = ssh.key(tmp_path / "run")
    assert first.public.startswith("ssh-ed25519 ")
    assert "\n" not in first.public
    first.private.chmod(0o644)
    assert ssh.key(tmp_path / "run") == first
    assert first.private.stat().st_mode & 0o777 == 0o600
    assert ssh.key(tmp_path / "other").public != first.public


def test_half_a_pair_is_made_anew(tmp_path: Path) -> None:
    """A key whose other half is gone is replaced."""
    first = ssh.key(tmp_path)
    first.private.unlink()
    assert ssh.key(tmp_path).public != first.public


def test_the_command_asks_and_remembers_nothing(tmp_path: Path) -> None:
    """ssh is told to use this key alone, to ignore the user's configuration, and to remember no host."""
    words = ssh.command(2222, tmp_path / "key", "uptime", user="me")
    assert words[-2:] == ["me@127.0.0.1", "uptime"]
    assert words[:7] == ["ssh", "-F", "none", "-i", str(tmp_path / "key"), "-p", "2222"]
    assert {"IdentitiesOnly=yes", "UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no"} <= set(words)


def server(*greetings: bytes) -> tuple[socket.socket, threading.Thread]:
    """Listen, greet each visitor with the next of the greetings, and hang up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with listener:
            for greeting in greetings:
                visitor, _ = listener.accept()
                with visitor:
                    visitor.sendall(greeting)

    thread = threading.Thread(target=answer)
    thread.start()
    return listener, thread


def test_only_a_banner_counts() -> None:
    """A port that accepts and hangs up, as QEMU's does while the guest boots, is asked until a banner comes (A12)."""
    listener, thread = server(b"", b"", b"SSH-2.0-OpenSSH_9.2p1\r\n")
    assert ssh.wait_for_banner(listener.getsockname()[1], 60, lambda _: time.sleep(0.01)) == "SSH-2.0-OpenSSH_9.2p1"
    thread.join()


def test_no_server_is_an_error() -> None:
    """Without a banner in time the error says where it was looked for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(BootsmithError, match=rf"no ssh server answered on 127\.0\.0\.1:{port} in 0 s"):
        ssh.wait_for_banner(port, 0)
