"""QEMU's monitor protocol, as much of it as it takes to see the screen."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import zlib
from pathlib import Path
from typing import Any

from bootsmith.cache.files import temporary
from bootsmith.tasks.errors import BootsmithError

_SECONDS = 10
_TEXT, _COLUMNS, _ROWS = 0xB8000, 80, 25
"""Where VGA keeps its text, two bytes a character: the character (code page 437), and its colours."""


def screenshot(monitor: socket.socket, png: Path) -> bool:
    """Save the screen as PNG; False where the machine has no screen or no longer answers."""
    with temporary.folder() as folder:
        picture = folder / "screen.ppm"
        try:
            _greet(monitor)
            _execute(monitor, "screendump", filename=str(picture))
            png.write_bytes(png_of_ppm(picture.read_bytes()))
        except (OSError, ValueError, BootsmithError):
            return False
    return True


def power_down(monitor: socket.socket) -> bool:
    """Press the machine's power button, which the guest may heed; False where QEMU no longer answers."""
    try:
        _greet(monitor)
        _execute(monitor, "system_powerdown")
    except (OSError, ValueError, BootsmithError):
        return False
    return True


def text_screen(monitor: socket.socket) -> list[str]:
    """Return the lines of a VGA screen in text mode, as a BIOS has it; none where QEMU no longer answers."""
    words = f"xp /{_COLUMNS * _ROWS}xh {_TEXT:#x}"
    try:
        _greet(monitor)
        dump = _execute(monitor, "human-monitor-command", **{"command-line": words})
    except (OSError, ValueError, BootsmithError):
        return []
    letters = [int(cell, 16) & 0xFF for cell in re.findall(r"0x([0-9a-f]{4})\b", dump)]
    text = "".join(chr(letter) if 0x20 <= letter < 0x7F else " " for letter in letters)
    return [text[at : at + _COLUMNS].rstrip() for at in range(0, len(text), _COLUMNS)]


def png_of_ppm(ppm: bytes) -> bytes:
    """Return a binary PPM (P6, 8 bits) as a PNG. Raises ValueError."""
    header = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", ppm)
    if header is None:
        raise ValueError("not a binary PPM of 8 bits")
    width, height = int(header[1]), int(header[2])
    pixels = ppm[header.end() :]
    if len(pixels) != 3 * width * height:
        raise ValueError(f"{len(pixels)} bytes are not {width} x {height} pixels")
    rows = b"".join(b"\0" + pixels[at : at + 3 * width] for at in range(0, len(pixels), 3 * width))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),  # 8 bits, RGB
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _greet(monitor: socket.socket) -> None:
    with contextlib.suppress(BootsmithError):  # said once before
        _execute(monitor, "qmp_capabilities")


def _execute(monitor: socket.socket, command: str, **arguments: str) -> Any:
    """Run a command and return its answer; greeting and events are passed over. Raises OSError, BootsmithError."""
    monitor.settimeout(_SECONDS)
    monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    answer = b""
    while True:
        *lines, answer = answer.split(b"\n")
        for line in lines:
            said = json.loads(line)
            if "error" in said:
                raise BootsmithError(f"QEMU refuses {command}: {said['error'].get('desc')}")
            if "return" in said:
                return said["return"]
        chunk = monitor.recv(65536)
        if not chunk:
            raise ConnectionResetError(f"QEMU is gone, {command} was not done")
        answer += chunk
