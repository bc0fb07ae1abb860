"""CDs: started from the drive and from a disk, under a BIOS, and what their catalog, first sector and volume say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import cd_build

TEXT = (
    "outputs: [iso: {{mode: initramfs, label: BOX_1, loader: {}}}]\n"
    "boot: {{packages: false, initrd: tree, timeout: {}, cmdline: hello}}\n"
)


@pytest.mark.boot
@pytest.mark.parametrize(("loader", "timeout"), [("isolinux", 1), ("[grub-bios, grub-efi]", 0)])
@pytest.mark.parametrize("cd", [True, False], ids=["cd", "disk"])
def test_a_bios_starts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: str, timeout: int, *, cd: bool
) -> None:
    """From the drive and copied to a disk, the kernel gets its command line and its initrd (W6, W17)."""
    image = cd_build.make(cd_build.build(tmp_path, monkeypatch, TEXT.format(loader, timeout)))
    heard = cd_build.serial_of(image, tmp_path / "log", cd=cd)
    assert re.search("tiny kernel: .*console=ttyS0 hello.*; initrd: 070701.*tiny initrd", heard), heard
    assert "root=" not in heard
