"""Multiboot modules as files of the tree, each judged by what its kernel makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootsmith.tasks.boot import multiboot
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import additions, boot_formats, unpacking

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class ModulesParams(additions.FilesParams):
    """Modules by path, the words that each is handed, and the machine they are for."""

    words: Mapping[str, str]
    arch: str


def run(ctx: Context) -> None:
    """Judge the modules, and add them. Raises StageError."""
    params = ModulesParams.of(ctx)
    for path, words in params.words.items():
        file = ctx.inputs[path]
        why = _refusal(file, words, params.arch) if file.is_file() else None  # what is no file is told below
        if why:
            raise StageError(f"{file} cannot be the module {path}: it {why}", "Let boot.modules name another file.")
    additions.put_files(ctx, params)


def _refusal(file: Path, words: str, arch: str) -> str | None:
    with file.open("rb") as opened:
        if boot_formats.packing(opened.read(16)) != "gzip":
            opened.seek(0)
            return multiboot.module_refusal(opened.read(), words, arch, file.stat().st_size)
        opened.seek(0)
        try:  # as GRUB unpacks it
            data = b"".join(unpacking.unpacked(opened, "gzip"))
        except unpacking.Damaged as error:
            return f"is damaged: {error.message}"
    return multiboot.module_refusal(data, words, arch, len(data))
