"""verify: every check passes a disk that is as it should be, and names what was spoilt."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.inspection import verification
from bootsmith.tasks.recipe.keys import verify
from bootsmith.tasks.recipe.model.recipe import Verify

from tests.support.whole_disk import UNITS, WholeDisk

ENTRY = "loader/entries/default.conf"


def test_a_disk_that_is_as_it_should_be_passes(whole: WholeDisk) -> None:
    """Every check is made, by the recipe and by what was read back (V13)."""
    found = whole.verdicts()
    assert tuple(found) == tuple(verification.CHECKS) == verify.CHECKS
    assert not [each for each in found.values() if each.wrong or not each.made]
    said = verification.to_text("box.raw", [*found.values()])
    assert said.endswith("box.raw: 11 checks passed")
    assert "ok    filesystems    esp FAT32, root ext4" in said


@pytest.mark.parametrize("loader", ["grub-efi", "syslinux", "efistub", "grub-bios"])
def test_every_loader_s_entries_are_understood(tmp_path: Path, loader: str) -> None:
    """What each shows is found in its own files, root= among it, and the kernels that it names."""
    disk = WholeDisk.make(tmp_path, loader)
    found = disk.verdicts()
    assert found["root"].about.startswith("PARTUUID="), found["root"]
    assert not [each for each in found.values() if each.wrong]
    assert found["loader"].about.endswith("1 entry")


def test_without_a_recipe_what_holds_for_every_image_is_checked(whole: WholeDisk) -> None:
    """A file that somebody else made is judged by itself."""
    found = whole.verdicts(alone=True)
    assert [name for name, each in found.items() if each.made] == [
        "table", "filesystems", "loader", "root", "fstab", "services",
    ]  # fmt: skip
    assert not any(each.wrong for each in found.values())


def empty(disk: WholeDisk) -> None:
    for name in ("esp", "root"):
        disk.write(disk.start(name), bytes(1 << 20))


def entry(old: bytes, new: bytes) -> Callable[[WholeDisk], None]:
    def change(disk: WholeDisk) -> None:
        disk.put_fat(ENTRY, disk.mtools("mtype", f"::{ENTRY}").replace(old, new))

    return change


def truncate(path: str) -> Callable[[WholeDisk], None]:
    def change(disk: WholeDisk) -> None:
        listed = disk.mtools("mdir", "-/", "-b", "::").decode().split()
        (found,) = (each for each in listed if each.endswith(path))
        disk.put_fat(found.removeprefix("::"), b"")

    return change


def delete(path: str) -> Callable[[WholeDisk], None]:
    def change(disk: WholeDisk) -> None:
        listed = disk.mtools("mdir", "-/", "-b", "::").decode().split()
        for found in listed:
            if found.lower().endswith(path.lower()):
                disk.mtools("mdel", found)

    return change


SPOILT: dict[str, tuple[Callable[[WholeDisk], None], str, str]] = {
    "backup table": (lambda disk: disk.write(-512, bytes(512)), "table", "backup GPT: no header"),
    "another disk's table": (lambda disk: subprocess.run(
        ["sfdisk", "--disk-id", disk.raw, "11111111-2222-3333-4444-555555555555"], check=True, capture_output=True),
        "table", "the recipe's is gpt"),
    "another type": (lambda disk: subprocess.run(
        ["sfdisk", "--part-type", disk.raw, "2", "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"], check=True,
        capture_output=True), "table", "partition root has the type swap"),
    "another name": (lambda disk: subprocess.run(
        ["sfdisk", "--part-label", disk.raw, "2", "toor"], check=True, capture_output=True), "table", "is called toor"),
    "empty partitions": (empty, "filesystems", "partition root is empty, the recipe's has ext4"),
    "a damaged root": (lambda disk: disk.debugfs("clri /etc/motd"), "filesystems",
                       "e2fsck finds partition root damaged"),
    "a damaged ESP": (lambda disk: disk.write(disk.start("esp") + 32 * 512 + 8, b"\xff\xff\xff\x01" * 4),
                      "filesystems", "fsck.vfat finds partition esp damaged"),
    "another UUID": (lambda disk: disk.debugfs("ssv uuid 11111111-2222-3333-4444-555555555555"), "filesystems",
                     "partition root holds ext4 11111111"),
    "no loader": (delete("bootx64.efi"), "loader", "nothing on it is what UEFI firmware starts"),
    "no kernel": (delete("/linux"), "loader", "/linux, which is not there"),
    "an empty initrd": (truncate("/initrd"), "loader", "/initrd, which is empty"),
    "no entry": (delete("default.conf"), "loader", "there is no entry that a loader could start"),
    "an initrd that is none": (lambda disk: disk.put_fat(disk.mtools("mtype", f"::{ENTRY}").decode().split(
        "initrd ")[1].split()[0], b"words"), "loader", "/initrd, which is no initrd"),
    "a wrong root=": (entry(b"PARTUUID=", b"PARTUUID=0"), "root", "which no partition is"),
    "no init": (lambda disk: disk.debugfs("rm /usr/sbin/init"), "root", "nothing to start, no /sbin/init"),
    "init that cannot be executed": (lambda disk: disk.debugfs("sif /usr/sbin/init mode 0100644"), "root",
                                     "no /sbin/init"),
    "fstab of another disk": (lambda disk: disk.put("/etc/fstab", b"UUID=nobody / ext4 defaults 0 1\n"), "fstab",
                              "UUID=nobody is to be mounted at /, and no partition is called so"),
    "no mount point": (lambda disk: disk.debugfs("rmdir /boot/efi"), "fstab", "at /boot/efi, which is no directory"),
    "a full root": (lambda disk: disk.debugfs("ssv free_blocks_count 100"), "free-space", "40M were promised"),
    "another name of the host": (lambda disk: disk.put("/etc/hostname", b"other\n"), "hostname", "says other"),
    "a machine's id": (lambda disk: disk.put("/etc/machine-id", b"0" * 32 + b"\n"), "machine-id", "not empty"),
    "no file for a machine's id": (lambda disk: disk.debugfs("rm /etc/machine-id"), "machine-id", "not there"),
    "root with a password": (lambda disk: disk.put("/etc/shadow", b"root:$6$x:1::::::\n"), "passwords", "is set"),
    "anybody without one": (lambda disk: disk.put("/etc/shadow", b"root:*:1::::::\nann::1::::::\n"), "passwords",
                            "ann can log in without a password"),
    "host keys": (lambda disk: disk.put("/etc/ssh/ssh_host_rsa_key", b"key"), "ssh-host-keys", "every machine"),
    "a dangling unit": (lambda disk: disk.debugfs("rm /usr/lib/systemd/system/on.service"), "services",
                        "leads to /usr/lib/systemd/system/on.service, which is not there"),
    "a unit unmasked": (lambda disk: disk.debugfs(f"rm /{UNITS}/noise.service"), "services",
                        "noise.service is not masked"),
    "a unit enabled": (lambda disk: disk.debugfs(
        "write /dev/null /usr/lib/systemd/system/idle.service",
        f"symlink /{UNITS}/idle.service /usr/lib/systemd/system/idle.service"), "services", "idle.service is enabled"),
}  # fmt: skip
"""How a disk is spoilt, the check that says so, and in which words."""


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_spoilt_is_named(disk: WholeDisk, name: str) -> None:
    """Each check fails by itself, in words that name the place (V13)."""
    spoil, check, words = SPOILT[name]
    spoil(disk)
    found = disk.verdicts()
    assert any(words in line for line in found[check].wrong), found
    assert "checks failed" in verification.to_text("x", [*found.values()])


def test_a_recipe_may_demand_more_or_less(whole: WholeDisk) -> None:
    """`verify.min_free` of the root, and checks that are not made (W14)."""
    asked = replace(whole.recipe, verify=Verify(10 << 30, ("hostname", "table")))
    found = WholeDisk(whole.raw, asked).verdicts()
    assert "10G were promised" in found["free-space"].wrong[0]
    assert [name for name, each in found.items() if not each.made] == ["table", "hostname"]


@pytest.mark.parametrize(("field", "wrong"), [("!", ""), ("*", ""), ("$6$x$y", "is locked, the recipe's set")])
def test_a_password_s_hash_may_lock(whole: WholeDisk, field: str, wrong: str) -> None:
    """It is what it does that counts: a hash that nothing matches is a locked password."""
    system = whole.recipe.system
    assert system != "none"
    users = {name: replace(user, password=Secret(hash=field)) for name, user in system.users.items()}
    asked = replace(whole.recipe, system=replace(system, users=users))
    found = WholeDisk(whole.raw, asked).verdicts()["passwords"]
    assert wrong in "".join(found.wrong)
    assert bool(found.wrong) is bool(wrong)


def test_outputs_hold_the_same_disk(disk: WholeDisk, tmp_path: Path) -> None:
    """Every output is verified, not only the raw (V20): a changed one, and one that is cut short, are named."""
    image = tmp_path / "x.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", disk.raw, image], check=True)
    (found,) = verification.outputs(disk.raw, [image])
    assert (found.about, found.wrong) == ("qcow2, the same disk", ())
    disk.write(disk.start("root") + (8 << 20), b"changed")
    (found,) = verification.outputs(disk.raw, [image])
    assert "Content mismatch" in found.wrong[0] or "not the same disk" in found.wrong[0]
    image.write_bytes(image.read_bytes()[:300_000])
    (found,) = verification.outputs(disk.raw, [image])
    assert found.wrong


def test_verdicts_are_data_too(whole: WholeDisk) -> None:
    """For programs."""
    text = json.dumps([each._asdict() for each in whole.verdicts().values()])
    assert json.loads(text)[0] == {"check": "table", "about": "gpt, 2 partitions", "wrong": [], "made": True}
