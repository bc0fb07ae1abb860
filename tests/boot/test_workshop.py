"""A workshop's own layout, made and booted by one command, on a host whose /boot and firmware variables are watched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from bootsmith.tasks.disk import gpt

from tests.support.checkout import CHECKOUT
from tests.support.project import dodo, environment

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("efi")]

LONG = 900  # seconds: how long a busy host may take for what takes it forty when idle
RECIPE = """\
extends: small
disk:
  partitions:
    esp: {size: 100M, name: EFI System, attributes: [2]}
    root: {label: slim-rootfs}
boot:
  loader: grub-efi
  place: esp
  timeout: 0
  packages: false
  entries: {second: null}
  config: {grub.cfg: grub.cfg}
  grub_modules: [regexp]
"""
MENU = """\
set timeout=0
for folder in ($root)/linux/*; do
    linux $folder/linux root=LABEL=slim-rootfs console=ttyS0 no_timer_check second
    initrd $folder/initrd
done
boot
"""
WATCHED = """
mount --bind "$1" /boot
test ! -d /sys/firmware || mount --bind "$2" /sys/firmware
shift 2
exec "$@"
"""


@dataclass(frozen=True)
class Workshop:
    """A project in which `run-uefi:workshop` ran until the guest was up; `before` is how the host's own boot was."""

    top: Path
    said: list[str]
    before: list[tuple[str, int, int, bytes]]

    @property
    def disk(self) -> Path:
        return self.top / "build/workshop/workshop.raw"


def host(top: Path) -> list[tuple[str, int, int, bytes]]:
    """Return all that stands in for the host's /boot and firmware variables, with when it was last touched."""
    return [
        (str(path), path.stat().st_ino, path.stat().st_ctime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted((top / "host").rglob("*"))
    ]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """The recipe, built by the command that boots it."""
    top = tmp_path_factory.mktemp("workshop") / "project"
    shutil.copytree(CHECKOUT / "tests/support/small", top)
    for name, text in {
        "workshop.yaml": RECIPE,
        "grub.cfg": MENU,
        "dodo.py": dodo("small.yaml"),
        "host/boot/grub/grub.cfg": "the host's menu\n",
        "host/boot/efi/EFI/BOOT/BOOTX64.EFI": "the host's loader\n",
        "host/firmware/efi/efivars/Boot0000-8be4df61-93ca-11d2-aa0d-00e098032b8c": "the host's entry\n",
        "host/firmware/efi/fw_platform_size": "64\n",
    }.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    before = host(top)
    enter = ["unshare", *(["--user", "--map-root-user"] if os.geteuid() else []), "--mount", "sh", "-ec", WATCHED, "sh"]
    doit = [sys.executable, "-m", "doit", "run-uefi:workshop", "--accel", "tcg"]
    with subprocess.Popen(
        [*enter, top / "host/boot", top / "host/firmware", *doit], cwd=top, env=environment(top),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as run:  # fmt: skip
        limit = threading.Timer(LONG, run.kill)
        limit.start()
        try:
            assert run.stdout is not None
            said = []
            while not (said and "small is up" in said[-1]):
                line = run.stdout.readline()
                assert line, "".join(said)
                said.append(line)
        finally:
            limit.cancel()
            run.terminate()
    yield Workshop(top, said, before)
    shutil.rmtree(top.parent)


def test_one_command_builds_the_whole_chain_first(workshop: Workshop) -> None:
    """`run-uefi:NAME` makes every stage, from the kernel to the disk, then starts that disk (A7)."""
    started = next(number for number, line in enumerate(workshop.said) if "qemu-system-x86_64" in line)
    rows = [line.split() for line in workshop.said[:started]]
    made = [row[1].removesuffix(":workshop") for row in rows if row[:1] == ["built"]]
    assert {"rootfs", "kernel", "initramfs", "bootloader", "partition", "populate/esp", "populate/root"} < set(made)
    assert made[-1] == "assemble"
    assert any(f"file={workshop.disk}" in line for line in workshop.said[started:])


def test_its_own_menu_with_a_module_more_starts_the_kernel_on_its_esp(workshop: Workshop) -> None:
    """GPT, an ESP of 100M called "EFI System" with bit 2, root by its label, GRUB by grub-mkimage: booted (W5, W13)."""
    assert any("this is the second entry" in line for line in workshop.said)  # a word of its own menu, and of no other
    disk = workshop.disk
    with disk.open("rb") as file:
        table = gpt.decode(lambda at, size: os.pread(file.fileno(), size, at), disk.stat().st_size)
    assert table is not None
    esp, root = table.slots[:2]
    assert (esp.name, esp.size, esp.attributes, root.name) == ("EFI System", 100 << 20, 1 << 2, "root")
    words = ["mcopy", "-n", "-i", f"{disk}@@{esp.start}", "::/grub/grub.cfg", "-"]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout == MENU
    populated = workshop.top / "build/workshop/populate/root.img"
    label = subprocess.run(["blkid", "-p", "-o", "value", "-s", "LABEL", populated], check=True, capture_output=True)
    assert label.stdout == b"slim-rootfs\n"


def test_the_hosts_own_boot_is_left_alone(workshop: Workshop) -> None:
    """Neither its /boot nor its firmware's variables were written, even by root, building a loader and booting (C6)."""
    assert host(workshop.top) == workshop.before
