"""Sizes: what content needs, and what fits, against what the filesystems' own tools say."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.disk import sizing
from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.disk.sizing import MIB, Demand, ExtForm, ext_capacity, ext_geometry, ext_need, fat_capacity, human
from bootsmith.tasks.tree.tar import Entry

from tests.support.disk_build import DiskBuild
from tests.support.ext_image import check, header
from tests.support.tar_members import member


def tree(files: int, size: int = 5000) -> Tree:
    """Return a tree of so many files, of so many bytes each."""
    found: Tree = {"": (0, Entry("", "d"))}
    for number in range(files):
        folder = f"d{number % 50}"
        found[folder] = (0, Entry(folder, "d"))
        path = f"{folder}/{number}"
        found[path] = (0, Entry(path, "f", size=size))
    return found


@pytest.mark.parametrize("fs", ["ext4", "ext3", "ext2"])
@pytest.mark.parametrize("size", [8, 16, 64, 127, 128, 704, 1024, 1300, 5000, 20000])
def test_the_capacity_of_ext_is_what_mke2fs_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fs: str, size: int
) -> None:
    """The formula promises no block that is not there, and gives away few."""
    root = f"{{mount: /, fs: {fs}, size: {size}M}}"
    build = DiskBuild(tmp_path, monkeypatch, f"disk: {{partitions: {{esp: {{size: 64M}}, root: {root}}}}}\n")
    build.base({"./": member("d")})
    build.run("partition", "populate/base")
    found = header(build.site.base_image("root"))
    free = (int(found["Free blocks"]) - int(found["Reserved block count"])) * 4096
    geometry = ext_geometry(size * MIB, ext_need(tree(0), fs), fs)
    promised = ext_capacity(geometry, fs)
    assert promised <= free + 4096  # the root directory's own block is part of the content
    assert promised >= free - (64 << 10)
    assert int(found["Inode count"]) >= geometry.inodes


FORMS = (
    ("ext4", ExtForm((), 128, 0)),
    ("ext4", ExtForm((), 1024, 20)),
    ("ext4", ExtForm(("^has_journal",))),
    ("ext2", ExtForm(("has_journal",))),
    ("ext4", ExtForm(("^resize_inode", "^sparse_super"))),
    ("ext2", ExtForm(("none",), 128)),
)


SIZES = [*((size, *each) for each in FORMS for size in (12, 64, 1300, 20_000)), (400_000, *FORMS[4])]


@pytest.mark.parametrize(("size", "fs", "form"), SIZES, ids=str)
def test_the_capacity_of_each_form_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, fs: str, form: ExtForm
) -> None:
    """Whatever the recipe wants of it, the formula promises no block that is not there (C2)."""
    said = f"features: [{', '.join(form.features)}], inode_size: {form.inode_size}, reserved: {form.reserved}"
    root = f"{{mount: /, fs: {fs}, size: {size}M, {said}}}"
    build = DiskBuild(tmp_path, monkeypatch, f"disk: {{partitions: {{esp: {{size: 64M}}, root: {root}}}}}\n")
    build.base({"./": member("d")})
    build.run("partition", "populate/base")
    found = header(build.site.base_image("root"))
    free = (int(found["Free blocks"]) - int(found["Reserved block count"])) * 4096
    assert ext_capacity(ext_geometry(size * MIB, ext_need(tree(0), fs), fs, form), fs, form) <= free + 4096
    assert ("has_journal" in found["Filesystem features"].split()) is form.has(
        "has_journal", usual=fs != "ext2" and size >= 16
    )


@pytest.mark.parametrize("size", [33, 64, 259, 260, 512, 8192])
def test_the_capacity_of_fat_is_what_mkfs_leaves(tmp_path: Path, size: int) -> None:
    """The formula promises no cluster that is not there, and gives away few."""
    image = tmp_path / "fat"
    with image.open("wb") as file:
        file.truncate(size * MIB)
    cluster = sizing.fat_cluster(size * MIB)
    made = ["mkfs.vfat", "-F", "32", "-s", str(cluster // 512), "-R", "32", image]
    subprocess.run(made, check=True, capture_output=True)
    listing = subprocess.run(["mdir", "-i", image, "::"], check=True, capture_output=True, text=True).stdout
    free = int("".join(filter(str.isdigit, listing.splitlines()[-2])))
    assert free - (256 << 10) <= fat_capacity(size * MIB) <= free


@pytest.mark.parametrize("extra", [0, 100 * MIB, 400 * MIB])
@pytest.mark.parametrize("files", [0, 300, 20000])
def test_an_automatic_filesystem_keeps_the_promised_space_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, extra: int
) -> None:
    """The guest finds at least `extra` free, and the content has a tenth more than it needs (C2)."""
    root = f"{{mount: /, extra: {extra >> 20}M}}"
    build = DiskBuild(tmp_path, monkeypatch, f"disk: {{partitions: {{esp: {{size: 64M}}, root: {root}}}}}\n")
    chance = random.Random(files)
    build.base(
        {"./": member("d"), **{f"d{n}": member("d") for n in range(20)}}
        | {f"d{n % 20}/{n}": bytes(chance.randrange(9000)) for n in range(files)}
    )
    with build.delta("1-more") as writer:
        writer.add_file("added", bytes(20 * MIB))
    build.run("partition", "populate/base", "populate/root")
    image = build.site.partition_image("root")
    check(image)
    found = header(image)
    free = (int(found["Free blocks"]) - int(found["Reserved block count"])) * 4096
    assert free >= extra
    assert int(found["Free inodes"]) >= 64
    assert image.stat().st_size % (64 * MIB) == 0


def test_a_small_edit_does_not_move_a_partition() -> None:
    """Sizes go in steps of 64 MiB: a few more files leave most sizes as they are."""
    sizes = [Demand([tree(count)], "ext4").automatic(256 * MIB) for count in range(3000, 3100, 10)]
    assert len(set(sizes)) == 1


def test_size_follows_from_content_alone() -> None:
    """The order of files does not matter."""
    whole = tree(500)
    mixed = dict(random.Random(1).sample(sorted(whole.items()), len(whole)))
    assert Demand([whole], "ext4").automatic(0) == Demand([mixed], "ext4").automatic(0)
    assert Demand([whole], "ext4").geometry(64 * MIB) == Demand([mixed], "ext4").geometry(64 * MIB)


def test_the_most_demanding_tree_decides() -> None:
    """A layer that removes much does not make the filesystem too small for the base it starts from."""
    small, large = tree(10), tree(9000, 20000)
    assert Demand([small, large], "ext4").least() == Demand([large], "ext4").least()
    assert Demand([small, large], "ext4").least() > Demand([small], "ext4").least()


@pytest.mark.parametrize("fs", ["ext4", "ext2", "vfat"])
def test_the_least_size_is_the_least_that_fits(fs: str) -> None:
    """What a refusal names as needed is enough, and a MiB less is not."""
    demand = Demand([tree(2000, 30000)], fs)
    assert demand.fits(demand.least())
    assert not demand.fits(demand.least() - MIB)


def test_sizes_are_said_as_recipes_write_them() -> None:
    """In MiB, or GiB where it is a whole number of them."""
    assert [human(size) for size in (1, MIB, 1536 * MIB, 2048 * MIB)] == ["1M", "1M", "1536M", "2G"]
