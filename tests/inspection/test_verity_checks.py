"""verify, of a verified root: what is spoilt in its data, its hash tree or its command line is named. V13, C12."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import readback

from tests.support.guest_disks import sparse_copy
from tests.support.single_stage import run_stage
from tests.support.tar_members import EPOCH
from tests.support.whole_disk import RECIPE, WholeDisk

ROOT = "root: {fs: squashfs, mount: /, overlay: none, verity: true}, last: {fs: none, size: 1M}"
VERIFIED = (
    RECIPE.replace("root: {mount: /, extra: 40M}", ROOT)
    .replace("  grow: true\n", "")
    .replace("loader: LOADER", "loader: LOADER, initrd: initrd")
)
FILES = {f"usr/share/numbers/{number}": random.Random(number).randbytes(40_000) for number in range(60)}
UNIFIED = "EFI/BOOT/BOOTX64.EFI"


@pytest.fixture(name="verified", scope="module")
def fixture_verified(tmp_path_factory: pytest.TempPathFactory) -> WholeDisk:
    """A disk whose root is verified, by the root hash in a unified kernel image; beside it what it was made of."""
    return WholeDisk.make(tmp_path_factory.mktemp("verified"), "efistub", VERIFIED, FILES)


def site(disk: WholeDisk) -> Site:
    return Site("box", disk.raw.parent, disk.raw.with_name("box.lock"), EPOCH)


def root_hash(disk: WholeDisk) -> str:
    return disk.raw.with_name("populate").joinpath("root-verity.roothash").read_text().strip()


def test_a_verified_root_is_as_it_should_be(verified: WholeDisk) -> None:
    """The table names its partitions by the root hash, which the kernel is told; veritysetup says the same of both."""
    found = verified.verdicts()
    assert found["verity"].about.startswith("root by root-verity, ")
    assert not [each for each in (*found.values(), *verified.verdicts(alone=True).values()) if each.wrong]
    folder, root = verified.raw.with_name("populate"), root_hash(verified)
    subprocess.run(["veritysetup", "verify", folder / "root.img", folder / "root-verity.img", root], check=True)
    listed = subprocess.run(["sfdisk", "-d", verified.raw], check=True, capture_output=True, text=True).stdout.lower()
    rows = [line for line in listed.splitlines() if 'name="root' in line]
    assert [row.split("uuid=")[1][:36].replace("-", "") for row in rows] == [root[:32], root[32:]]
    assert "type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5" in rows[1]
    assert all('attrs="guid:60"' in row for row in rows)
    assert f"root=/dev/mapper/root roothash={root} ro console=".encode() in verified.mtools("mtype", f"::{UNIFIED}")


def flip(name: str, at: int) -> Callable[[WholeDisk], None]:
    def change(disk: WholeDisk) -> None:
        place = disk.start(name) + at
        with disk.raw.open("rb") as file:
            file.seek(place)
            (old,) = file.read(1)
        disk.write(place, bytes([old ^ 1]))

    return change


def tell(old: bytes, new: bytes) -> Callable[[WholeDisk], None]:
    """Change what the kernel is told."""

    def change(disk: WholeDisk) -> None:
        image = disk.mtools("mtype", f"::{UNIFIED}")
        assert old in image
        disk.put_fat(UNIFIED, image.replace(old, new.ljust(len(old))))

    return change


@pytest.mark.parametrize(
    ("spoil", "wrong"),
    [
        (flip("root", 4096 + 9), "partitions root and root-verity: block 1 of the data (byte 4096) is not what"),
        (flip("root-verity", 4096 + 40), "block 1 of the hash tree (byte 4096) is not what the root hash says"),
        (flip("root-verity", 0), "partition root-verity: there is no hash tree"),
        (flip("root-verity", 76), "its hash tree is of more than partition root holds"),
        (flip("root-verity", 90), "block 1 of the hash tree (byte 4096) is not what the root hash says"),
        (tell(b"roothash=", b"roothush="), "says no root hash, and the recipe's root is verified by one"),
        (tell(b" ro console=", b"a ro console="), "which is no root hash"),
    ],
)
def test_what_is_spoilt_is_named(
    verified: WholeDisk, tmp_path: Path, spoil: Callable[[WholeDisk], None], wrong: str
) -> None:
    """A bit in the data, in the tree, in its superblock and its salt; and words that are missing or wrong."""
    disk = WholeDisk(sparse_copy(verified.raw, tmp_path / "copy.raw"), verified.recipe)
    spoil(disk)
    found = disk.verdicts()["verity"]
    assert len(found.wrong) == 1
    assert wrong in found.wrong[0]


def test_another_root_hash_leads_nowhere(verified: WholeDisk, tmp_path: Path) -> None:
    """Neither to partitions that there are nor, as the kernel would look for its root, to a system."""
    disk = WholeDisk(sparse_copy(verified.raw, tmp_path / "copy.raw"), verified.recipe)
    root = root_hash(verified).encode()
    tell(root, bytes(reversed(root)))(disk)
    found = disk.verdicts()
    assert [each.partition(":")[2][:38] for each in found["verity"].wrong] == [
        " no partition of its data is there, wh", " no partition of its hash tree is ther",
    ]  # fmt: skip
    assert "says root=/dev/mapper/root, which no partition is" in found["root"].wrong[0]


def test_a_build_reads_its_hash_tree_back(verified: WholeDisk, tmp_path: Path) -> None:
    """What the disk is made of is verified once, block by block: by a stage of its own (L21)."""
    folder = verified.raw.with_name("populate")
    (stage,) = (
        each for each in readback.stages(verified.recipe, site(verified)) if each.name == "readback/root-verity"
    )
    verdict = tmp_path / "verdict.txt"
    run_stage(stage._replace(outputs={"verdict": verdict}), tmp_path / "work")
    assert verdict.read_text().endswith(" blocks verified\n")
    spoilt = tmp_path / "root.img"
    spoilt.write_bytes(folder.joinpath("root.img").read_bytes()[:-1] + b"\1")
    stage = stage._replace(inputs={**stage.inputs, "image": spoilt}, outputs={"verdict": verdict})
    with pytest.raises(StageError, match=r"read back, the hash tree is wrong: block \d+ of the data"):
        run_stage(stage, tmp_path / "again")
