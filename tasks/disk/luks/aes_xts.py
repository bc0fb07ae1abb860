"""AES-XTS by OpenSSL's libcrypto, the one that the host program openssl is linked with: sector by sector, as dm-crypt.

A sector's tweak is its number in units of 512 bytes, in 16 bytes little-endian (dm-crypt's plain64), whatever its size.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any, Final

from bootsmith.tasks.errors import StageError

UNIT: Final = 512
_CIPHERS: Final = {32: "EVP_aes_128_xts", 64: "EVP_aes_256_xts"}
"""Bytes of a key, which are two keys, -> libcrypto's cipher."""


class Cipher:
    """A key, set up to encrypt or to decrypt. Not for several threads at once."""

    def __init__(self, library: Path, key: bytes, *, encrypt: bool) -> None:
        """Set a key up. Raises StageError where the library cannot."""
        try:
            crypto = ctypes.CDLL(os.fspath(library))
            crypto.EVP_CIPHER_CTX_new.restype = ctypes.c_void_p
            crypto.EVP_CIPHER_CTX_free.argtypes = (ctypes.c_void_p,)
            crypto.EVP_CIPHER_CTX_free.restype = None
            cipher = getattr(crypto, _CIPHERS[len(key)])
            cipher.restype = ctypes.c_void_p
            self._begin: Any = crypto.EVP_CipherInit_ex
            self._begin.argtypes = (*[ctypes.c_void_p] * 3, *[ctypes.c_char_p] * 2, ctypes.c_int)
            self._feed: Any = crypto.EVP_CipherUpdate
            self._feed.argtypes = (*[ctypes.c_void_p] * 3, ctypes.c_char_p, ctypes.c_int)
        except (OSError, AttributeError) as error:
            raise StageError(f"{library} cannot be used: {error}", "Update OpenSSL to 1.1 or later.") from error
        self._crypto = crypto
        self._context = crypto.EVP_CIPHER_CTX_new()
        if not self._begin(self._context, cipher(), None, key, None, int(encrypt)):
            self.close()
            raise StageError(f"{library} does not take the key", "Is it restricted, as by FIPS?")

    def close(self) -> None:
        """Forget the key."""
        context, self._context = self._context, None
        if context:
            self._crypto.EVP_CIPHER_CTX_free(context)

    def sectors(self, data: bytes, size: int, first: int) -> bytes:
        """Return whole sectors of so many bytes, turned; the first one's number counts units of 512 bytes."""
        out = ctypes.create_string_buffer(len(data) + 32)
        length = ctypes.c_int()
        told, base = ctypes.byref(length), ctypes.addressof(out)
        begin, feed, context = self._begin, self._feed, self._context
        for at in range(0, len(data), size):
            tweak = (first + at // UNIT).to_bytes(16, "little")
            if not (
                begin(context, None, None, None, tweak, -1)
                and feed(context, base + at, told, data[at : at + size], size)
                and length.value == size
            ):
                raise StageError("libcrypto failed", "Report this: it is a bug of ours.")
        return out.raw[: len(data)]
