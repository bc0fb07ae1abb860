"""Entries of loaders, read as distributions write them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.inspection import boot_entries
from bootsmith.tasks.inspection.boot_entries import Named
from bootsmith.tasks.inspection.opening import looked_into

from tests.support.whole_disk import WholeDisk

UUID = "01234567-89ab-cdef-0123-456789abcdef"
GRUB = f"""
set timeout=5
if [ x$feature = xy ]; then
  search --no-floppy --fs-uuid --set=root {UUID}
fi
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple' {{
        load_video
        insmod gzio
        set root='hd0,gpt1'
        if [ x$feature_platform_search_hint = xy ]; then
          search --no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt1 --hint-efi=hd0,gpt1  {UUID.upper()}
        else
          search --no-floppy --fs-uuid --set=root {UUID}
        fi
        echo    'Loading Linux ...'
        linux   /boot/vmlinuz-6.1 root=UUID={UUID} ro  quiet "a b=c d"
        initrd  /boot/early.img /boot/initrd.img-6.1
}}
menuentry "mach" {{
  search --label --set=root elsewhere
  multiboot /boot/gnumach root=device:hd0s1
  module /boot/server server $(task-create)
  module $prefix/other
}}
"""
SYSLINUX = """
DEFAULT linux
LABEL linux
  KERNEL vmlinuz
  APPEND initrd=initrd.img,/more.img root=LABEL=x quiet
label menu
  com32 menu.c32
label other
  linux /boot/bzImage
  initrd /boot/initrd
  append root=/dev/sda1
"""


def image() -> Any:
    inside = SimpleNamespace(uuid=UUID, label="data")
    return cast(
        "Any", SimpleNamespace(parts={1: SimpleNamespace(filesystem=None), 2: SimpleNamespace(filesystem=inside)})
    )


def test_grub_s_entries_are_read_as_update_grub_writes_them() -> None:
    """With hints and branches, several initrds, files on the partition that was searched for, and multiboot modules."""
    debian, mach = boot_entries._grub(image(), 1, GRUB.encode())
    assert debian.name == "Debian GNU/Linux"
    assert debian.files == (
        Named("kernel", 2, "/boot/vmlinuz-6.1"), Named("initrd", 2, "/boot/early.img"),
        Named("initrd", 2, "/boot/initrd.img-6.1"),
    )  # fmt: skip
    assert debian.cmdline == f"root=UUID={UUID} ro quiet a b=c d"
    assert mach.protocol == "multiboot"
    assert mach.files == (Named("kernel", -1, "/boot/gnumach"), Named("module", -1, "/boot/server"))


@pytest.mark.parametrize(
    ("line", "partition"),
    [
        (f"search --no-floppy --fs-uuid --set=root {UUID}", 2),
        (f"search --set=root --fs-uuid {UUID}", 2),
        ("search --label --set=root 'data'", 2),
        ("search --fs-uuid --set=root 1-2", -1),
        ("search --file --set=root /boot/x", 1),
        ("search " + "--fs-uuid " * 100_000 + "x", -1),
    ],
)
def test_a_search_finds_the_partition_it_names(line: str, partition: int) -> None:
    """In whichever order its options stand, and however long it is; what a file tells is not known here."""
    assert boot_entries._searched(image(), line.split(), 1) == partition


def test_entries_without_end_are_refused(disk: WholeDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a file that may be large."""
    monkeypatch.setattr(boot_entries, "_MOST", 0)
    with looked_into(disk.raw) as opened, pytest.raises(StageError, match="more entries than are read"):
        list(boot_entries.found(opened))


def test_syslinux_labels_are_read() -> None:
    """Relative names stand in the configuration's own folder; an initrd may stand among the words."""
    first, second = boot_entries._syslinux(3, b"boot/syslinux/syslinux.cfg", SYSLINUX.encode())
    assert (first.name, first.cmdline) == ("linux", "initrd=initrd.img,/more.img root=LABEL=x quiet")
    assert first.files == (
        Named("kernel", 3, "/boot/syslinux/vmlinuz"), Named("initrd", 3, "/boot/syslinux/initrd.img"),
        Named("initrd", 3, "/more.img"),
    )  # fmt: skip
    assert second.files == (Named("kernel", 3, "/boot/bzImage"), Named("initrd", 3, "/boot/initrd"))
