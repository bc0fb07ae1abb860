"""What two images differ in: one known thing, told by what it means."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest
from bootsmith.tasks.inspection import difference
from bootsmith.tasks.inspection.difference import dpkg
from bootsmith.tasks.inspection.opening import looked_into

from tests.support.whole_disk import STATUS, UNITS, WholeDisk

SHADOW = b"root:*:1::::::\nann:$6$new:1::::::\n"


def compared(one: WholeDisk, other: WholeDisk) -> list[str]:
    with looked_into(one.raw) as before, looked_into(other.raw) as after:
        return [str(each) for each in difference.between(before, after, difference.trees_of(before, after))]


def sfdisk(option: str, value: str) -> Callable[[WholeDisk], object]:
    return lambda disk: subprocess.run(["sfdisk", option, disk.raw, "2", value], check=True, capture_output=True)


CHANGES: dict[str, tuple[Callable[[WholeDisk], object], list[str]]] = {
    "nothing": (lambda _: None, []),
    "time": (lambda disk: disk.debugfs("sif /etc/motd mtime 5"), []),
    "content": (lambda disk: disk.put("/etc/sudoers.d/x", b"abc\n"), ["/etc/sudoers.d/x: added, file of 4 bytes"]),
    "size": (lambda disk: disk.put("/etc/hosts", b"abcd\n"), ["/etc/hosts: content, 50 -> 5 bytes"]),
    "hostname": (lambda disk: disk.put("/etc/hostname", b"abc\n"), ["setting hostname: box -> abc"]),
    "only a comment": (lambda disk: disk.put("/etc/hostname", b"# x\nbox\n"), ["/etc/hostname: content, 4 -> 8 bytes"]),
    "locale": (lambda disk: disk.put("/etc/locale.conf", b"LANG=C\n"), ["setting locale: de_DE.UTF-8 -> C"]),
    "time zone": (lambda disk: disk.debugfs("rm /etc/localtime", "symlink /etc/localtime /usr/share/zoneinfo/UTC"),
                  ["setting timezone: Europe/Berlin -> UTC"]),
    "keyboard": (lambda disk: disk.debugfs("rm /etc/vconsole.conf"), ["setting keymap: de -> none"]),
    "name servers": (lambda disk: disk.put("/etc/resolv.conf", b"nameserver 192.0.2.53\nnameserver 192.0.2.54\n"),
                     ["setting name servers: 192.0.2.53 -> 192.0.2.53, 192.0.2.54"]),
    "kernel's settings": (lambda disk: disk.put("/etc/sysctl.d/99-system.conf", b"kernel.panic=9\nvm.swappiness = 1\n"),
                          ["setting sysctl kernel.panic: 10 -> 9", "setting sysctl vm.swappiness: none -> 1"]),
    "a module more": (lambda disk: disk.put("/etc/modules-load.d/declared.conf", b"nbd\nzfs\n"),
                      ["setting module zfs: none -> loaded"]),
    "mode": (lambda disk: disk.debugfs("sif /usr/bin/tool mode 0100755"), ["/usr/bin/tool: mode 4755 -> 0755"]),
    "owner": (lambda disk: disk.debugfs("sif /usr/bin/tool uid 7"), ["/usr/bin/tool: owner 0:1000 -> 7:1000"]),
    "attribute": (lambda disk: disk.debugfs("ea_set /usr/bin/tool user.x y"), ["/usr/bin/tool: attribute user.x"]),
    "kind": (lambda disk: disk.debugfs("rm /usr/bin/tool", "symlink /usr/bin/tool large"),
             ["/usr/bin/tool: file of 10 bytes -> symlink to large"]),
    "target": (lambda disk: disk.debugfs("rm /etc/abs", "symlink /etc/abs /x"),
               ["/etc/abs: symlink to /etc/motd -> /x"]),
    "device": (lambda disk: disk.debugfs("rm /usr/null", "cd /usr", "mknod null c 1 5", "sif null mode 020644"),
               ["/usr/null: device 1:3 -> 1:5"]),
    "folder removed": (lambda disk: disk.debugfs("rm /home/ann/note", "rmdir /home/ann"),
                       ["/home/ann: removed, directory"]),
    "file added": (lambda disk: disk.debugfs("write /dev/null /etc/new"), ["/etc/new: added, file of 0 bytes"]),
    "on the ESP": (lambda disk: disk.put_fat("loader/loader.conf", b"timeout 9\n"),
                   ["/boot/efi/loader/loader.conf: content, 31 -> 10 bytes"]),
    "unit enabled": (lambda disk: disk.debugfs(f"symlink /{UNITS}/multi-user.target.wants/x.service /x"),
                     ["unit x.service: enabled in multi-user.target"]),
    "unit disabled": (lambda disk: disk.debugfs(f"rm /{UNITS}/multi-user.target.wants/on.service"),
                      ["unit on.service: disabled in multi-user.target"]),
    "unit unmasked": (lambda disk: disk.debugfs(f"rm /{UNITS}/noise.service"), ["unit noise.service: unmasked"]),
    "password": (lambda disk: disk.put("/etc/shadow", SHADOW), ["password ann: changed"]),
    "password's day": (lambda disk: disk.put("/etc/shadow", b"root:*:2::::::\nann:!:2::::::\n"), []),
    "user": (lambda disk: disk.put("/etc/passwd", b"root:x:0:0:root:/root:/bin/bash\n"), [
        "user ann: removed", "user root: x:0:0:root:/root:/bin/sh -> x:0:0:root:/root:/bin/bash"]),
    "package": (lambda disk: (disk.put("/var/lib/dpkg/status", STATUS.replace(b"2.10-3", b"2.10-4")),
                              disk.put("/usr/share/hello/text", b"hello, you\n")),
                ["package hello: 2.10-3 -> 2.10-4", "package hello: 1 of its files differ"]),
    "package gone": (lambda disk: disk.put("/var/lib/dpkg/status", b""), ["package hello: removed, 2.10-3"]),
    "partition's name": (sfdisk("--part-label", "toor"), [
        "partition root: removed", "partition toor: added, SIZE of type root"]),
    "partition's type": (sfdisk("--part-type", "0fc63daf-8483-4772-8e79-3d69d8477de4"), [
        "partition root: type root -> linux"]),
    "label": (lambda disk: disk.debugfs("ssv volume_name other"), ["partition root: label root -> other"]),
    "boot code": (lambda disk: disk.write(0, b"\xeb\xfe"), ["disk boot code: none -> code of its own"]),
}  # fmt: skip
"""A change, and what is told of it."""


@pytest.mark.parametrize("name", CHANGES)
def test_one_known_thing_is_told_by_what_it_means(whole: WholeDisk, disk: WholeDisk, name: str) -> None:
    """And nothing else is told; what is the same, not at all."""
    change, expected = CHANGES[name]
    change(disk)
    told = compared(whole, disk)
    assert [re.sub(r"added, \d+M", "added, SIZE", line) for line in told] == expected


def test_it_is_told_both_ways(whole: WholeDisk, disk: WholeDisk) -> None:
    """What was added in one is removed in the other."""
    disk.debugfs("write /dev/null /etc/new")
    assert compared(disk, whole) == ["/etc/new: removed, file of 0 bytes"]


def test_only_installed_packages_count() -> None:
    """Not those of which the configuration alone is left."""
    assert dpkg(STATUS) == {"hello": "2.10-3"}
    assert dpkg(b"") == dpkg(b"\n\n\nno: field\n") == {}
