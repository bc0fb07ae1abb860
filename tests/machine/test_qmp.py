"""Screenshots: QEMU's picture becomes a PNG."""

from __future__ import annotations

import json
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from bootsmith.tasks.machine import qmp

PIXELS = bytes(range(2 * 3 * 3))


def decoded(png: bytes) -> tuple[int, int, bytes]:
    """Return width, height and pixels of a PNG of 8-bit RGB without filters, its checksums verified."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        data = png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length)[0] == zlib.crc32(name + data)
        chunks[name] = data
        at += 12 + length
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [8, 2, 0, 0, 0]
    rows = zlib.decompress(chunks[b"IDAT"])
    size = 3 * width + 1
    assert all(rows[n * size] == 0 for n in range(height))
    return width, height, b"".join(rows[n * size + 1 : (n + 1) * size] for n in range(height))


def test_a_picture_survives() -> None:
    """Size and every pixel of QEMU's PPM stand in the PNG, pixels that look like white space too."""
    assert decoded(qmp.png_of_ppm(b"P6\n2 3\n255\n" + PIXELS)) == (2, 3, PIXELS)
    assert decoded(qmp.png_of_ppm(b"P6\n2 3\n255\n" + b"\n" * 18)) == (2, 3, b"\n" * 18)


@pytest.mark.parametrize("ppm", [b"", b"P5\n1 1\n255\n1", b"P6\n1 1\n65535\n123456", b"P6\n2 3\n255\n1"])
def test_what_is_no_picture_is_refused(ppm: bytes) -> None:
    """Anything but a whole PPM of 8 bits is an error, never a wrong picture."""
    with pytest.raises(ValueError, match=r"PPM|pixels"):
        qmp.png_of_ppm(ppm)


@pytest.fixture(name="ends")
def fixture_ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def serve(end: socket.socket, picture: bytes | None) -> threading.Thread:
    """Answer as QEMU does, with a greeting, an event in between, and an error where there is no picture."""

    def answer() -> None:
        end.sendall(b'{"QMP": {"version": {}}}\r\n')
        with end.makefile("rb") as lines:
            for line in lines:
                asked = json.loads(line)
                end.sendall(b'{"event": "RTC_CHANGE"}\r\n')
                if asked["execute"] == "screendump":
                    if picture is None:
                        end.sendall(b'{"error": {"class": "GenericError", "desc": "no console"}}\r\n')
                        return
                    Path(asked["arguments"]["filename"]).write_bytes(picture)
                end.sendall(b'{"return": {}}\r\n')

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


def test_a_screenshot_is_asked_for(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    """The picture QEMU writes is kept as PNG; a second one works as well."""
    thread = serve(ends[1], b"P6\n2 3\n255\n" + PIXELS)
    assert qmp.screenshot(ends[0], tmp_path / "one.png")
    assert qmp.screenshot(ends[0], tmp_path / "two.png")
    assert decoded((tmp_path / "two.png").read_bytes()) == (2, 3, PIXELS)
    ends[0].shutdown(socket.SHUT_WR)
    thread.join()


def test_no_screen_is_no_screenshot(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    """A machine without a screen gives no picture, and no error."""
    thread = serve(ends[1], None)
    assert not qmp.screenshot(ends[0], tmp_path / "one.png")
    assert not (tmp_path / "one.png").exists()
    thread.join()


def test_a_machine_that_is_gone_gives_no_screenshot(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    """A machine that ended gives no picture, and no error."""
    ends[1].close()
    assert not qmp.screenshot(ends[0], tmp_path / "one.png")
