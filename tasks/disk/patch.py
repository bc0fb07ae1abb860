"""Bytes of a disk that are others than its image's: its table, moved to another end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patch:
    """What stands at byte `at` instead."""

    at: int
    data: bytes
