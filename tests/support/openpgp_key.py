"""A key that signs what tests make, and is thrown away with them."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


class OpenPgpKey:
    """An OpenPGP key; `public` is what a keyring of it holds."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._gpg("--passphrase", "", "--quick-generate-key", "Test archive", "ed25519", "sign", "never")
        self.public = self._gpg("--export")
        listed = self._gpg("--with-colons", "--list-keys").decode()
        self.fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def sign(self, data: bytes) -> bytes:
        """Return a signature that stands beside what it signs."""
        return self._gpg("--detach-sign", data=data)

    def certify(self, other: OpenPgpKey) -> bytes:
        """Return another public key with this one's signature on it."""
        self._gpg("--import", data=other.public)
        self._gpg("--quick-sign-key", other.fingerprint)
        return self._gpg("--export", other.fingerprint)

    def _gpg(self, *words: str, data: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", self._home, "--batch", "--yes", "--quiet", *words]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@contextlib.contextmanager
def openpgp_key() -> Iterator[OpenPgpKey]:
    """Yield a new key; what holds it ends with it."""
    with tempfile.TemporaryDirectory(prefix="key-") as home:  # sockets' paths are short
        try:
            yield OpenPgpKey(Path(home))
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
