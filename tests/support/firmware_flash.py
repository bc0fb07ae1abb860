"""The flash of a UEFI firmware, read back."""

from __future__ import annotations

import struct


def variable_names(flash: bytes) -> list[str]:
    """Walk over the store as the firmware does; return the names of the variables in it."""
    (at,) = struct.unpack_from("<H", flash, 48)
    at += 28
    found = []
    while flash[at : at + 2] == b"\xaa\x55":
        state = flash[at + 2]
        name_size, size = struct.unpack_from("<II", flash, at + 36)
        if state == 0x3F:
            found.append(flash[at + 60 : at + 60 + name_size].decode("utf-16-le").rstrip("\0"))
        at += -(-(60 + name_size + size) // 4) * 4
    return found
