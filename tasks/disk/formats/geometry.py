"""Cylinders, heads and sectors, which old formats still ask for. No disk's size follows from them here."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    """A disk as a BIOS of the nineties would see it."""

    cylinders: int
    heads: int
    sectors: int


def of_ata(sectors: int) -> Geometry:
    """Return what an ATA disk of so many sectors tells: 16 heads, 63 sectors, at most 16383 cylinders."""
    return Geometry(max(1, min(sectors // (16 * 63), 16383)), 16, 63)


def of_vhd(sectors: int) -> Geometry:
    """Return what the VHD specification reckons (its appendix): as many sectors as fit into 16, 4 and 8 bits."""
    sectors = min(sectors, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        return Geometry(sectors // 255 // 16, 16, 255)
    tracks = sectors // 17
    heads = max(4, -(-tracks // 1024))
    per_track = 17
    if tracks >= heads * 1024 or heads > 16:
        heads, per_track = 16, 31
        tracks = sectors // per_track
    if tracks >= heads * 1024:
        per_track = 63
        tracks = sectors // per_track
    return Geometry(tracks // heads, heads, per_track)
