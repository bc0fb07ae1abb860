"""Passphrases of encrypted images: where they come from, and how programs get them."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.disk import passphrase
from bootsmith.tasks.errors import StageError, ToolFailed, UsageError

TEXT = "open $sesame, 'it' \"is\" \\n me"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("file:key", Secret(file=Path("/here/key"))),
        ("file:/there/a key: mine", Secret(file=Path("/there/a key: mine"))),
        ("env:KEY_1", Secret(env="KEY_1")),
    ],
)
def test_references(words: str, found: Secret) -> None:
    """A file, from the folder one is in, or a variable of the environment."""
    assert passphrase.named(words, Path("/here")) == found


@pytest.mark.parametrize("words", ["hunter2", "file:", "env:", "env:a b", "env:1", "hash:$6$hunter2", "hunter2:x", ""])
def test_what_is_in_clear_is_refused_and_not_repeated(words: str) -> None:
    """A passphrase itself is no reference; it is not said again."""
    with pytest.raises(UsageError) as caught:
        passphrase.named(words, Path("/here"))
    assert "file:PATH" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"a\0b", b"a\rb", b"one\ntwo", b"\xff", b"x" * 5000])
def test_what_is_no_passphrase(text: bytes) -> None:
    """What qemu-img would not take, nobody can type, or a pipe not hold, is refused in words."""
    with pytest.raises(StageError, match="--passphrase: this is no passphrase"):
        passphrase.checked(text, "--passphrase")


def test_it_is_shown_nowhere() -> None:
    """What is printed of it is where it comes from."""
    found = passphrase.Passphrase(Secret(file=Path("/a/key")), TEXT.encode())
    assert "sesame" not in repr(found) + found.here_document
    assert base64.b64encode(TEXT.encode()).decode() not in repr(found) + found.here_document


def test_a_pipe_is_empty_once_it_was_read() -> None:
    """Whoever is given the descriptor reads it once; then there is nothing, and no file."""
    with passphrase.Passphrase(Secret(env="KEY"), TEXT.encode()).pipe() as fd:
        assert base64.b64decode(Path(f"/dev/fd/{fd}").read_bytes()) == TEXT.encode()
        assert Path(f"/dev/fd/{fd}").read_bytes() == b""
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
@pytest.mark.parametrize("kind", ["file", "env"])
def test_a_shell_feeds_it_to_a_printed_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, kind: str
) -> None:
    """The here-document behind a printed command gives it what the pipe gives ours, newline or not, in any shell."""
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    key = tmp_path / "it's $a key"
    key.write_text(f"{TEXT}\n")
    source = Secret(file=key) if kind == "file" else Secret(env="KEY")
    monkeypatch.setenv("KEY", TEXT)
    found = passphrase.Passphrase(source, TEXT.encode())
    script = f"cat /dev/fd/{passphrase.SHOWN}{found.here_document}\n"
    said = subprocess.run([shell], input=script, capture_output=True, text=True, check=True)
    assert base64.b64decode(said.stdout) == TEXT.encode()


def test_what_cannot_tell_how_fast_it_is_is_asked_again() -> None:
    """qemu-img's refusal for want of a fine clock is no answer; any other error is."""
    tried: list[int] = []

    def encrypt() -> str:
        tried.append(1)
        if len(tried) < 3:
            raise ToolFailed("qemu-img exited with status 1", tail="Unable to get accurate CPU usage", status=1)
        return "done"

    def fail() -> str:
        tried.append(1)
        raise ToolFailed("qemu-img exited with status 1", tail="No space left", status=1)

    assert passphrase.patiently(encrypt) == "done"
    with pytest.raises(ToolFailed):
        passphrase.patiently(fail)
    assert len(tried) == 4
