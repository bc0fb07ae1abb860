"""EROFS and squashfs images as sources: read here, never mounted, and made by their own tools."""

from __future__ import annotations

import os
import random
import re
import struct
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs
from bootsmith.tasks.tree import layer
from bootsmith.tasks.tree.merged import Tree
from bootsmith.tasks.tree.tar import scan

from tests.support.recipe_folder import RecipeFolder
from tests.support.single_stage import run_stage

CAPABLE = bytes.fromhex("0100000200200000000000000000000000000000")
FORMS = {
    "squashfs": ["-comp gzip", "-comp xz -b 4096", "-comp zstd -no-fragments", "-noI -noD -noF -noX"],
    "erofs": [
        *("-zlz4", "-zlz4hc,9 -C65536", "-zlz4hc -C16384 -Elegacy-compress", "-zlz4 -Eforce-inode-extended"),
        *("--chunksize=4096", "-x1 -T5000", ""),
    ],
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one of each that a filesystem can hold."""
    top = tmp_path_factory.mktemp("tree")
    noise = random.Random(1)
    words = [noise.randbytes(noise.randrange(3, 12)) for _ in range(50)]
    (top / "text").write_bytes(b"".join(noise.choices(words, k=100_000)))
    (top / "noise").write_bytes(noise.randbytes(300_001))
    (top / "empty").write_bytes(b"")
    (top / "zeros").write_bytes(bytes(3 << 20) + b"end")
    (top / "many").mkdir()
    for number in range(700):
        (top / "many" / f"a-file-with-a-name-of-some-length-{number}").write_text(f"{number}\n" * (number % 9))
    Path(os.fsdecode(os.fsencode(top / "many") + b"/\xff\xc3\xa4\n")).write_text("x")
    (top / "hard").hardlink_to(top / "text")
    (top / "link").symlink_to("/etc/" + "x" * 90)
    os.mkfifo(top / "fifo", 0o600)
    (top / "setuid").write_bytes(b"program")
    (top / "setuid").chmod(0o4755)
    os.setxattr(top / "setuid", "user.note", b"n" * 300)
    os.setxattr(top / "text", "user.note", b"same")
    os.setxattr(top / "many", "user.note", b"same")
    if os.geteuid() == 0:
        os.chown(top / "setuid", 70_000, 7)
        os.chmod(top / "setuid", 0o4755)  # noqa: PTH101  chown took it
        os.setxattr(top / "setuid", "security.capability", CAPABLE)
        os.mknod(top / "console", 0o20600, os.makedev(5, 300))
    for path in (*top.rglob("*"), top):
        os.utime(path, (5_000, 5_000), follow_symlinks=False)
    return top


def facts(tree: Tree) -> dict[str, tuple[object, ...]]:
    """Return all that is said of each file, and what is in it; a name of a hard link is the file."""
    found = {}
    for path, (_, entry) in tree.entries.items():
        file = tree.entries[entry.link][1] if entry.type == "h" else entry
        data = layer.read_member(tree.tars[0], file) if file.type == "f" else b""
        found[path] = (*file._replace(path="", offset=0, stretches=None, size=len(data)), data)
    return found


def packed(top: Path) -> Tree:
    """Return the directory as tar has it."""
    tar = top.parent / f"{top.name}.tar"
    words = ["--sort=name", "--xattrs", "--xattrs-include=*", "--format=pax", "--numeric-owner", "-C", str(top), "-cf"]
    subprocess.run(["tar", *words, str(tar), "."], check=True, capture_output=True)
    return Tree.of(list(scan(tar)), tar)


def made(kind: str, words: str, tree: Path, image: Path) -> Path:
    before = ["mksquashfs", str(tree), str(image)] if kind == "squashfs" else ["mkfs.erofs", *words.split(), str(image)]
    after = ["-noappend", "-quiet", *words.split()] if kind == "squashfs" else [str(tree)]
    subprocess.run([*before, *after], check=True, capture_output=True)
    return image


def take(kind: str, folder: Path) -> Tree:
    site = Site("x", folder / "build", folder / "none.lock", 0)
    recipe = RecipeFolder(folder).load(
        f"source: {{{kind}: ../image}}\nsystem: none\nboot: {{loader: grub-bios, initrd: none}}\n"
    )
    run_stage(rootfs.stage(recipe, site), folder / "work")
    return Tree([site.base.index], [site.base.tar])


@pytest.mark.parametrize(("kind", "words"), [(kind, words) for kind, forms in FORMS.items() for words in forms])
def test_an_images_tree_is_what_went_in(
    kind: str, words: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V1, A2: content, owners, modes, devices, attributes, links and times, of every packing and form."""
    monkeypatch.chdir(tmp_path)
    made(kind, words, tree, tmp_path / "image")
    found = take(kind, tmp_path)
    assert facts(found) == facts(packed(tree))
    written = found.entries["zeros"][1]
    if kind == "squashfs" and "-noD" not in words:
        assert written.stored < written.size, "a hole was written"


@pytest.mark.parametrize("words", FORMS["erofs"])
def test_a_broken_image_is_told(words: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever bytes of it are others, it is read or refused, in words of the user's file."""
    monkeypatch.chdir(tmp_path)
    whole = made("erofs", words, tree, tmp_path / "whole").read_bytes()
    chance = random.Random(words)
    refused: list[str] = []
    for turn in range(15):
        damaged = bytearray(whole)
        for _ in range(4):
            at = 1024 + chance.randrange(min(len(damaged) - 1024, 8192 if turn % 2 else 1 << 30))
            damaged[at] = chance.randrange(256)
        damaged = damaged[: chance.randrange(len(damaged))] if turn % 5 == 0 else damaged
        folder = tmp_path / str(turn)
        folder.mkdir()
        (folder / "image").write_bytes(damaged)
        monkeypatch.chdir(folder)
        try:
            take("erofs", folder)
        except StageError as error:
            refused.append(error.message)
    assert len(refused) >= 3
    assert [each for each in refused if "image cannot be read" not in each and "image is empty" not in each] == []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "image").write_bytes(whole[:1500])
    with pytest.raises(StageError, match="image cannot be read: "):
        take("erofs", tmp_path)


NOWHERE = "it breaks off, or leads out of itself"


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        ("names", "image cannot be read: the list of / has its names outside of it"),
        ("number", f"image cannot be read: {NOWHERE}"),
        ("attributes", f"image cannot be read: {NOWHERE}"),
        ("data", f"image cannot be read: /file: {NOWHERE}"),
    ],
)
def test_what_leads_out_of_an_image_is_told(
    edit: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names before their list, inodes beyond any image, attributes and data behind its end."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "top").mkdir()
    (tmp_path / "top/file").write_bytes(b"text" * 3000)
    data = bytearray(
        made("erofs", "-zlz4 -Elegacy-compress -T0 -x-1", tmp_path / "top", tmp_path / "image").read_bytes()
    )
    (root,), (start,) = struct.unpack_from("<H", data, 1024 + 14), struct.unpack_from("<I", data, 1024 + 40)
    names = (start << 12) + root * 32 + 32  # the list stands behind the compact inode of the top: ".", "..", "file"
    if edit == "names":
        struct.pack_into("<H", data, names + 8, 3)
    elif edit == "number":
        struct.pack_into("<Q", data, names + 24, 1 << 63)
    else:
        struct.pack_into("<Q", data, names + 24, (len(data) - (start << 12)) // 32)
        form, attributes, size = (1 << 1, 0, 12000) if edit == "data" else (0, 1, 0)
        data += struct.pack("<HHHHI", form, attributes, 0o100644, 1, size).ljust(32, b"\0")
    (tmp_path / "image").write_bytes(data)
    with pytest.raises(StageError, match=re.escape(what)):
        take("erofs", tmp_path)


@pytest.mark.parametrize(
    ("kind", "what"), [("erofs", "image cannot be read: it is no EROFS"), ("squashfs", "image is no squashfs")]
)
def test_another_filesystem_is_told(kind: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what is in the file."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["mke2fs", "-q", "image", "1M"], check=True, capture_output=True)
    with pytest.raises(StageError, match=what):
        take(kind, tmp_path)
