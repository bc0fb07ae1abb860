"""Identifiers that follow from a seed: told apart by what they are for, and the same for ever."""

from __future__ import annotations

import uuid

import pytest
from bootsmith.tasks.recipe.completion import identifiers


def test_a_uuid_belongs_to_its_seed_and_name() -> None:
    """It is a valid one (RFC 9562, version 8); words are told apart, however they are divided."""
    found = identifiers.uuid("seed", "partition", "root")
    assert (uuid.UUID(found).version, uuid.UUID(found).variant) == (8, uuid.RFC_4122)
    assert found == str(uuid.UUID(found)) == identifiers.uuid("seed", "partition", "root")
    others = {
        identifiers.uuid("seed", "partition", "roo"),
        identifiers.uuid("seedpartition", "root"),
        identifiers.uuid("", "seed"),
    }
    assert len({found, *others}) == 4
    assert identifiers.uuid("a", "bc") != identifiers.uuid("ab", "c")
    assert identifiers.uuid("\u00e9", "\u0416") == identifiers.uuid("\u00e9", "\u0416")


def test_what_stands_on_disks_already_stays() -> None:
    """The ways from a seed to a number are kept for ever: else every image would change."""
    assert identifiers.uuid("x", "disk") == "b89bfbc5-53ae-8970-b366-c19994465a04"
    assert identifiers.serial("x", "filesystem", "esp") == "D3FE-BCC4"
    assert identifiers.signature("x") == "b89bfbc5"


def test_a_signature_is_never_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """All zeros mean a disk without a signature."""
    monkeypatch.setattr(identifiers, "_digest", lambda *_: bytes(32))
    assert identifiers.signature("x") == "00000001"
