"""What the tests of commands share: a folder with recipes, and a command called there as a command line would."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
from bootsmith.tasks.command.invocation import Invocation
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.command.request import Request
from bootsmith.tasks.command.selection import BY_NAME
from bootsmith.tasks.command.session import Session

from tests.support.kernel_files import bzimage, cpio

RECIPE = """\
source: {directory: tree}
system: none
boot: {loader: syslinux, kernel: vmlinuz, initrd: none, entries: {plain: {}, rescue: {cmdline: single}}}
outputs: [raw, qcow2]
"""
KERNEL = """\
source: {directory: tree}
system: none
boot: {loader: direct, kernel: vmlinuz, initrd: tree}
outputs: [kernel, initramfs]
"""


class Calls:
    """Calls commands in the folder `top`; `said` is what they told the user."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self._said = io.StringIO()

    def edit(self, old: str, new: str) -> None:
        """Write something else into the recipe that commands mean by themselves."""
        text = (self.top / "box.yaml").read_text()
        assert old in text
        (self.top / "box.yaml").write_text(text.replace(old, new))

    @property
    def said(self) -> str:
        return self._said.getvalue()

    def __call__(
        self,
        name: str,
        *words: str,
        recipe: str | None = None,
        given: Mapping[str, str] | None = None,
        runs: bool = True,
        **options: object,
    ) -> Request:
        """Return a call of the command `name`: for a recipe, with words, options, and `VAR=VALUE` as `given`."""
        command = BY_NAME[name]
        asked = Invocation("run" if runs else "info", {}, (name,), {}, words, dict(given or {}), name)
        session = Session(Path("box.yaml"), asked, self.top, self.top, Progress(self._said))
        known = {param["name"]: param["default"] for param in command.params}
        assert known.keys() >= options.keys(), "an option that the command has"
        return Request(session, recipe, {**known, **options}, words)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What calls commands in a folder with two recipes, of a disk and of a kernel alone, and an image that is none."""
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "cache"))
    top = tmp_path / "top"
    (top / "tree/boot").mkdir(parents=True)
    (top / "tree/boot/vmlinuz-1").write_bytes(bzimage())
    (top / "tree/init").touch(0o755)
    (top / "vmlinuz").write_bytes(bzimage())
    (top / "box.yaml").write_text(RECIPE)
    (top / "kernel.yaml").write_text(KERNEL)
    (top / "some.cpio").write_bytes(cpio())
    (top / "some.img").write_bytes(b"x" * 512)
    return Calls(top)
