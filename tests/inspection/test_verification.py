"""verify: every check passes a disk that is as it should be, and names what was spoilt."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.inspection import other_outputs, verification
from bootsmith.tasks.planning.expectation import expected
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import readback
from bootsmith.tasks.recipe.keys import verify
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.recipe import Verify

from tests.support.recipe_folder import SOURCE
from tests.support.single_stage import run_stage
from tests.support.tar_members import member
from tests.support.whole_disk import RECIPE, UNITS, WholeDisk

ENTRY = "loader/entries/default.conf"


def test_a_disk_that_is_as_it_should_be_passes(whole: WholeDisk) -> None:
    """Every check is made, by the recipe and by what was read back (V13)."""
    found = whole.verdicts()
    assert tuple(found) == tuple(verification.CHECKS) == verify.CHECKS
    assert not [each for each in found.values() if each.wrong or (not each.made and each.check != "verity")]
    said = verification.to_text("box.raw", [*found.values()])
    assert said.endswith("box.raw: 14 checks passed")
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
    "anybody without one": (lambda disk: disk.put("/etc/shadow", b"root:*:1::::::\nann:!:1::::::\neve::1::::::\n"),
                            "passwords", "eve can log in without a password"),
    "host keys": (lambda disk: disk.put("/etc/ssh/ssh_host_rsa_key", b"key"), "ssh-host-keys", "every machine"),
    "a dangling unit": (lambda disk: disk.debugfs("rm /usr/lib/systemd/system/on.service"), "services",
                        "leads to /usr/lib/systemd/system/on.service, which is not there"),
    "a full name gone": (lambda disk: disk.put("/etc/hosts", b"127.0.0.1 localhost\n"), "hostname",
                         "/etc/hosts does not name box.example.com"),
    "another language": (lambda disk: disk.put("/etc/locale.conf", b"LANG=C\n"), "settings", "LANG=de_DE.UTF-8"),
    "another time": (lambda disk: disk.debugfs("rm /etc/localtime", "symlink /etc/localtime /usr/share/zoneinfo/UTC"),
                     "settings", "leads to /usr/share/zoneinfo/UTC, the recipe says Europe/Berlin"),
    "another keyboard": (lambda disk: disk.put("/etc/vconsole.conf", b"KEYMAP=us\n"), "settings", "says de"),
    "other name servers": (lambda disk: disk.put("/etc/resolv.conf", b"nameserver 192.0.2.5\n"), "settings",
                           "nothing says to ask 192.0.2.53"),
    "a module gone": (lambda disk: disk.put("/etc/modules-load.d/declared.conf", b"zfs\n"), "settings", "nbd is not"),
    "another setting": (lambda disk: disk.put("/etc/sysctl.d/99-system.conf", b"kernel.panic = 1\n"), "settings",
                        "kernel.panic is not set to 10"),
    "a group gone": (lambda disk: disk.put("/etc/group", b"root:x:0:\n"), "accounts", "there is no group team"),
    "a group's other number": (lambda disk: disk.put("/etc/group", b"team:x:4001:ann\n"), "accounts", "number 4001"),
    "not of a group": (lambda disk: disk.put("/etc/group", b"team:x:4000:\n"), "accounts", "ann is not of the group"),
    "nobody by sudo": (lambda disk: disk.debugfs("rm /etc/sudoers.d/declared-ann"), "accounts", "does not let ann"),
    "anybody by sudo": (lambda disk: disk.debugfs("sif /etc/sudoers.d/declared-ann mode 0100666"), "accounts",
                        "may be written by others"),
    "a first boot gone": (lambda disk: disk.debugfs("rm /usr/lib/bootsmith/first-boot"), "starts", "first-boot is not"),
    "a root that would not grow": (lambda disk: disk.debugfs(f"rm /{UNITS}/local-fs.target.wants/grow-root.service"),
                                   "starts", "grow-root.service is not started"),
    "a console that asks": (lambda disk: disk.debugfs(f"rm /{UNITS}/getty@.service.d/autologin.conf"), "starts",
                            "no console logs root in"),
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


def test_what_a_system_mends_by_itself_is_not_wrong(disk: WholeDisk) -> None:
    """A directory that systemd makes to mount at, a unit that is elsewhere, and in a foreign image one that is gone."""
    disk.debugfs(
        "mkdir /usr/lib/systemd", "symlink /usr/lib/systemd/systemd ../../sbin/init", "rmdir /boot/efi",
        f"rm /{UNITS}/multi-user.target.wants/on.service",
        f"symlink /{UNITS}/multi-user.target.wants/on.service /lib/gone/on.service",
    )  # fmt: skip
    found = disk.verdicts()
    disk.debugfs("rm /usr/lib/systemd/system/on.service")
    alone = disk.verdicts(alone=True)
    assert [each.check for each in (found["fstab"], found["services"], alone["services"]) if each.wrong] == ["fstab"]
    disk.debugfs("symlink /lib usr/lib")
    assert disk.verdicts()["fstab"].wrong == ()
    assert "which is not there" in disk.verdicts()["services"].wrong[0]


def test_the_root_is_the_partition_that_the_recipe_says(disk: WholeDisk, tmp_path: Path) -> None:
    """Another system before it, such as a rescue image, is not judged; nor is any, where that one is locked."""
    other = tmp_path / "rescue.img"
    for path in ("rescue/etc/x", "rescue/bin"):
        (tmp_path / path).mkdir(parents=True)
    argv = ["mke2fs", "-q", "-t", "ext4", "-d", tmp_path / "rescue", other, "8M"]
    subprocess.run(argv, check=True, capture_output=True)
    disk.write(disk.start("esp"), other.read_bytes())
    assert not any(disk.verdicts()[name].wrong for name in ("hostname", "machine-id", "passwords", "settings"))
    assert disk.verdicts(alone=True)["fstab"].about == "there is none, or it is empty"
    disk.write(disk.start("root"), b"LUKS\xba\xbe\x00\x02".ljust(4096, b"\0"))
    assert [each.made for each in disk.verdicts().values()].count(False) >= len(verification.system_checks.CHECKS)
    assert disk.verdicts()["hostname"].about == "no system on it that can be read"


@pytest.mark.parametrize(
    ("fs", "features", "told"),
    [
        ("ext4", "none", "root ext2"),
        ("ext4", "^extents,^64bit,^flex_bg", "root ext3"),
        ("ext3", "^has_journal", "root ext2"),
        ("ext2", "has_journal", "root ext3"),
        ("ext2", "extents", "root ext4"),
    ],
)
def test_the_features_of_an_ext_are_its_recipe_s(tmp_path: Path, fs: str, features: str, told: str) -> None:
    """With other ones than usual it looks like another ext, and is the same filesystem."""
    root = f"mount: /, extra: 40M, fs: {fs}, features: {json.dumps(features.split(','))}"
    disk = WholeDisk.make(tmp_path, recipe=RECIPE.replace("mount: /, extra: 40M", root))
    found = disk.verdicts()
    assert told in found["filesystems"].about
    assert not [each for each in found.values() if each.wrong]
    disk.debugfs("ssv uuid 11111111-2222-3333-4444-555555555555")
    assert (
        f"the recipe's has {fs} {disk.recipe.disk.partitions['root'].uuid}" in disk.verdicts()["filesystems"].wrong[0]
    )


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("UUID=11111111-2222-3333-4444-555555555555 /srv ext4 nofail 0 2", ""),
        ("LABEL=cd /media/cd iso9660 ro,noauto 0 0", ""),
        ("/dev/sr0 /media/cd udf,iso9660 user,noauto 0 0", ""),
        ('PARTLABEL="root" / ext4 defaults 0 1', ""),
        ("PARTLABEL='esp' /boot/efi vfat defaults 0 1", ""),
        ("devpts /dev/pts devpts defaults 0 0", ""),
        ("debugfs /sys/kernel/debug debugfs defaults 0 0", ""),
        ("/dev/sdb1 /home ext4 defaults 0 2\n/dev/sdb2 /home/data ext4 defaults 0 2", ""),
        ("LABEL=cd /home iso9660 ro 0 0", "LABEL=cd is to be mounted at /home, and no partition is called so"),
        ('PARTLABEL="toor" / ext4 defaults 0 1', 'PARTLABEL="toor" is to be mounted at /, and no partition'),
        ('PARTLABEL="esp" / vfat nofail 0 1', "partition 1 is to be mounted at /, and the system is on 2"),
        ("PARTLABEL=esp /efi vfat nofail 0 1", "PARTLABEL=esp is to be mounted at /efi, which is no directory"),
        ("tmpfs /scratch tmpfs defaults 0 0", "tmpfs is to be mounted at /scratch, which is no directory"),
        ("/dev/sdb1 /ho ext4 defaults 0 2\n/dev/sdb2 /hot ext4 defaults 0 2", "/hot, which is no directory"),
        (
            "PARTLABEL=esp /boot/efi vfat defaults 0 2\ntmpfs /boot/efi/x tmpfs defaults 0 0",
            "/x, which is no directory",
        ),
    ],
)
def test_a_system_s_own_fstab_may_be_about_more_than_the_disk(disk: WholeDisk, line: str, wrong: str) -> None:
    """What need not be there may be elsewhere, and names may stand in quotes; what is needed must be there."""
    disk.put("/etc/fstab", f"{line}\n".encode())
    found = disk.verdicts()["fstab"].wrong
    assert wrong in "".join(found)
    assert bool(found) is bool(wrong)


STALE = b"""
menuentry 'Debian' {
  search --no-floppy --fs-uuid --set=root 11111111-2222-3333-4444-555555555555
  linux /boot/vmlinuz-6.1 root=PARTUUID=11111111-2222-3333-4444-555555555555 ro
}
"""


@pytest.mark.parametrize(
    ("loader", "path"), [("systemd-boot", "boot/grub/grub.cfg"), ("grub-efi", "boot/grub2/grub.cfg")]
)
def test_menus_that_no_loader_reads_are_told_at_most(tmp_path: Path, loader: str, path: str) -> None:
    """A tree may bring the menu of the machine that it comes from; alone, nobody knows who reads it."""
    folders = {f"{parent}": member("d") for parent in reversed(Path(path).parents) if parent.name}
    disk = WholeDisk.make(tmp_path, loader, tree={**folders, path: STALE})
    found = disk.verdicts()
    assert not [each for each in found.values() if each.wrong]
    assert found["loader"].about == "for UEFI, 1 entry, 1 in menus that nobody reads"
    assert "names /boot/vmlinuz-6.1 on a filesystem that is not there" in disk.verdicts(alone=True)["loader"].wrong[0]


def test_the_loader_s_own_menu_is_judged_wherever_it_is_read(disk: WholeDisk) -> None:
    """An entry of another machine's beside ours is shown too."""
    disk.put_fat("loader/entries/old.conf", b"linux /gone\noptions root=LABEL=gone\n")
    found = disk.verdicts()
    assert found["loader"].wrong == ("systemd-boot's entry old.conf names /gone, which is not there",)
    assert found["root"].wrong == ("systemd-boot's entry old.conf says root=LABEL=gone, which no partition is",)


@pytest.mark.parametrize("loader", ["systemd-boot", "grub-efi", "syslinux", "efistub", "grub-bios"])
@pytest.mark.parametrize(
    ("initrd", "wrong"), [("initrd", False), ("auto", True), ("none", True)], ids=("own", "auto", "none")
)
def test_an_initrd_of_ones_own_may_start_anything(tmp_path: Path, loader: str, initrd: str, *, wrong: bool) -> None:
    """No init is demanded of its root; without it, or by the usual one, it is."""
    recipe = f"{RECIPE.rstrip()[:-1]}, initrd: {initrd}}}\n"
    disk = WholeDisk.make(tmp_path, loader, recipe, {"usr/sbin/init": None})
    found = disk.verdicts()["root"]
    assert bool(found.wrong) is wrong
    assert ("has nothing to start" in found.about) is not wrong


@pytest.mark.parametrize("loader", ["systemd-boot", "grub-efi", "syslinux"])
def test_what_a_root_must_hold_is_asked_entry_by_entry(tmp_path: Path, loader: str) -> None:
    """One entry's own initrd says nothing of another entry."""
    entries = "entries: {rescue: {title: Rescue me, initrd: initrd}, usual: {title: As ever}}, default: rescue"
    disk = WholeDisk.make(tmp_path, loader, f"{RECIPE.rstrip()[:-1]}, {entries}}}\n", {"usr/sbin/init": None})
    found = disk.verdicts()["root"]
    assert len(found.wrong) == 1
    assert re.search("entry (usual|As ever)", found.wrong[0])
    assert re.search("entry (rescue|Rescue me)", found.about)


def test_a_recipe_may_demand_more_or_less(whole: WholeDisk) -> None:
    """`verify.min_free` of the root, and checks that are not made (W14)."""
    asked = replace(whole.recipe, verify=Verify(10 << 30, ("hostname", "table")))
    found = WholeDisk(whole.raw, asked).verdicts()
    assert "10G were promised" in found["free-space"].wrong[0]
    assert [name for name, each in found.items() if not each.made] == ["table", "hostname", "verity"]


@pytest.mark.parametrize("name", ["a full root", "a damaged root", "a wrong root="])
def test_a_disk_that_is_not_what_it_should_be_does_not_count_as_built(
    disk: WholeDisk, name: str, tmp_path: Path
) -> None:
    """The stage says what is wrong, and of which check; of a whole disk it writes what was seen (V13)."""
    site = Site("x", tmp_path / "build/x", tmp_path / "x.lock", 1)
    *_, stage = readback.stages(disk.recipe, site)
    stage = stage._replace(inputs={"disk": disk.raw})
    run_stage(stage, tmp_path / "one")
    assert len(json.loads(site.verdicts.read_text())) == len(verify.CHECKS)
    spoil, check, words = SPOILT[name]
    spoil(disk)
    with pytest.raises(StageError, match="read back, the disk is not what the recipe says") as caught:
        run_stage(stage, tmp_path / "two")
    assert re.search(f"  {check}: .*{re.escape(words)}", caught.value.message)
    assert readback.stages(replace(disk.recipe, verify="off"), site) == ()


def test_a_filesystem_beside_the_root_is_checked_once(disk: WholeDisk, tmp_path: Path) -> None:
    """It has a stage of its own, which looks at the partition before it is on the disk."""
    site = Site("x", tmp_path / "build/x", tmp_path / "x.lock", 1)
    stage, whole = readback.stages(disk.recipe, site)
    assert (stage.name, whole.tools) == ("readback/esp", ("e2fsck",))
    assert set(stage.outputs.values()) < set(whole.inputs.values())
    image = tmp_path / "esp.img"
    with disk.raw.open("rb") as raw:
        raw.seek(disk.start("esp"))
        image.write_bytes(raw.read(64 << 20))
    stage = stage._replace(inputs={"image": image})
    run_stage(stage, tmp_path / "one")
    with image.open("r+b") as file:
        file.seek(32 * 512 + 8)
        file.write(b"\xff\xff\xff\x01" * 4)
    with pytest.raises(StageError, match=r"the filesystem is damaged: fsck\.vfat: "):
        run_stage(stage, tmp_path / "two")
    skipping = replace(disk.recipe, verify=Verify(None, ("filesystems",)))
    assert [each.tools for each in readback.stages(skipping, site)] == [()]


@pytest.mark.parametrize(
    ("root", "free"),
    [
        ("extra: 8M", 8 << 20),
        ("extra: 0M", 0),
        ("size: 600M", None),
        ("size: 600M, extra: 100M", 100 << 20),
    ],
)
def test_what_is_to_be_left_in_a_root(tmp_path: Path, root: str, free: int | None) -> None:
    """What its recipe promises; where it only has a size, some (W14)."""
    file = tmp_path / "x.yaml"
    disk = f"disk: {{partitions: {{root: {{mount: /, {root}}}}}}}\n"
    file.write_text(f"{SOURCE}boot: {{loader: grub-bios}}\n{disk}")
    assert expected(load(file)).partitions[0].free == free


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
    (found,) = other_outputs.outputs(disk.raw, [image])
    assert (found.about, found.wrong) == ("qcow2, the same disk", ())
    disk.write(disk.start("root") + (8 << 20), b"changed")
    (found,) = other_outputs.outputs(disk.raw, [image])
    assert "Content mismatch" in found.wrong[0] or "not the same disk" in found.wrong[0]
    image.write_bytes(image.read_bytes()[:300_000])
    (found,) = other_outputs.outputs(disk.raw, [image])
    assert found.wrong


def test_verdicts_are_data_too(whole: WholeDisk) -> None:
    """For programs."""
    text = json.dumps([each._asdict() for each in whole.verdicts().values()])
    assert json.loads(text)[0] == {"check": "table", "about": "gpt, 2 partitions", "wrong": [], "made": True}
