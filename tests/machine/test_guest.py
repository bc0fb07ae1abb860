"""A machine's wires: nothing that it prints is lost, and nothing is left behind."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from bootsmith.tasks.machine import guest, qemu
from bootsmith.tasks.machine.accelerator import choose
from bootsmith.tasks.machine.console import Console
from machines import machine

MANY = 40_000
TALKER = bytes.fromhex(
    "fa b9 409c b3 61"  # cli; mov cx, 40000; mov bl, 'a'
    "ba fd03 be 8813"  # again: mov dx, the line status; mov si, 5000
    "ec a8 20 75 03 4e 75 f8"  # wait: in al, dx; test al, "it takes a character"; jnz put; dec si; jnz wait
    "ba f803 88d8 ee"  # put: mov dx, the serial port; mov al, bl; out dx, al
    "fec3 80fb 7b 72 02 b3 61 e2 e1"  # inc bl; cmp bl, 'z' + 1; jb over; mov bl, 'a'; over: loop again
    "b0 2e ee f4 eb fd"  # mov al, '.'; out dx, al; halt: hlt; jmp halt
)
"""A boot sector that prints the alphabet over and over, and waits for the serial port no longer than Linux does."""


@pytest.mark.boot
def test_what_is_printed_while_nobody_reads_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel's first lines come whole, on a busy host too: one hole in them, and an expectation is not met."""
    names = tmp_path / "names"
    names.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(names))
    disk = tmp_path / "talker.raw"
    disk.write_bytes(TALKER.ljust(510, b"\0") + b"\x55\xaa")
    os.truncate(disk, 1 << 20)
    accel = choose("tcg", memory=tmp_path / "accelerator.json")

    def command(wires: qemu.Wires) -> list[str]:
        return qemu.command(machine(memory=64 << 20), disk=disk, format="raw", firmware=None, accel=accel, wires=wires)

    log = tmp_path / "log"
    with guest.start(command, Console(), log) as running:
        assert not list(names.iterdir())  # however we end, nothing is left
        end = time.monotonic() + 120
        while b"a" not in log.read_bytes():
            assert time.monotonic() < end, "it says nothing"
            running.pump(1)
        time.sleep(2)
        while not log.read_bytes().endswith(b"."):
            assert time.monotonic() < end, "it does not end"
            running.pump(1)
    letters = bytes(ord("a") + n % 26 for n in range(MANY))
    assert letters + b"." in log.read_bytes()
