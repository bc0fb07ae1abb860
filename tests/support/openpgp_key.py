"""A key that signs what tests make, and is thrown away with them."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path


class OpenPgpKey:
    """An OpenPGP key; `public` is what a keyring of it holds."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._gpg("--passphrase", "", "--quick-generate-key", "Test archive", "ed25519", "sign", "never")
        self.public = self._gpg("--export")
        self.armored = self._gpg("--armor", "--export")
        listed = self._gpg("--with-colons", "--list-keys").decode()
        self.fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def sign(self, data: bytes) -> bytes:
        """Return a signature that stands beside what it signs."""
        return self._gpg("--detach-sign", data=data)

    def sign_rpms(self, packages: Sequence[Path]) -> None:
        """Sign RPM packages, in which their signatures are."""
        settings = {"_gpg_path": self._home, "_gpg_name": self.fingerprint, "__gpg": shutil.which("gpg")}
        words = [word for name, value in settings.items() for word in ("--define", f"{name} {value}")]
        subprocess.run(["rpmsign", *words, "--addsign", *packages], capture_output=True, check=True)

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
