"""A part of a tar as the tree: below a folder of it, or without its leading folders. A14."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs
from bootsmith.tasks.recipe.model.source import Tar
from bootsmith.tasks.tree import layer, tar

from tests.support.guest_disks import described
from tests.support.single_stage import run_stage


@pytest.fixture(name="top")
def fixture_top(tmp_path: Path) -> Path:
    """A container's tree, the wanted one below its /mnt, as toybox's has it."""
    top = tmp_path / "top"
    for folder in ("mnt/bin", "mnt/etc/init.d", "mnt/usr", "usr/bin", "etc"):
        (top / folder).mkdir(parents=True)
    (top / "mnt").chmod(0o750)
    (top / "usr/bin/toybox").write_bytes(b"\x7fELF" + bytes(5000))
    (top / "usr/bin/toybox").chmod(0o4755)
    os.setxattr(top / "usr/bin/toybox", "user.note", b"kept")
    for name in ("mnt/bin/toybox", "mnt/bin/another", "mnt/bin/sh"):  # of a file that is outside
        os.link(top / "usr/bin/toybox", top / name)
    (top / "mnt/etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    os.link(top / "mnt/etc/passwd", top / "mnt/etc/a-twin")
    os.link(top / "mnt/etc/passwd", top / "etc/outside")
    (top / "mnt/usr/bin").symlink_to("../bin")
    (top / "mnt/etc/.wh.gone").touch()
    (top / "mntx").mkdir()
    (top / "mntx/decoy").touch()
    (top / "link").symlink_to("mnt")
    (top / "mnt/etc" / os.fsdecode(b"n\xe4me" + b"x" * 150)).touch()
    for path in top.rglob("*"):
        os.utime(path, (-5, -5) if path.name == "passwd" else (1e9, 1e9), follow_symlinks=False)
    return top


def packed(top: Path, *words: str, name: str = "tree.tar") -> Path:
    """Return a tar of what is in a folder."""
    file = top.parent / name
    subprocess.run(["tar", "--xattrs", "--format=pax", *words, "-cf", file, "-C", top, "."], check=True)
    return file


def taken(file: Path, scratch: Path, subdir: str = "/", strip: int = 0) -> Path:
    """Return the base layer of a source, as its stage makes it."""
    site = Site("tree", scratch / "build", scratch / "none.lock", 0)
    run_stage(rootfs._unpacked(Tar(file, subdir, strip), site), scratch / "work")
    assert layer.read_index(site.base.index) == tuple(tar.scan(site.base.tar)), "the index is the tar's"
    return site.base.tar


def unpacked(file: Path, folder: Path) -> Path:
    """Return a folder with what GNU tar unpacks."""
    folder.mkdir()
    subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "-xpf", file, "-C", folder], check=True)
    return folder


@pytest.mark.parametrize("packing", [(), ("--gzip",), ("--zstd",)])
def test_a_folder_of_it(top: Path, tmp_path: Path, packing: tuple[str, ...]) -> None:
    """Its owner and mode are the top's; links to files outside bring these along; names and times are as they were."""
    found = unpacked(taken(packed(top, *packing), tmp_path / "one", "/mnt"), tmp_path / "found")
    (top / "mnt/etc/.wh.gone").unlink()  # a whiteout hides what is below a layer; below the base there is nothing
    expected = described(top / "mnt")
    assert described(found) == expected
    assert (found / "bin/another").stat().st_nlink == 3
    assert (found / "etc/passwd").stat().st_mtime == -5
    assert (found / "usr").stat().st_mtime == 1e9


@pytest.mark.parametrize("subdir", ["/", "/mnt"])
def test_what_means_a_removal_is_told(top: Path, tmp_path: Path, subdir: str) -> None:
    """A file whose name says in a layer that another is removed is left out of the lowest one, and that is said."""
    site = Site("tree", tmp_path / "build", tmp_path / "none.lock", 0)
    file = packed(top)
    told = run_stage(rootfs._unpacked(Tar(file, subdir, 0), site), tmp_path / "work")
    assert [each.partition(" left out")[0] for each in told] == [f"{file}: /mnt/etc/.wh.gone"]


def test_leading_folders_are_stripped(top: Path, tmp_path: Path) -> None:
    """As `tar --strip-components` does it; the one folder that goes lends the top its owner and mode."""
    (top / "mnt/etc/.wh.gone").unlink()
    file = tmp_path / "wrapped.tar"
    words = [
        "--format=pax",
        "--xattrs",
        "--transform=s,^\\.,./project-1.0/rootfs,rSh",
        "-cf",
        file,
        "-C",
        top / "mnt",
        ".",
    ]
    subprocess.run(["tar", *words], check=True)
    for name, part in (("both", {"strip": 2}), ("one", {"strip": 1, "subdir": "/rootfs"})):
        found = unpacked(taken(file, tmp_path / name, **part), tmp_path / f"{name}-found")  # type: ignore[arg-type]
        assert described(found) == described(top / "mnt"), name


def test_the_whole_is_the_tar_itself(top: Path, tmp_path: Path) -> None:
    """Without either key, the bytes are the tar's own; with one, the stage's key is another."""
    file = packed(top)
    assert taken(file, tmp_path / "one").read_bytes() == file.read_bytes()
    site = Site("tree", tmp_path, tmp_path / "none.lock", 0)
    parts = (("/", 0), ("/mnt", 0), ("/mnt", 1), ("/", 1))
    keys = [rootfs._unpacked(Tar(file, *part), site).params for part in parts]
    assert len({str(each) for each in keys}) == 4


def test_the_same_part_is_the_same_bytes(top: Path, tmp_path: Path) -> None:
    """However the tar orders and packs its members, and whichever of a file's names it writes first."""
    names = [os.fsencode(path.relative_to(top)) for path in top.rglob("*")]
    made = set()
    for order, listed in (("forwards", sorted(names)), ("backwards", sorted(names, reverse=True))):
        file, listing = tmp_path / f"{order}.tar", tmp_path / order
        listing.write_bytes(b"".join(name + b"\0" for name in [b".", *listed]))
        words = ["--no-recursion", "--xattrs", "--format=pax", "--null", "-cf", file, "-C", top, "-T", listing]
        subprocess.run(["tar", *words], check=True)
        made.add(taken(file, tmp_path / f"{order}-made", "/mnt").read_bytes())
    assert len(made) == 1


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"subdir": "/mntt"}, r"tree\.tar has no /mntt\n.*Did you mean /mnt\?"),
        ({"subdir": "/mnt/etx"}, r"tree\.tar has no /mnt/etx\n.*Did you mean /mnt/etc\?"),
        ({"subdir": "/mnt/etc/passwd"}, r"/mnt/etc/passwd of .*tree\.tar is not a folder"),
        ({"subdir": "/mnt/etc/passwd/x"}, r"/mnt/etc/passwd of .*tree\.tar is not a folder"),
        ({"subdir": "/link"}, r"/link of .*tree\.tar is a link to mnt\n.*Name the folder itself"),
        ({"subdir": "/mnt/usr/bin/x"}, r"/mnt/usr/bin of .*tree\.tar is a link to \.\./bin"),
        ({"strip": 1}, r"strip: 1 would put /mnt/bin/toybox and /usr/bin/toybox of .*tree\.tar in one place"),
        ({"strip": 9}, r"strip: 9 leaves nothing of .*tree\.tar\n.*at most 3 components"),
        ({"strip": 3, "subdir": "/x"}, "leaves nothing|has no /x"),
    ],
)
def test_what_is_not_there_is_refused(top: Path, tmp_path: Path, part: dict[str, object], said: str) -> None:
    """Named with its nearest, of the user's file; nothing is left under a final name (V14)."""
    with pytest.raises(StageError, match=said):
        taken(packed(top, "--gzip"), tmp_path / "one", **part)  # type: ignore[arg-type]
    assert not list((tmp_path / "one").glob("build/**/*"))
