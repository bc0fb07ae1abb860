"""Password hashes, by the C library's crypt(3)."""

from __future__ import annotations

import ctypes
import hashlib
import threading
from typing import Final

from bootsmith.tasks.errors import StageError

_ALPHABET: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ONE_AT_A_TIME = threading.Lock()  # crypt() answers in one place for all threads


def sha512(password: bytes, salted_by: str) -> str:
    """Return the SHA-512 hash ("$6$...") of a password, its salt derived from a text. Raises StageError."""
    digest = hashlib.sha256(salted_by.encode()).digest()
    salt = "".join(_ALPHABET[byte % 64] for byte in digest[:16])
    if b"\0" in password:
        raise StageError("a password holds a zero byte", "Write it as text.")
    with _ONE_AT_A_TIME:
        function = _library().crypt
        function.restype = ctypes.c_char_p
        function.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
        hashed: bytes | None = function(password, f"$6${salt}$".encode())
    if not hashed or not hashed.startswith(b"$6$"):
        raise StageError("this host's crypt(3) cannot hash passwords by SHA-512", "Give the password as {hash: ...}.")
    return hashed.decode()


def _library() -> ctypes.CDLL:
    for name in ("libcrypt.so.1", "libcrypt.so.2", None):  # None: musl has it in libc
        try:
            library = ctypes.CDLL(name)
            library.crypt  # noqa: B018  raises where the library does not have it
        except (OSError, AttributeError):
            continue
        return library
    raise StageError("no crypt(3) was found on this host", "Install libcrypt, or give the password as {hash: ...}.")
