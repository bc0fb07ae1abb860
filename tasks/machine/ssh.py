"""The way into a running guest by ssh: a key made for one run, and words for ssh that remember and ask nothing."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bootsmith.cache.files.lock import FileLock
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.tools import host, process
from bootsmith.tasks.tools.environment import ENVIRONMENT
from bootsmith.tasks.tools.process import Completed

LOOPBACK = "127.0.0.1"
_PAUSE = 0.5  # seconds
_PAUSES = 10  # after which a connection that says nothing is given up


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair: the private key's file, and the public key's line."""

    private: Path
    public: str


def key(folder: Path) -> Key:
    """Return the key pair in `folder`, made where there is none: a guest that keeps what it was given keeps one key."""
    folder.mkdir(parents=True, exist_ok=True)
    private = folder / "ssh_key"
    public = private.with_suffix(".pub")
    if not (private.is_file() and public.is_file()):
        with FileLock(folder / "ssh_key.lock"):  # of two that begin at once, one makes it for both
            if not (private.is_file() and public.is_file()):
                _make(private, public)
    private.chmod(0o600)  # a key that others may read, as after a copy of the folder, ssh refuses
    return Key(private, public.read_text().strip())


def _make(private: Path, public: Path) -> None:
    for file in (private, public):
        file.unlink(missing_ok=True)
    words: list[str | Path] = ["-q", "-t", "ed25519", "-N", "", "-C", "bootsmith", "-f", private]
    process.run([host.find("ssh-keygen"), *words], env=ENVIRONMENT, cwd=private.parent)


def command(port: int, key: Path, *words: str, user: str = "root", program: str | Path = "ssh") -> list[str]:
    """Return the words that run a command in the guest, or without one a shell."""
    options = {
        "StrictHostKeyChecking": "no",  # every run has other host keys, and 127.0.0.1 is all of them
        "UserKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "LogLevel": "ERROR",
    }
    said = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return [str(program), "-F", "none", "-i", str(key), "-p", str(port), *said, f"{user}@{LOOPBACK}", *words]


def wait_for_banner(port: int, seconds: float, pause: Callable[[float], None] = time.sleep) -> str:
    """Wait until an ssh server answers behind the forwarded port; return what it calls itself.

    QEMU accepts connections long before the guest does, so only the banner counts. All waiting is done by `pause`: who
    holds the guest's console must go on reading it, or the guest stands still. Raises BootsmithError.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        banner = _banner(port, pause)
        if banner.startswith(b"SSH-"):
            return banner.split(b"\r\n")[0].decode(errors="replace")
    raise BootsmithError(
        f"no ssh server answered on {LOOPBACK}:{port} in {seconds:g} s", "Does the image have one, and a network?"
    )


def _banner(port: int, pause: Callable[[float], None]) -> bytes:
    """Return what a server says first, or nothing."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=_PAUSE) as connection:
            connection.setblocking(False)
            for _ in range(_PAUSES):
                pause(_PAUSE)
                with contextlib.suppress(BlockingIOError):
                    return connection.recv(256)
    except OSError:
        pause(_PAUSE)
    return b""


def run(port: int, key: Path, text: str, *, user: str = "root", check: bool = True) -> Completed:
    """Run a shell command in the guest. Raises ToolFailed where it exits non-zero and `check`."""
    words = command(port, key, text, user=user, program=host.find("ssh"))
    env = {**ENVIRONMENT, "HOME": os.environ.get("HOME", "/")}
    return process.run(
        [*words[:1], "-o", "BatchMode=yes", *words[1:]], env=env, cwd=key.parent, network=True, check=check
    )
