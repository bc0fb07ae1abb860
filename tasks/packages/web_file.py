"""A file from a URL, told by its SHA-256: fetched once into the store, and from then on had without a network."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context, Download

URL: Final = "url"
"""The hint that says where the file is."""
FETCHER: Final = "bootsmith.tasks.packages.web_downloads:supply"


@dataclass(frozen=True)
class WebFileParams(Params):
    """What the file's content has for a SHA-256. Where it is from shapes nothing."""

    sha256: str


def run(ctx: Context) -> None:
    """Take the file out of the store, fetched into it first where it is not there."""
    sha256 = WebFileParams.of(ctx).sha256
    found = ctx.fetch([Download(str(ctx.hints[URL]), URL, "", 0, sha256)])
    shutil.copyfile(found[sha256], ctx.outputs["file"])
