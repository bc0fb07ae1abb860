"""Password hashes."""

from __future__ import annotations

import subprocess

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import crypt


def test_the_hash_is_sha512_crypt() -> None:
    """The hash is what another implementation of crypt(3) makes of the password and the salt."""
    hashed = crypt.sha512(b"correct horse", "seed\0root")
    _, kind, salt, _ = hashed.split("$")
    assert (kind, len(salt)) == ("6", 16)
    known = subprocess.run(
        ["perl", "-e", "print crypt($ARGV[0], $ARGV[1])", "correct horse", f"$6${salt}$"],
        capture_output=True,
        check=True,
    )
    assert known.stdout.decode() == hashed


def test_the_salt_depends_on_its_text_alone() -> None:
    """The same seed and user give the same salt, another gives another: builds agree, users differ."""
    assert crypt.sha512(b"a", "s\0root") == crypt.sha512(b"a", "s\0root")
    assert crypt.sha512(b"a", "s\0root").split("$")[2] == crypt.sha512(b"b", "s\0root").split("$")[2]
    assert crypt.sha512(b"a", "s\0root").split("$")[2] != crypt.sha512(b"a", "s\0ann").split("$")[2]


def test_a_zero_byte_is_refused() -> None:
    """What crypt(3) would cut short is an error, not a weaker password."""
    with pytest.raises(StageError, match="zero byte"):
        crypt.sha512(b"long\0secret", "s")
