"""The stages `populate/...` of swap: a header that mkswap would write (Linux, include/linux/swap.h), and room."""

from __future__ import annotations

import json
import struct
import uuid
from dataclasses import dataclass
from typing import Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError

PAGE: Final = 4096
LEAST: Final = 10 * PAGE
"""Bytes of the smallest that Linux takes."""
_SIGN: Final = b"SWAPSPACE2"


@dataclass(frozen=True)
class SwapParams(Params):
    """What it is called."""

    partition: str
    uuid: str
    label: str


def run(ctx: Context) -> None:
    """Write the header: the bytes before it, and all behind it, are nobody's."""
    params = SwapParams.of(ctx)
    size = json.loads(ctx.inputs["geometry"].read_bytes())["size"]
    if size < LEAST:
        raise StageError(
            f"partition {params.partition}: {size} bytes are too little for swap",
            f"Raise disk.partitions.{params.partition}.size.",
        )
    label = params.label.encode()[:16]
    head = struct.pack("<III16s16s", 1, size // PAGE - 1, 0, uuid.UUID(params.uuid).bytes, label)
    with ctx.outputs["image"].open("xb") as image:
        image.truncate(size)
        image.seek(1024)
        image.write(head.ljust(PAGE - 1024 - len(_SIGN), b"\0") + _SIGN)
