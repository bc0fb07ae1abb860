"""The declared system: names, machine-id, host keys and fstab, through the real stage."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import hosts

from tests.support.tree_build import EPOCH, TreeBuild, text

UNIT = "usr/lib/systemd/system"
ETC = "etc/systemd/system"
LARGEST = "01234567-89ab-cdef-0123-456789abcdef"
SSHD = {
    "./usr/sbin/sshd": b"elf",
    f"./{UNIT}/ssh.service": b"[Install]\nWantedBy=multi-user.target\n",
    f"./{UNIT}/ssh@.service": b"[Service]\n",
}


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    made = TreeBuild(tmp_path, monkeypatch)
    made.base()
    return made


def test_the_guest_has_the_recipes_name(build: TreeBuild) -> None:
    """Without a word the guest is named as the recipe, and knows its own address."""
    tree = build.tree("")
    assert text(tree, "etc/hostname") == "x\n"
    assert "127.0.1.1\tx\n" in text(tree, "etc/hosts")
    assert text(tree, "etc/hosts").startswith("127.0.0.1\tlocalhost\n")


def test_a_full_name(build: TreeBuild) -> None:
    """A name with dots is the full one; the short one is the host's, further names go behind."""
    tree = build.tree("system: {hostname: db.example.org, hosts: {peer: 192.0.2.7, six: '2001:db8::1'}}")
    assert text(tree, "etc/hostname") == "db\n"
    assert "127.0.1.1\tdb.example.org db\n" in text(tree, "etc/hosts")
    assert text(tree, "etc/hosts").endswith("192.0.2.7\tpeer\n2001:db8::1\tsix\n")


def test_a_layers_hosts_stay() -> None:
    """Lines that a layer brought stay, but for another name of the guest itself."""
    found = hosts.with_names("# mine\n127.0.0.1 localhost\n127.0.1.1 old\n192.0.2.1 gate\n", "new", [])
    assert found == "# mine\n127.0.0.1 localhost\n127.0.1.1\tnew\n192.0.2.1 gate\n"


@pytest.mark.parametrize(
    ("wanted", "content"),
    [("empty", ""), ("none", None), ("0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef\n")],
)
def test_the_machine_id(wanted: str, content: str | None, build: TreeBuild) -> None:
    """V12: the machine-id is an empty file, no file, or the one given; a layer's is not kept by accident."""
    tree = build.tree(f"layers: [files: {{/etc/machine-id: {{content: leaked}}}}]\nsystem: {{machine_id: {wanted}}}")
    assert tree.text("etc/machine-id") == content


def test_host_keys_are_made_on_first_boot(build: TreeBuild) -> None:
    """V18: no host key is in the image, and what serves ssh, per connection too, waits for them to be made."""
    build.base({**SSHD, "./etc/ssh/ssh_host_rsa_key": b"key", "./etc/ssh/ssh_host_rsa_key.pub": b"pub"})
    tree = build.tree("")
    assert tree.names("etc/ssh") == []
    assert "ExecStart=/usr/bin/ssh-keygen -A\n" in text(tree, f"{ETC}/ssh-host-keys.service")
    assert tree.resolve(f"{ETC}/multi-user.target.wants/ssh-host-keys.service") == f"{ETC}/ssh-host-keys.service"
    for server in ("ssh.service", "ssh@.service"):
        assert "After=ssh-host-keys.service\n" in text(tree, f"{ETC}/{server}.d/ssh-host-keys.conf")
    assert tree.find(f"{ETC}/sshd.service.d") is None


@pytest.mark.parametrize(("wanted", "kept"), [("keep", ["moduli", "ssh_host_x_key"]), ("none", ["moduli"])])
def test_host_keys_otherwise(wanted: str, kept: list[str], build: TreeBuild) -> None:
    """Kept host keys stay, removed ones go; neither adds a unit, and nothing else in /etc/ssh is touched."""
    build.base({**SSHD, "./etc/ssh/ssh_host_x_key": b"key", "./etc/ssh/moduli": b"m"})
    tree = build.tree(f"system: {{ssh_host_keys: {wanted}}}")
    assert tree.names("etc/ssh") == kept
    assert tree.find(f"{ETC}/ssh-host-keys.service") is None


def test_host_keys_need_systemd(build: TreeBuild) -> None:
    """A tree with sshd and without systemd must be told what to do about host keys."""
    build.base(SSHD)
    with pytest.raises(StageError, match="first-boot needs systemd"):
        build.tree("layers: [remove: [/usr/lib/systemd/systemd]]")


def test_a_guest_that_hibernated_is_found_in_the_largest_swap(build: TreeBuild) -> None:
    """Where initramfs-tools looks for it; one that is still locked then, or that fstab has not, is none."""
    a, b = "fs: swap, size: 1M", f"fs: swap, size: 2M, uuid: {LARGEST}"
    locked = "fs: swap, size: 20M, encrypt: {passphrase: {env: WORD}}"
    disk = "disk: {partitions: {esp: {}, root: {mount: /}, a: {%s}, b: {%s}, c: {%s}}}\n"
    build.base({"./etc/initramfs-tools/modules": b""})
    tree = build.tree(disk % (a, b, locked))
    assert text(tree, "etc/initramfs-tools/conf.d/resume") == f"RESUME=UUID={LARGEST}\n"
    assert build.tree(disk % (a, b, locked) + "system: {fstab: none}").names("etc/initramfs-tools") == ["modules"]
    assert build.tree(disk % (locked, locked, locked)).names("etc/initramfs-tools") == ["modules"]
    build.base()
    assert not build.tree(disk % (a, b, locked)).names("etc/initramfs-tools")


DISK = """
disk:
  partitions:
    root: {mount: /, uuid: 11111111-2222-3333-4444-555555555555, options: "rw,noatime"}
    esp: {mount: /boot/efi, uuid: ABCD-1234}
    data: {mount: /srv/data, label: MY DATA}
    raw: {fs: none, size: 1M}
"""


def rows(fstab: str) -> list[list[str]]:
    return [line.split() for line in fstab.splitlines() if not line.startswith("#")]


def test_fstab_names_filesystems_by_uuid(build: TreeBuild) -> None:
    """C4: every mounted filesystem by its UUID, FAT too; / is checked first, FAT never; parents before children."""
    tree = build.tree(DISK)
    data = build.recipe(DISK).disk.partitions["data"]
    assert rows(text(tree, "etc/fstab")) == [
        ["UUID=11111111-2222-3333-4444-555555555555", "/", "ext4", "rw,noatime", "0", "1"],
        ["UUID=ABCD-1234", "/boot/efi", "vfat", "defaults,umask=0077,nofail", "0", "0"],
        [f"UUID={data.uuid}", "/srv/data", "ext4", "defaults", "0", "2"],
    ]


def test_a_partition_that_comes_late_does_not_end_the_boot(build: TreeBuild) -> None:
    """Mounts that a system comes up without may fail; no user reads FAT; what the recipe writes counts alone."""
    wanted = {
        "/boot": ("ext4", "defaults,nofail"),
        "/boot/efi": ("vfat", "defaults,umask=0077,nofail"),
        "/home": ("ext4", "defaults,nofail"),
        "/var": ("ext4", "defaults"),
        "/usr/local": ("ext4", "defaults"),
        "/data": ("ext4", "noatime"),
    }
    parts = "".join(
        f"    p{number}: {{mount: {mount}, fs: {fs}{', options: noatime' if mount == '/data' else ''}}}\n"
        for number, (mount, (fs, _)) in enumerate(wanted.items())
    )
    tree = build.tree(f"disk:\n  partitions:\n    root: {{mount: /}}\n{parts}boot: {{loader: grub-efi}}\n")
    found = {row[1]: (row[2], row[3]) for row in rows(text(tree, "etc/fstab"))}
    assert found == {"/": ("ext4", "defaults"), **wanted}


def test_fstab_by_other_names(build: TreeBuild) -> None:
    """Partition UUIDs and labels name the same filesystems; a blank in a label is written as fstab wants it."""
    parts = build.recipe(DISK).disk.partitions
    expected = {
        "partuuid": [f"PARTUUID={parts[name].partuuid}" for name in ("root", "esp", "data")],
        "label": ["LABEL=root", f"LABEL={parts['esp'].label}", "LABEL=MY\\040DATA"],
    }
    for by, names in expected.items():
        found = rows(text(build.tree(f"{DISK}system: {{fstab: {by}}}"), "etc/fstab"))
        assert [row[0] for row in found] == names


def test_fstab_is_left_alone(build: TreeBuild) -> None:
    """With `fstab: none` a layer's own stays."""
    tree = build.tree("layers: [files: {/etc/fstab: {content: mine}}]\nsystem: {fstab: none}")
    assert text(tree, "etc/fstab") == "mine"


def test_mount_points_are_there(build: TreeBuild) -> None:
    """C10: every mount point has its directory."""
    tree = build.tree(DISK)
    assert {tree.entries[path][1].type for path in ("boot/efi", "srv/data")} == {"d"}


def test_everything_is_of_the_builds_time(build: TreeBuild) -> None:
    """The layer carries the lock's date, not the clock's."""
    build.base(SSHD)
    build.tree("system: {users: {ann: {}}}")
    assert {entry.mtime for entry in build.added("system").values()} == {EPOCH}
