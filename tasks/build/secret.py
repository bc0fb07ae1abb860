"""A password or key by reference."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from bootsmith.tasks.errors import StageError

_MARK = b"\xef\xbb\xbf"  # U+FEFF, by which some editors begin UTF-8


@dataclass(frozen=True)
class Secret:
    """Where to read a password or key, never the text itself.

    Exactly one of `file`, `env`, `hash` is set; `hash` is a crypt(3) string, public enough to stand in a recipe.
    `where` is `file:line:column: key` of the recipe that says so, as seen from where it was read, and `holds` what is
    to be found there; neither is part of what a secret is, and no remembered plan has them.
    """

    file: Path | None = None
    env: str | None = None
    hash: str | None = None
    where: str = field(default="", compare=False)
    holds: str = field(default="", compare=False)


def read_secret(secret: Secret, what: str) -> bytes:
    """Return the bytes a secret refers to, without the line ends and the byte order mark that editors and shells add.

    Nobody types those. Raises StageError naming `what`.
    """
    if secret.file is not None:
        try:
            return _bare(secret.file.read_bytes())
        except OSError as error:
            raise StageError(
                f"{what} cannot be read from {secret.file}: {error.strerror}",
                "Create the file, or name another one in the recipe.",
            ) from error
    if secret.env is not None:
        try:
            return _bare(os.environb[secret.env.encode()])
        except KeyError:
            raise StageError(
                f"{what} is the environment variable {secret.env}, which is not set",
                f"Set {secret.env} for this command.",
            ) from None
    assert secret.hash is not None, "a Secret has one source"
    return secret.hash.encode()


def _bare(text: bytes) -> bytes:
    return text.removeprefix(_MARK).rstrip(b"\r\n")


def is_typed(text: bytes) -> bool:
    """Whether a person can type a password at a console: no second line is in it, nor a control character but TAB."""
    return bool(text) and not any((byte < 0x20 and byte != 0x09) or byte == 0x7F for byte in text)
