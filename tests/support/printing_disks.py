"""Disks whose boot sector prints, and how one is encrypted."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

# cld; xor ax, ax; mov ds, ax; mov es, ax: a boot sector stands at 0x7c00.
# mov ax, 0x0301; mov cx, 2; mov dh, 0; mov bx, 0x7c00; int 0x13: writes itself into the disk's second sector.
# mov si, text; mov dx, 0x3f8; next: lodsb; test al, al; jz end; out dx, al; jmp next: COM1's data port.
# end: hlt; jmp end.
_PRINTING = bytes.fromhex("fc31c08ed88ec0 b80103b90200b600bb007ccd13 be257cbaf803 ac84c07403eeebf8 f4ebfd")


# The same, but end: mov al, 0xfe; out 0x64, al: the keyboard controller pulls the reset line. Its text is four later.
_ENDING = _PRINTING.replace(bytes.fromhex("be257c"), bytes.fromhex("be297c"))[:-3] + bytes.fromhex("b0fee664 f4ebfd")


_ALPHABETS = bytes.fromhex(
    "b3 61"  # mov bl, 'a'
    "ba fd03 be 8813"  # again: mov dx, the line's status; mov si, 5000
    "ec a8 20 75 03 4e 75 f8"  # wait: in al, dx; test al, "it takes one"; jnz put; dec si; jnz wait
    "ba f803 88d8 ee"  # put: mov dx, the port; mov al, bl; out dx, al
    "fec3 80fb 7b 72 02 b3 61 e2 e1"  # inc bl; cmp bl, 'z' + 1; jb over; mov bl, 'a'; over: loop again
    "b0 2e ee f4 eb fd"  # mov al, '.'; out dx, al; halt: hlt; jmp halt
)


def printing_disk(text: str, *, ends: bool = False) -> bytes:
    """Return a disk whose boot sector writes to the disk, prints `text` on the serial port, and hangs, or resets."""
    return _boots((_ENDING if ends else _PRINTING) + text.encode("ascii") + b"\0")


def alphabets(letters: int) -> bytes:
    """Return a disk that prints so many letters (16 bits) and a dot, and waits for the port as long as Linux does."""
    return _boots(b"\xfa\xb9" + struct.pack("<H", letters) + _ALPHABETS)


def _boots(code: bytes) -> bytes:
    """Return a disk with that boot sector."""
    assert len(code) <= 510, "it has to fit into a sector"
    return (code.ljust(510, b"\0") + b"\x55\xaa").ljust(1 << 20, b"\0")


def encrypted(raw: Path, image: Path, passphrase: str) -> Path:
    """Make an encrypted qcow2 of a raw disk; qemu-img is asked again where it cannot tell how fast it is."""
    options = "encrypt.format=luks,encrypt.key-secret=p,encrypt.iter-time=10"
    words = [
        "qemu-img",
        "convert",
        "--object",
        "secret,id=p,file=/dev/stdin",
        "-f",
        "raw",
        "-O",
        "qcow2",
        "-o",
        options,
    ]
    for _ in range(50):
        done = subprocess.run([*words, raw, image], input=passphrase.encode(), capture_output=True, check=False)
        if b"accurate CPU usage" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    return image
