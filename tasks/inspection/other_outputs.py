"""Whether other images, which are our own, hold the same disk as the raw one, and are sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bootsmith.tasks.disk import image_format
from bootsmith.tasks.errors import BootsmithError, ToolFailed
from bootsmith.tasks.inspection.verdicts import Verdict
from bootsmith.tasks.tools import host, process
from bootsmith.tasks.tools.environment import ENVIRONMENT


def outputs(raw: Path, others: Sequence[Path]) -> Iterator[Verdict]:
    """Yield whether other images, which are our own, hold the same disk and are sound."""
    for path in others:
        name = f"output {path.name}"
        try:
            kind = image_format.recognise(path, follow=True)
        except BootsmithError:
            kind = ""
        if not kind or (kind == "raw" and path.suffix != ".raw"):
            yield Verdict(name, "packed: not read back here", made=False)
            continue
        try:
            if kind == "qcow2":
                _qemu_img("check", "-q", "-f", kind, path)
            _qemu_img("compare", "-f", "raw", "-F", kind, raw, path)
        except ToolFailed as error:
            yield Verdict(name, "", (f"qemu-img: {(error.tail.splitlines() or ['it is not the same disk'])[-1]}",))
        else:
            yield Verdict(name, f"{image_format.NAMES.get(kind, kind)}, the same disk")


def _qemu_img(*words: str | Path) -> None:
    process.run([host.find("qemu-img"), *words], env=ENVIRONMENT, cwd=Path("/"))
