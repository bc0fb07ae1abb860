"""A disk with a loader and a small declared system on it, made by the stages; and ways to change it afterwards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from bootsmith.tasks.disk import inspect
from bootsmith.tasks.inspection import filesystem_checkers, verification
from bootsmith.tasks.inspection.opening import looked_into
from bootsmith.tasks.inspection.verdicts import Verdict
from bootsmith.tasks.planning.expectation import expected
from bootsmith.tasks.planning.stages import system
from bootsmith.tasks.recipe import boot_files
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.tools import host

from tests.support.disk_build import DiskBuild
from tests.support.guest_disks import sparse_copy
from tests.support.kernel_files import bzimage, cpio
from tests.support.tar_members import member

RECIPE = """\
system:
  hostname: box.example.com
  dns: {servers: [192.0.2.53]}
  locale: de_DE.UTF-8
  timezone: Europe/Berlin
  keymap: de
  groups: {team: {gid: 4000}}
  users: {ann: {groups: [team], sudo: true}}
  services: {mask: [noise.service], disable: [idle.service]}
  modules: [nbd]
  sysctl: {kernel.panic: 10}
  first_boot: box.yaml
  autologin: true
  grow: true
disk: {partitions: {PARTITIONSroot: {mount: /, extra: 40M}}}
boot: {packages: false, loader: LOADER}
"""
ESP = "esp: {size: 64M, mount: /boot/efi}, "
BOOT = "boot: {fs: vfat, size: 64M, mount: /boot/syslinux}, "
PARTITIONS = {"systemd-boot": ESP, "grub-efi": ESP, "efistub": ESP, "syslinux": BOOT, "grub-bios": ""}
UNITS = "etc/systemd/system"
FOLDERS = (
    "boot/efi", "boot/syslinux", "etc/ssh", f"{UNITS}/multi-user.target.wants", "usr/sbin", "home/ann",
    "usr/lib/systemd/system", "var/lib/dpkg/info", "usr/share/hello", "usr/lib/bootsmith", "etc/sudoers.d",
    "etc/modules-load.d", "etc/sysctl.d", f"{UNITS}/local-fs.target.wants", f"{UNITS}/getty@.service.d",
)  # fmt: skip
DECLARED = {
    "etc/hosts": b"127.0.0.1 localhost\n127.0.1.1 box.example.com box\n",
    "etc/resolv.conf": b"nameserver 192.0.2.53\n",
    "etc/locale.conf": b"LANG=de_DE.UTF-8\n",
    "etc/localtime": member("l", linkname="/usr/share/zoneinfo/Europe/Berlin"),
    "etc/vconsole.conf": b"KEYMAP=de\n", "etc/modules-load.d/declared.conf": b"nbd\n",
    "etc/sysctl.d/99-system.conf": b"kernel.panic = 10\n",
    "etc/sudoers.d/declared-ann": member(data=b"ann ALL=(ALL:ALL) NOPASSWD: ALL\n", mode=0o440),
    "usr/lib/bootsmith/first-boot": member(data=b"#!/bin/sh\n", mode=0o755),
    "usr/lib/bootsmith/grow-root": member(data=b"#!/bin/sh\n", mode=0o755),
    f"{UNITS}/first-boot.service": b"[Service]\n", f"{UNITS}/grow-root.service": b"[Service]\n",
    f"{UNITS}/multi-user.target.wants/first-boot.service": member("l", linkname=f"/{UNITS}/first-boot.service"),
    f"{UNITS}/local-fs.target.wants/grow-root.service": member("l", linkname=f"/{UNITS}/grow-root.service"),
    f"{UNITS}/getty@.service.d/autologin.conf": b"[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root\n",
}  # fmt: skip
"""What is declared beyond the rest, as the stage writes it."""
ON = "usr/lib/systemd/system/on.service"
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n"
STATUS = b"""\
Package: hello
Status: install ok installed
Version: 2.10-3

Package: gone
Status: deinstall ok config-files
Version: 1
"""


@dataclass(frozen=True)
class WholeDisk:
    """A raw disk and its recipe."""

    raw: Path
    recipe: Recipe

    @classmethod
    def make(
        cls,
        folder: Path,
        loader: str = "systemd-boot",
        recipe: str = RECIPE,
        tree: Mapping[str, Any] = MappingProxyType({}),
    ) -> WholeDisk:
        """Make one. Its tree is what the stages of a declared system come to, but for what `tree` says: None, no file.

        Beside the recipe are the files `linux`, `initrd` and `bytes`, which it may name.
        """
        with pytest.MonkeyPatch.context() as patch:
            text = recipe.replace("LOADER", loader).replace("PARTITIONS", PARTITIONS[loader])
            for name, data in (("linux", bzimage()), ("initrd", cpio()), ("bytes", b"FIRMWARE" * 512)):
                (folder / name).write_bytes(data)
            build = DiskBuild(folder, patch, text)
            unified = loader == "efistub"
            build.site.kernel.write_bytes(host.find("systemd-boot").read_bytes() if unified else bzimage())
            for owner in ("", *boot_files.initrds(build.recipe.boot)):
                build.site.initrd_for(owner).parent.mkdir(parents=True, exist_ok=True)
                build.site.initrd_for(owner).write_bytes(cpio())
            fstab = system.fstab(build.recipe.disk.partitions.values(), "uuid").encode()
            parents = {f"{parent}/" for path in FOLDERS for parent in [Path(path), *Path(path).parents] if parent.name}
            members = {
                "./": member("d"), **{path: member("d") for path in sorted(parents)},
                "usr/sbin/init": member(data=b"#!/bin/sh\n", mode=0o755), "sbin": member("l", linkname="usr/sbin"),
                "etc/hostname": b"box\n", **DECLARED, "etc/machine-id": member(mode=0o444), "etc/fstab": fstab,
                "etc/passwd": PASSWD, "etc/group": b"root:x:0:\nann:x:1000:\nteam:x:4000:ann\n",
                "etc/shadow": member(data=b"root:*:1::::::\nann:!:1::::::\n", mode=0o640),
                "etc/motd": b"hello\n", "etc/twin": member("h", linkname="etc/motd"),
                "etc/odd name\x1b": b"odd", "etc/loop": member("l", linkname="loop"),
                "etc/up": member("l", linkname="../../../etc/motd"), "etc/abs": member("l", linkname="/etc/motd"),
                ON: b"[Service]\n", f"{UNITS}/multi-user.target.wants/on.service": member("l", linkname=f"/{ON}"),
                f"{UNITS}/noise.service": member("l", linkname="/dev/null"),
                "usr/bin": member("d"), "usr/bin/tool": member(data=b"#!/bin/sh\n", mode=0o4755, uid=0, gid=1000),
                "usr/bin/large": bytes(3 << 20) + b"end", "home/ann/note": member(data=b"mine\n", uid=1000, gid=1000),
                "var/lib/dpkg/status": STATUS, "var/lib/dpkg/info/hello.list": b"/.\n/usr/share/hello/text\n",
                "usr/share/hello/text": b"hello, world\n", "usr/null": member("c", devmajor=1, devminor=3),
            } | tree  # fmt: skip
            build.base({path: found for path, found in members.items() if found is not None})
            return cls(build.raw_disk(), build.recipe)

    def copy(self, folder: Path) -> WholeDisk:
        """Return a copy that may be changed."""
        return WholeDisk(sparse_copy(self.raw, folder / "copy.raw"), self.recipe)

    def start(self, name: str) -> int:
        """Return where a partition begins, in bytes."""
        return self._row(name).start

    def _row(self, name: str) -> inspect.Part:
        (found,) = (each for each in inspect.inspect(self.raw).parts if each.name == name or str(each.number) == name)
        return found

    def debugfs(self, *commands: str) -> None:
        """Let debugfs write into the root."""
        lines = "".join(f"{line}\n" for line in commands)
        target = f"{self.raw}?offset={self.start('root')}"
        subprocess.run(["debugfs", "-w", "-f", "-", target], input=lines, text=True, check=True, capture_output=True)

    def put(self, path: str, data: bytes) -> None:
        """Write a file of the root anew."""
        source = self.raw.with_name("put")
        source.write_bytes(data)
        self.debugfs(f"rm {path}", f"write {source} {path}")

    def mtools(self, *words: str | Path, part: str = "esp") -> bytes:
        """Run one of the mtools on a FAT partition."""
        argv = [words[0], "-i", f"{self.raw}@@{self.start(part)}", *words[1:]]
        env = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
        return subprocess.run(argv, check=True, capture_output=True, env=env).stdout

    def put_fat(self, path: str, data: bytes, part: str = "esp") -> None:
        """Write a file of a FAT partition anew."""
        source = self.raw.with_name("put")
        source.write_bytes(data)
        self.mtools("mcopy", "-o", source, f"::{path}", part=part)

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes of the disk; from its end, where `offset` is negative."""
        with self.raw.open("r+b") as file:
            file.seek(offset, os.SEEK_END if offset < 0 else os.SEEK_SET)
            file.write(data)

    def verdicts(self, *, alone: bool = False) -> dict[str, Verdict]:
        """Return what each check says of it; `alone`, without the recipe."""
        with looked_into(self.raw) as image:
            problems = inspect.inspect(self.raw).problems
            wanted = None if alone else expected(self.recipe)
            found = verification.verify(image, problems, wanted, filesystem_checkers.look)
            return {each.check: each for each in found}
