"""A tree packed as a squashfs, read back by unsquashfs: whose files are, their modes, links, devices and attributes."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk import squashfs
from bootsmith.tasks.disk.squashfs import SquashfsParams
from bootsmith.tasks.tree import acl
from bootsmith.tasks.tree.layer import LayerWriter

from tests.support.single_stage import run_stage
from tests.support.tar_members import EPOCH

LONG = f"etc/{'l' * 120}/{'n' * 200}"


def lay(folder: Path) -> dict[str, Path]:
    """Write two layers with every kind of file, the upper one changing the lower; return them as a stage's inputs."""
    folder.mkdir()
    inputs = {}
    for number in range(2):
        inputs |= {f"{number}.{kind}": folder / f"{number}.{kind}" for kind in ("tar", "index")}
    rows = [(acl.OWNER, 0, 6), (acl.GROUP, 0, 0), (acl.NAMED_GROUP, 4, 6), (acl.MASK, 0, 6), (acl.OTHER, 0, 0)]
    with LayerWriter(inputs["0.tar"], inputs["0.index"], EPOCH) as lower:
        lower.add_directory("", 0o751)
        lower.add_file("a name", b"first", 0o4755, 1000, 70000)
        lower.add_file("z", b"linked")
        lower.add_symlink("link", "/a/b")
        lower.add_device("null", "c", 1, 3, mode=0o666)
        lower.add_file("gone", b"x")
        lower.add_file("etc/fstab", b"UUID=1 / ext4 defaults 0 1\n")
        lower.add_file(LONG, b"long")
        lower.add_file(
            "can", b"x", 0o755, xattrs={"security.capability": bytes.fromhex("0100000200200000") + bytes(12)}
        )
        lower.add_file("listed", b"x", 0o660, xattrs={acl.ACCESS: acl.encode(rows)})
    with LayerWriter(inputs["1.tar"], inputs["1.index"], EPOCH) as upper:
        upper.add_file("a name", b"second", 0o640)
        upper.add_whiteout("gone")
        upper.add_hard_link("b", "z")  # whose name comes first
    return inputs


def pack(folder: Path, *, fstab: bool = True) -> tuple[Path, list[str]]:
    """Pack that tree; return the image and what the stage told."""
    image = folder / "root.squashfs"
    params = SquashfsParams(EPOCH, fstab=fstab).to_json()
    stage = Stage(
        "iso/root", "bootsmith.tasks.disk.squashfs:run", lay(folder), {"image": image}, params, squashfs.TOOLS
    )
    return image, run_stage(stage, folder / "scratch")


def listed(image: Path) -> dict[str, list[str]]:
    """Return what unsquashfs lists: path -> mode, owner, size or device, date, time, and what a link names."""
    done = subprocess.run(
        ["unsquashfs", "-lln", "-d", "", image], capture_output=True, check=True, text=True, env={"TZ": "UTC"}
    )
    found = {}
    for line in done.stdout.splitlines():
        if match := re.fullmatch(r"(\S{10}) (\S+) +(\d+|\d+, *\d+) (\S+ \S+) (/?.*?)(?: -> (.*))?", line):
            mode, owner, size, date, path, link = match.groups()
            found[path.lstrip("/")] = [mode, owner, size.replace(" ", ""), date, *([link] if link else [])]
    return found


def content(image: Path, path: str) -> bytes:
    return subprocess.run(["unsquashfs", "-cat", image, path], capture_output=True, check=True).stdout


def test_what_is_in_it(tmp_path: Path) -> None:
    """Owners, modes, links, devices, long names are the tree's, the upper layer's in front; all of one time (W17)."""
    image, _ = pack(tmp_path / "a")
    found = listed(image)
    assert {row[3].split()[0] for row in found.values()} == {"2025-08-12"}
    assert found[""][0] == "drwxr-x--x"
    assert found["a name"][:3] == ["-rw-r-----", "0/0", "6"]
    assert found["link"][0] == "lrwxrwxrwx"
    assert found["link"][4] == "/a/b"
    assert found["null"][:3] == ["crw-rw-rw-", "0/0", "1,3"]
    assert "gone" not in found
    assert content(image, "a name") == b"second"
    assert content(image, "b") == content(image, "z") == b"linked"
    assert content(image, LONG) == b"long"
    assert content(image, "etc/fstab").startswith(b"# a live system")


def test_an_fstab_of_somebody_s_own_stays(tmp_path: Path) -> None:
    """Only the one that names the partitions of a disk is left out."""
    image, _ = pack(tmp_path / "a", fstab=False)
    assert content(image, "etc/fstab") == b"UUID=1 / ext4 defaults 0 1\n"


def test_attributes(tmp_path: Path) -> None:
    """Capabilities are kept; lists, which squashfs cannot hold, are told of, and nobody may more without them (A2)."""
    image, told = pack(tmp_path / "a")
    assert told == ["/listed: without its access control list, which no squashfs can hold"]
    assert listed(image)["listed"][0] == "-rw-------"
    out = tmp_path / "out"
    subprocess.run(["unsquashfs", "-q", "-no-xattrs", "-d", out, image, "z", "b"], check=True, capture_output=True)
    assert (out / "z").stat().st_ino == (out / "b").stat().st_ino
    data = image.read_bytes()
    assert int.from_bytes(data[64:72], "little") != 2**64 - 1, "there is a table of attributes"


def test_the_same_tree_is_packed_to_the_same_bytes(tmp_path: Path) -> None:
    """In another folder too (V11)."""
    first, second = (hashlib.sha256(pack(tmp_path / name)[0].read_bytes()).digest() for name in ("a", "b"))
    assert first == second


def test_a_whole_time_is_the_epoch_s(tmp_path: Path) -> None:
    """The superblock says when it was made: when the recipe says."""
    data = pack(tmp_path / "a")[0].read_bytes()
    assert int.from_bytes(data[8:12], "little") == EPOCH


@pytest.mark.parametrize("name", ["trusted.x", "user.y"])
def test_other_attributes_are_kept(tmp_path: Path, name: str) -> None:
    """What squashfs has a number for stays as it was, and nothing is told."""
    folder = tmp_path / "a"
    folder.mkdir()
    inputs = {f"0.{kind}": folder / f"0.{kind}" for kind in ("tar", "index")}
    with LayerWriter(inputs["0.tar"], inputs["0.index"], EPOCH) as writer:
        writer.add_directory("")
        writer.add_file("f", b"x", xattrs={name: b"value-of-it"})
    stage = Stage(
        "iso/root", "bootsmith.tasks.disk.squashfs:run", inputs, {"image": folder / "i"},
        SquashfsParams(EPOCH, fstab=True).to_json(), squashfs.TOOLS,
    )  # fmt: skip
    assert run_stage(stage, folder / "scratch") == []
    assert int.from_bytes((folder / "i").read_bytes()[64:72], "little") != 2**64 - 1
