"""Filled partitions: the same bytes however they were reached, and what the recipe and the layers say."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.tasks.disk.ext import libext2fs
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.recipe.checks.mkfs import FEATURES
from bootsmith.tasks.tree import acl, foreign_tar
from bootsmith.tasks.tree.layer import LayerWriter

from tests.support.disk_build import VERSION, DiskBuild
from tests.support.ext_image import check, commands, header, read_tree
from tests.support.fat_image import read_fat
from tests.support.kernel_files import efi_program
from tests.support.ordinary_user import ordinary_user
from tests.support.single_stage import run_stage
from tests.support.tar_members import EPOCH, member

EXT4 = {
    "has_journal", "ext_attr", "resize_inode", "dir_index", "filetype", "extent", "64bit", "flex_bg",
    "sparse_super", "large_file", "huge_file", "dir_nlink", "extra_isize", "metadata_csum",
}  # fmt: skip
SMALL = "disk: {partitions: {esp: {size: 64M, mount: /boot/efi}, root: {mount: /, extra: 20M}}}\n"
BASE = {
    "./": member("d"),
    "etc": member("d"),
    "etc/motd": b"hello",
    "usr": member("d"),
    "usr/lib/systemd/boot/efi/systemd-bootx64.efi": efi_program(b"systemd-boot"),
    **{f"usr/{number}": random.Random(number).randbytes(number * 97) for number in range(300)},
    "usr/link": member("h", linkname="usr/299"),
    "boot": member("d"),
    f"boot/vmlinuz-{VERSION}": b"MZ kernel" * 1000,
}


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """A build with a small base layer."""
    made = DiskBuild(tmp_path, monkeypatch, SMALL)
    made.base(BASE)
    return made


def digest(path: Path) -> str:
    """Return the hash of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def scribble(writer: LayerWriter, chance: random.Random) -> None:
    """Fill a layer with additions, replacements and removals."""
    for number in chance.sample(range(400), chance.randrange(1, 60)):
        path = f"usr/{number}"
        match chance.randrange(8):
            case 0 | 1 | 2:
                writer.add_file(path, chance.randbytes(chance.choice([0, 10, 5000, 300_000])))
            case 3:
                writer.add_whiteout(path)
            case 4:
                writer.add_directory(path, chance.choice([0o700, 0o755]))
                writer.add_file(f"{path}/inside", b"%d" % number)
            case 5:
                writer.add_symlink(path, "t" * chance.randrange(1, 200))
            case 6:
                note = chance.randbytes(chance.randrange(500))
                writer.add_file(f"new/{number}/deep/file", b"new", xattrs={"user.x": note})
            case 7:
                writer.add_file("etc/motd", chance.randbytes(20))


def copy_inputs(build: DiskBuild, target: Path) -> None:
    """Copy what the stages under test start from."""
    made = shutil.ignore_patterns("populate", "partition", "bootloader", "*.raw")
    shutil.copytree(build.site.build, target, ignore=made, dirs_exist_ok=True)


@pytest.mark.parametrize("seed", range(4))
def test_a_hundred_edits_end_where_one_build_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Patched again and again, every partition has the bytes of a fresh build of the last state."""
    chance = random.Random(seed)
    build = DiskBuild(tmp_path / "patched", monkeypatch, SMALL)
    build.base(BASE)
    with build.delta("1-overlay") as writer:
        scribble(writer, chance)
    build.raw_disk()
    for step in range(5):
        with build.delta(f"{1 + step % 2}-overlay") as writer:
            scribble(writer, chance)
        build.raw_disk(patch=True)
        check(build.site.partition_image("root"))
    fresh = DiskBuild(tmp_path / "fresh", monkeypatch, SMALL)
    copy_inputs(build, fresh.site.build)
    fresh.layers = [fresh.site.layer(each.name) for each in build.layers]
    fresh.raw_disk()
    for name in ("populate/root.img", "populate/esp.img", "box.raw"):
        assert digest(build.site.build / name) == digest(fresh.site.build / name), name


def lay(build: DiskBuild, files: dict[str, bytes], modes: dict[str, int]) -> None:
    """Make a layer of files, of which the first has a second name."""
    with build.delta("1-overlay") as writer:
        for path, data in files.items():
            writer.add_file(path, data, modes.get(path, 0o644))
        writer.add_hard_link("srv/second name", min(files))


@pytest.mark.parametrize("fs", ["ext4", "ext2"])
def test_files_that_changed_are_written_where_they_stand(
    build: DiskBuild, monkeypatch: pytest.MonkeyPatch, fs: str
) -> None:
    """Other bytes, modes, sizes in as many blocks: no inode is taken, and the bytes are a fresh build's (V11)."""
    chance = random.Random(fs)
    build.write_recipe(SMALL.replace("mount: /,", f"mount: /, fs: {fs},"))
    files = {f"srv/{number % 7}/{number}": chance.randbytes(1 + number * 97) for number in range(200)}
    files |= {"a": b"first", "srv/empty": b"", "usr/3": b"over the base's", "boot/efi/of another partition": b"x"}
    modes: dict[str, int] = {}
    lay(build, files, modes)
    stages = ("bootloader", "partition", "populate/base", "populate/root")
    build.run(*stages)
    image = build.site.partition_image("root")
    monkeypatch.setattr(libext2fs.Volume, "take_inode", None)
    for count in (1, 0, 40, 3):
        for path in chance.sample(sorted(files), count):
            blocks = -(-len(files[path]) // 4096)
            files[path] = chance.randbytes(chance.randint(blocks * 4096 - 4095, blocks * 4096) if blocks else 0)
            modes[path] = chance.choice([0o644, 0o755])
        files[min(files)] = chance.choice([bytes(1), b"1", b"22"])
        lay(build, files, modes)
        build.run("populate/root", patch=True)
        check(image)
    monkeypatch.undo()
    patched = digest(image)
    build.run("populate/root")
    assert digest(image) == patched


@pytest.mark.parametrize(
    "edit", ["larger", "smaller", "emptied", "filled", "gone", "new", "renamed", "shadowed", "folder", "elsewhere"]
)
def test_other_edits_move_what_they_move(build: DiskBuild, edit: str) -> None:
    """Where blocks or names are others, the bytes are those of a fresh build, too."""
    files = {f"srv/{number}": bytes([number]) * number * 400 for number in range(1, 30)} | {
        "srv/empty": b"",
        "boot/efi/a": b"x",
    }
    lay(build, files, {})
    with build.delta("2-overlay") as writer:
        writer.add_file("srv/8", b"what is seen of it")
    build.run("bootloader", "partition", "populate/base", "populate/root")
    before = files["srv/9"]
    files |= {
        "larger": {"srv/9": before + bytes(4096)}, "smaller": {"srv/20": b"x"}, "emptied": {"srv/9": b""},
        "filled": {"srv/empty": b"x"}, "new": {"srv/9a": b"x"}, "renamed": {"srv/9b": before},
        "shadowed": {"srv/8": b"other", "srv/9": b"x" * len(before)}, "folder": {"srv/9/inside": b"x"},
        "elsewhere": {"boot/efi/a": b"y"},
    }.get(edit, {})  # fmt: skip
    if edit in ("gone", "renamed", "folder"):
        files.pop("srv/9")
    lay(build, files, {})
    build.run("populate/root", patch=True)
    image = build.site.partition_image("root")
    check(image)
    patched = digest(image)
    build.run("populate/root")
    assert digest(image) == patched


WITH = {"meta_bg": "^resize_inode", "^extent": "^64bit", "^extents": "^64bit", "^sparse_super": "^resize_inode"}
"""Feature -> what mke2fs wants besides."""
TAKEN_AWAY = [pytest.param(f"^{each}", marks=pytest.mark.soak(whole=1)) for each in FEATURES if each != "ext_attr"]


@pytest.mark.parametrize("feature", [*FEATURES, *TAKEN_AWAY])
def test_each_feature_is_one_that_is_written_right(
    feature: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clean, with what is in the tree and the room that is promised; and patched, the same as made anew (C4)."""
    features = ", ".join(filter(None, (feature, WITH.get(feature))))
    recipe = SMALL.replace("extra: 20M", f"extra: 20M, features: [{features}]")
    build = DiskBuild(tmp_path, monkeypatch, recipe)
    build.base(dict(list(BASE.items())[:50]) | {"gone": bytes(50_000)})
    stages = ("bootloader", "partition", "populate/base", "populate/root")
    for patch, big in ((False, b"one" * 20_000), (True, bytes(range(256)) * 8000)):
        with build.delta("overlay") as writer:
            writer.add_file("big", big)
            writer.add_file("etc/noted", b"x", xattrs={"user.x": bytes(300)})
            if patch:
                writer.add_whiteout("gone")
        build.run(*stages, patch=patch)
        image = build.site.partition_image("root")
        check(image)
        assert commands(image, ["cat big"])[0] == big
    patched, found = digest(image), header(image)
    assert (int(found["Free blocks"]) - int(found["Reserved block count"])) * 4096 >= 20 << 20
    image.unlink()
    build.run("populate/root")
    assert digest(image) == patched


@pytest.mark.parametrize("seed", range(4))
def test_layers_over_the_base_are_the_tree_they_merge_to(build: DiskBuild, seed: int) -> None:
    """The quick way, changing the base's filesystem, and building the merged tree from nothing hold the same files."""
    chance = random.Random(seed)
    for number in range(3):
        with build.delta(f"{number}-overlay") as writer:
            scribble(writer, chance)
    build.write_recipe(SMALL + "boot: {place: esp}\n")
    build.run("partition", "populate/base", "populate/root")
    quick = build.site.partition_image("root")
    stage = build.stages()["populate/root"]
    whole = build.folder / "whole.img"
    inputs = {role: path for role, path in stage.inputs.items() if role != "base"}
    full = stage._replace(
        run="bootsmith.tasks.disk.filesystems:run_ext", inputs=inputs, outputs={"image": whole}, carry=None
    )
    run_stage(full, build.folder / "full")
    check(quick)
    check(whole)
    unnumbered = [
        {path: dataclasses.replace(node, inode=0) for path, node in read_tree(image).items()}
        for image in (quick, whole)
    ]
    assert unnumbered[0] == unnumbered[1]


_AGAIN = """
import os, sys, time
sys.path[:0] = [sys.argv[1] + "/src", sys.argv[1]]
os.umask(0o077)
import pytest, bootsmith
from pathlib import Path
from tests.support.disk_build import DiskBuild
folder = Path(sys.argv[2])
build = DiskBuild(folder, pytest.MonkeyPatch(), sys.argv[3])
for layer in sys.argv[4:]:
    build.layers.append(build.site.layer(layer))
build.raw_disk()
"""


def test_another_user_elsewhere_at_another_time_makes_the_same_bytes(
    build: DiskBuild, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither user, umask, TMPDIR, folder, locale nor clock leaves a trace (V11)."""
    with build.delta("1-overlay") as writer:
        scribble(writer, random.Random(5))
    build.raw_disk()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    user = ordinary_user(elsewhere)
    copy = user.home / "a folder"
    copy_inputs(build, copy / "build/box")
    for path in [copy, *copy.rglob("*")]:
        if os.geteuid() == 0:
            os.chown(path, user.home.stat().st_uid, user.home.stat().st_gid)
        os.utime(path, (1, 1))
    checkout = Path(__file__).resolve().parent.parent.parent
    environment = {
        **os.environ, "TMPDIR": str(user.home), "LC_ALL": "C", "TZ": "Asia/Tokyo", "MKE2FS_CONFIG": "/nowhere",
        "MTOOLSRC": "/nowhere", "SOURCE_DATE_EPOCH": "1",
    }  # fmt: skip
    done = subprocess.run(
        user.command(sys.executable, "-c", _AGAIN, checkout, copy, SMALL, "1-overlay"),
        env=environment, capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in ("populate/root.base.img", "populate/root.img", "populate/esp.img", "partition/table.img", "box.raw"):
        assert digest(build.site.build / name) == digest(copy / "build/box" / name), name


def test_an_older_previous_output_of_any_content_changes_nothing(build: DiskBuild) -> None:
    """What is patched may be anything: shorter, longer, full of noise."""
    build.raw_disk()
    image = build.site.partition_image("root")
    wanted = digest(image)
    for noise in (b"", random.Random(1).randbytes(3 << 20), bytes(image.stat().st_size * 2)):
        image.write_bytes(noise)
        build.run("populate/root", patch=True)
        assert digest(image) == wanted


def test_an_update_of_very_many_names_is_the_same_though_nobody_notes_where_it_writes(
    build: DiskBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To note each write would take longer than to read the file: then it is read (V11)."""
    with build.delta("1-overlay") as writer:
        scribble(writer, random.Random(6))
    build.raw_disk()
    image = build.site.partition_image("root")
    noted = digest(image)
    monkeypatch.setattr(libext2fs, "_MANY", 0)
    build.run("populate/root")
    assert digest(image) == noted


def test_filesystems_carry_the_recipes_label_and_uuid(build: DiskBuild) -> None:
    """What fstab and root= say is what the filesystems are (C4)."""
    build.raw_disk()
    parts = build.recipe.disk.partitions
    found = header(build.site.partition_image("root"))
    assert (found["Filesystem UUID"], found["Filesystem volume name"]) == (parts["root"].uuid, "root")
    blkid = ["blkid", "-p", "-o", "value", "-s", "UUID", "-s", "LABEL"]
    facts = subprocess.run([*blkid, build.site.partition_image("esp")], capture_output=True, check=True, text=True)
    assert sorted(facts.stdout.split()) == sorted(["ESP", parts["esp"].uuid])


def test_no_feature_is_on_that_grub_cannot_read(build: DiskBuild) -> None:
    """Whatever the host's mke2fs would choose by itself."""
    build.raw_disk()
    features = set(header(build.site.partition_image("root"))["Filesystem features"].split())
    assert features == EXT4


def test_times_in_the_superblock_are_the_epoch(build: DiskBuild) -> None:
    """Made, written and checked at the one time the build knows."""
    build.raw_disk()
    found = header(build.site.partition_image("root"))
    when = time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(EPOCH))
    assert {found[key] for key in ("Filesystem created", "Last write time", "Last checked")} == {when}


def test_an_empty_disk_takes_no_room(build: DiskBuild) -> None:
    """256 GiB have 4 GiB of inode tables: what of a filesystem is zeros is holes, in every file on the way (W2)."""
    build.write_recipe("disk: {size: 256G, partitions: {esp: {}, root: {mount: /}}}\n")
    build.run("bootloader", "partition", "populate/base", "populate/root")
    for file in (build.site.partition_image("root"), build.site.base_image("root")):
        assert file.stat().st_blocks * 512 < 16 << 20, file


@pytest.mark.parametrize(("inode_size", "reserved"), [(128, 0), (128, 5), (512, 20), (1024, 5)])
def test_the_form_of_ext_is_the_recipes(build: DiskBuild, inode_size: int, reserved: int) -> None:
    """Inodes and reserved blocks as said; the promised room is beside them, and further words reach mke2fs (C4)."""
    form = f"inode_size: {inode_size}, reserved: {reserved}, mkfs: [-e, remount-ro]"
    build.write_recipe(SMALL.replace("extra: 20M", f"extra: 20M, {form}"))
    build.run("partition", "populate/base", "bootloader", "populate/root")
    found = header(build.site.partition_image("root"))
    assert (found["Inode size"], found["Errors behavior"]) == (str(inode_size), "Remount read-only")
    assert int(found["Reserved block count"]) == int(found["Block count"]) * reserved // 100
    assert (int(found["Free blocks"]) - int(found["Reserved block count"])) * 4096 >= 20 << 20
    check(build.site.partition_image("root"))


@pytest.mark.parametrize(
    ("words", "features"),
    [
        ("[^has_journal]", EXT4 - {"has_journal"}),
        ("[^has_journal, ^64bit]", EXT4 - {"has_journal", "64bit"}),
        ("[project]", EXT4 | {"project"}),
        ("[^has_journal, has_journal]", EXT4),
        ("[none, filetype, extent]", {"filetype", "extent"}),
    ],
)
def test_features_are_changed_one_by_one(build: DiskBuild, words: str, features: set[str]) -> None:
    """A feature that is taken away leaves the others, which the loader and the kernel count on."""
    build.write_recipe(SMALL.replace("extra: 20M", f"extra: 20M, features: {words}"))
    build.run("partition", "populate/base", "bootloader", "populate/root")
    assert {*header(build.site.partition_image("root"))["Filesystem features"].split()} == features
    check(build.site.partition_image("root"))


def test_kernel_and_initrd_stand_where_the_loader_finds_them(build: DiskBuild) -> None:
    """On the ESP for systemd-boot; the root filesystem then needs neither."""
    build.raw_disk()
    image = build.site.partition_image("esp")
    assert read_fat(image)[f"debian/{VERSION}/linux"] == build.site.kernel.read_bytes()
    assert read_fat(image)[f"debian/{VERSION}/initrd"] == build.site.initrd.read_bytes()
    stages = build.stages()
    assert not {"kernel", "initrd", "facts", "loader.tar"} & set(stages["populate/root"].inputs)
    assert f"boot/initrd.img-{VERSION}".encode() not in read_tree(build.site.partition_image("root"))


def test_kernel_and_initrd_on_root_are_in_the_tree(build: DiskBuild) -> None:
    """GRUB reads them from /boot; a kernel the tree has is not written twice."""
    build.write_recipe(SMALL + "boot: {loader: grub-efi, packages: false}\n")
    build.raw_disk()
    found = read_tree(build.site.partition_image("root"))
    assert found[f"boot/initrd.img-{VERSION}".encode()].content == build.site.initrd.read_bytes()
    assert found[f"boot/vmlinuz-{VERSION}".encode()].content == BASE[f"boot/vmlinuz-{VERSION}"]
    assert b"menuentry" in found[b"boot/grub/grub.cfg"].content
    assert not any(path.startswith("debian") for path in read_fat(build.site.partition_image("esp")))


def test_other_partitions_hold_the_tree_below_their_mount(build: DiskBuild) -> None:
    """The mount point stays on the partition above, its files are there once, with its own mode (C10)."""
    build.write_recipe(
        "disk: {partitions: {esp: {size: 64M, mount: /boot/efi}, root: {mount: /}, home: {mount: /home, fs: ext4},"
        " boot: {mount: /boot, fs: ext2}}}\n"
    )
    with build.delta("1-home") as writer:
        writer.add_directory("home", 0o711, 0, 50)
        writer.add_file("home/alice/.profile", b"hi", uid=1000)
        writer.add_file("boot/efi/readme.txt", b"esp")
    build.raw_disk()
    home, boot = (read_tree(build.site.partition_image(name)) for name in ("home", "boot"))
    root, esp = read_tree(build.site.partition_image("root")), read_fat(build.site.partition_image("esp"))
    assert (home[b""].mode, home[b""].gid, home[b"alice/.profile"].uid) == (0o711, 50, 1000)
    assert set(boot) == {b"", b"efi", f"vmlinuz-{VERSION}".encode()}
    assert esp["readme.txt"] == b"esp"
    assert {b"home", b"boot"} < set(root)
    assert not any(path.startswith((b"home/", b"boot/")) for path in root)
    for name in ("home", "boot", "root"):
        check(build.site.partition_image(name))


def test_an_unmounted_partition_is_an_empty_filesystem(build: DiskBuild) -> None:
    """Room for the guest's own use."""
    build.write_recipe("disk: {partitions: {esp: {size: 64M}, root: {mount: /}, data: {size: 64M}}}\n")
    build.raw_disk()
    assert set(read_tree(build.site.partition_image("data"))) == {b""}


def test_a_full_root_filesystem_is_an_error_that_names_the_file(build: DiskBuild) -> None:
    """Where the sizes were misjudged, nothing half-filled passes for done."""
    build.run("bootloader", "partition")
    geometry = build.site.geometry("root")
    geometry.write_text('{"size": 4194304, "inodes": 1024, "journal": 0}')
    with pytest.raises(StageError, match=r"partition root is full: there is no room for /usr/\d+"):
        build.run("populate/base")
    geometry.write_text('{"size": 67108864, "inodes": 64, "journal": 0}')
    with pytest.raises(StageError, match=r"partition root is full: there is no room for /usr/\d+"):
        build.run("populate/base")


def test_content_larger_than_the_disk_is_refused_before_anything_is_written(build: DiskBuild) -> None:
    """The refusal names the key and the size needed (W8)."""
    build.write_recipe("disk: {size: 100M, partitions: {esp: {size: 64M}, root: {mount: /, extra: 0s}}}\n")
    with build.delta("1-big") as writer:
        writer.add_file("big", bytes(50 << 20))
    with pytest.raises(StageError, match=r"disk\.size: 100M is too small: the partitions need 1\d\dM"):
        build.run("partition")
    assert not build.site.table.exists()


def free(image: Path) -> int:
    """Return the bytes that users of an ext filesystem may still write, as its superblock says."""
    found = header(image)
    return (int(found["Free blocks"]) - int(found["Reserved block count"])) * 4096


@pytest.mark.parametrize(
    ("disk", "what", "promise"),
    [
        ("size: 400M, partitions: {esp: {size: 64M}, root: {mount: /, extra: 400M}}", "disk.size", 400),
        ("size: 300M, partitions: {esp: {size: 64M}, root: {mount: /}}", "disk.size", 256),
        ("partitions: {esp: {size: 64M}, root: {mount: /, size: 300M, extra: 280M}}", "disk.partitions.root.size", 280),
    ],
    ids=["of the disk", "by default", "of the partition"],
)
def test_free_space_is_promised_where_a_size_is_given(build: DiskBuild, disk: str, what: str, promise: int) -> None:
    """A size that leaves too little is refused, and the one that the refusal names is enough (C2, W14)."""
    build.write_recipe(f"disk: {{{disk}}}\n")
    with build.delta("1-big") as writer:
        writer.add_file("big", random.Random(1).randbytes(50 << 20))
    with pytest.raises(StageError, match=f"{what}: .* is too small: .* with {promise}M to stay free on root") as caught:
        build.run("partition")
    advised = caught.value.hint.split()[5].strip(",.")
    given = "400M" if "400M, partitions" in disk else "300M"
    build.write_recipe(f"disk: {{{disk.replace(f'size: {given}', f'size: {advised}', 1)}}}\n")
    build.run("bootloader", "partition", "populate/base", "populate/root")
    left = free(build.site.partition_image("root"))
    assert promise << 20 <= left <= (promise << 20) + (40 << 20)


def test_a_layer_that_is_shorter_than_its_index_says_is_noticed(build: DiskBuild) -> None:
    """A damaged layer never becomes a file of zeros."""
    with build.delta("1-cut") as writer:
        writer.add_file("file", b"x" * 100_000)
    build.run("bootloader", "partition", "populate/base")
    os.truncate(build.site.layer("1-cut").tar, 50_000)
    with pytest.raises(StageError, match="/file: its layer ends early"):
        build.run("populate/root")


# -- FAT


def test_fat_holds_what_is_laid_below_its_mount(build: DiskBuild) -> None:
    """Long and odd names, empty files, many files and folders, hard links as copies."""
    wanted = {f"folder {number % 7}/a long name, number {number}.txt": b"%d" % number for number in range(450)}
    wanted |= {"EMPTY": b"", "ünïcode 日本": b"u", "~tilde~'q'": b"q"}
    wanted["big.bin"] = random.Random(3).randbytes(5 << 20)
    with build.delta("1-esp") as writer:
        for path, data in wanted.items():
            writer.add_file(f"boot/efi/{path}", data)
        writer.add_hard_link("boot/efi/same.bin", "boot/efi/big.bin")
    build.run("bootloader", "partition", "populate/esp")
    image = build.site.partition_image("esp")
    found = dict(read_fat(image))
    assert {path: found.get(path) for path in wanted} == wanted
    assert found["same.bin"] == wanted["big.bin"]
    subprocess.run(["fsck.vfat", "-n", image], check=True, capture_output=True)


def test_fat_holds_sparse_files_with_their_zeros(build: DiskBuild, tmp_path: Path) -> None:
    """A sparse file of a tar has all its bytes in FAT, which knows no holes."""
    (tmp_path / "boot/efi").mkdir(parents=True)
    with (tmp_path / "boot/efi/file").open("wb") as file:
        for place in (5000, 1 << 20):
            file.seek(place)
            file.write(b"data" * 2000)
        file.truncate(3 << 20)
    loader = tmp_path / "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
    loader.parent.mkdir(parents=True)
    loader.write_bytes(efi_program(b"systemd-boot"))
    subprocess.run(["tar", "--sparse", "-cf", build.site.base.tar, "-C", tmp_path, "boot", "usr"], check=True)
    foreign_tar.index(build.site.base.tar, build.site.base.index)
    build.run("bootloader", "partition", "populate/esp")
    found = dict(read_fat(build.site.partition_image("esp")))
    assert found["file"] == (tmp_path / "boot/efi/file").read_bytes()


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda writer: writer.add_symlink("boot/efi/x", "y"), "FAT cannot hold a symlink: /x"),
        (lambda writer: writer.add_fifo("boot/efi/p"), "FAT cannot hold a fifo: /p"),
        (lambda writer: writer.add_file("boot/efi/a:b", b""), "FAT cannot hold the name of /a:b"),
        (lambda writer: writer.add_file("boot/efi/\udcff", b""), "FAT cannot hold the name of"),
        (lambda writer: writer.add_file("boot/efi/\U0001f600", b""), "FAT cannot hold the name of"),
        (lambda writer: writer.add_file("boot/efi/a[1]/b", b""), r"cannot write into a folder named /a\[1\]"),
        (lambda writer: writer.add_file("boot/efi/f", b"", xattrs={acl.DEFAULT: b""}), "the access control list of /f"),
        (lambda writer: [writer.add_file(f"boot/efi/{name}", b"") for name in "Aa"], "are the same name"),
    ],
)
def test_what_fat_cannot_hold_is_refused_by_name(
    build: DiskBuild, add: Callable[[LayerWriter], object], message: str
) -> None:
    """Nothing is dropped or renamed silently."""
    with build.delta("1-esp") as writer:
        add(writer)
    build.run("bootloader", "partition")
    with pytest.raises(StageError, match=message):
        build.run("populate/esp")


def test_an_esp_too_small_for_kernel_and_initrd_says_how_much_it_needs(build: DiskBuild) -> None:
    """Before it is made, and naming the key."""
    build.write_recipe(SMALL.replace("64M", "40M"))
    build.site.initrd.write_bytes(bytes(60 << 20))
    with pytest.raises(StageError, match=r"disk\.partitions\.esp\.size: 40M is too small: its content needs 6\dM"):
        build.run("partition")
    build.site.initrd.write_bytes(b"")
    build.run("bootloader", "partition")
    build.site.initrd.write_bytes(bytes(60 << 20))
    with pytest.raises(StageError, match="partition esp: 40M is too small: it needs 6"):
        build.run("populate/esp")
