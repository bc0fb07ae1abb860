"""Qcow2 outputs over a backing file, encrypted, and with a snapshot: read back by qemu-img itself (L17)."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.disk import image_format as images
from bootsmith.tasks.disk import qcow2
from bootsmith.tasks.disk.inspect import inspect
from bootsmith.tasks.errors import BootsmithError, StageError, UsageError
from bootsmith.tasks.planning.stages import convert

from tests.support.disk_build import DiskBuild
from tests.support.kernel_files import bzimage, stand_in
from tests.support.project import dodo, doit
from tests.support.tar_members import EPOCH, member

DISK = "disk: {partitions: {esp: {size: 64M}, root: {mount: /, extra: 20M}}}\nboot: {packages: false}\n"
PASSPHRASE = "open, sesame"
OWN = """\
source: {directory: tree}
system: none
boot: {loader: direct, kernel: vmlinuz, initrd: none, root: /dev/vda}
"""


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """A build with a small base layer."""
    made = DiskBuild(tmp_path / "a,b", monkeypatch, DISK)
    made.base({"./": member("d"), "file": b"content" * 1000})
    return made


def qemu_img(*words: str | Path, given: str | None = None) -> str:
    """Run qemu-img; return what it prints."""
    done = subprocess.run(["qemu-img", *words], input=given, capture_output=True, check=True, text=True)
    return done.stdout


def info(image: Path) -> dict[str, Any]:
    """Return what qemu-img says of an image itself."""
    loaded: dict[str, Any] = json.loads(qemu_img("info", "--output=json", "-f", "qcow2", image))
    return loaded


def based(build: DiskBuild, form: str) -> tuple[Path, Path]:
    """Make a backing file of the disk, then change the disk; return both."""
    raw = build.raw_disk()
    base = build.folder / f"base.{form}"
    qemu_img("convert", "-f", "raw", "-O", form, raw, base)
    with raw.open("r+b") as disk:
        disk.seek(30 << 20)
        disk.write(b"changed" * 100_000)
        disk.seek(70 << 20)
        disk.write(bytes(1 << 20))
        disk.truncate(raw.stat().st_size + (3 << 20))
    return raw, base


def test_a_table_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first table that names one second table a million times, or one at every sector, is looked through at once."""
    bits, count, first, table = 16, 1 << 20, 0x10000, 0x10000 + (8 << 20)
    head = struct.pack(">4sIQIIQIIQ", b"QFI\xfb", 2, 0, 0, bits, 1 << 40, 0, count, first)
    entries = [table + 512 * (number % 2) for number in range(count)]
    data = head.ljust(first, b"\0") + struct.pack(f">{count}Q", *entries) + bytes(1 << bits)
    (tmp_path / "x.qcow2").write_bytes(data)
    seen = []
    words = qcow2._words
    monkeypatch.setattr(qcow2, "_words", lambda *asked: (seen.append(asked), words(*asked))[1])
    qcow2.check_whole(tmp_path / "x.qcow2")
    assert len(seen) == 2


@pytest.mark.parametrize("form", ["raw", "qcow2"])
@pytest.mark.parametrize("options", ["", "compress: none, ", "compat: 0.10, compress: none, snapshot: s, "])
def test_over_a_backing_file_only_what_differs_is_kept(build: DiskBuild, form: str, options: str) -> None:
    """It is the same disk, a fraction of its size, and names the backing file and its format; twice the same bytes."""
    raw, base = based(build, form)
    build.write_recipe(DISK + f"outputs: [raw, qcow2: {{{options}backing: base.{form}}}]\n")
    image = build.site.output("box.qcow2")
    made = []
    for _ in range(2):
        build.run("convert/qcow2")
        made.append(image.read_bytes())
    assert made[0] == made[1]
    found = info(image)
    assert (found["backing-filename"], found["backing-filename-format"]) == (f"../../base.{form}", form)
    assert (image.parent / found["backing-filename"]).samefile(base)
    assert len(made[0]) < 3 << 20
    qemu_img("compare", "-f", "raw", "-F", "qcow2", raw, image)
    qemu_img("check", "-f", "qcow2", image)


def test_a_backing_file_is_what_the_recipe_says(build: DiskBuild) -> None:
    """A raw one with the header of a qcow2 is taken as the bytes it is; one that names further files is refused."""
    raw, base = based(build, "raw")
    with base.open("r+b") as file:
        file.write(b"QFI\xfb" + (3).to_bytes(4, "big"))
    build.write_recipe(DISK + "outputs: [raw, qcow2: {backing: base.raw}]\n")
    build.run("convert/qcow2")
    qemu_img("compare", "-f", "raw", "-F", "qcow2", raw, build.site.output("box.qcow2"))
    chained = build.folder / "chained"
    qemu_img("create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", chained, "1M")
    build.write_recipe(DISK + "outputs: [raw, qcow2: {backing: chained, backing_format: qcow2}]\n")
    with pytest.raises(BootsmithError, match=r"refers to a backing file \(/etc/passwd\)"):
        build.run("convert/qcow2")


def test_the_backing_file_is_an_input(build: DiskBuild) -> None:
    """What it holds, what it is and where it is from the output are all in the key (L10)."""
    based(build, "qcow2")
    build.write_recipe(DISK + "outputs: [raw, qcow2: {backing: base.qcow2}]\n")
    (stage,) = convert.stages(build.recipe, build.site)
    assert stage.inputs["backing"] == build.folder / "base.qcow2"
    assert stage.params["backing"] == ["qcow2", "../../base.qcow2"]


def test_a_snapshot_is_the_disk_as_it_was_made(build: DiskBuild) -> None:
    """Dated as the image is, the same bytes on any day; applied, it brings back the disk whatever was written."""
    raw = build.raw_disk()
    build.write_recipe(DISK + "outputs: [raw, qcow2: {snapshot: fresh}]\n")
    build.run("convert/qcow2")
    image = build.site.output("box.qcow2")
    (snapshot,) = info(image)["snapshots"]
    assert (snapshot["name"], snapshot["date-sec"], snapshot["date-nsec"]) == ("fresh", EPOCH, 0)
    first = image.read_bytes()
    build.run("convert/qcow2")
    assert image.read_bytes() == first
    qemu_img("check", "-f", "qcow2", image)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 3M", image], capture_output=True, check=True)
    with pytest.raises(subprocess.CalledProcessError):
        qemu_img("compare", "-f", "raw", "-F", "qcow2", raw, image)
    qemu_img("snapshot", "-a", "fresh", image)
    qemu_img("compare", "-f", "raw", "-F", "qcow2", raw, image)


def same_content(raw: Path, image: Path, passphrase: str) -> bool:
    """Tell whether an encrypted image opens by its passphrase and holds the disk."""
    name = str(image).replace(",", ",,")
    done = subprocess.run(
        [
            *("qemu-img", "compare", "--object", "secret,id=p,file=/dev/stdin", "--image-opts"),
            f"driver=raw,file.filename={str(raw).replace(',', ',,')}",
            f"driver=qcow2,file.filename={name},encrypt.key-secret=p",
        ],
        input=passphrase.encode(), capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


def test_an_encrypted_image_opens_by_its_passphrase_alone(build: DiskBuild) -> None:
    """LUKS in qcow2, its snapshot too; its bytes tell nothing of the disk, and what takes no passphrase says so."""
    (build.folder / "passphrase").write_text(PASSPHRASE + "\n")
    raw = build.raw_disk()
    build.write_recipe(DISK + "outputs: [raw, qcow2: {encrypt: {file: passphrase}, snapshot: fresh}]\n")
    build.run("convert/qcow2")
    image = build.site.output("box.qcow2")
    found = info(image)
    assert found["encrypted"]
    assert found["format-specific"]["data"]["encrypt"]["format"] == "luks"
    assert [each["name"] for each in found["snapshots"]] == ["fresh"]
    assert same_content(raw, image, PASSPHRASE)
    assert not same_content(raw, image, "another")
    assert b"contentcontent" in raw.read_bytes()
    assert b"contentcontent" not in image.read_bytes()
    with pytest.raises(UsageError, match="is encrypted"):
        inspect(image)
    with pytest.raises(BootsmithError, match=r"is encrypted\n  Give its passphrase: --passphrase file:PATH"):
        images.identify(image)


@pytest.mark.parametrize("passphrase", [b"", b"\n", b"\xff", b"a\0b"])
def test_what_is_no_passphrase_is_refused(build: DiskBuild, passphrase: bytes) -> None:
    """Nothing, or what is no text, is refused in words before qemu-img sees it."""
    (build.folder / "passphrase").write_bytes(passphrase)
    build.raw_disk()
    build.write_recipe(DISK + "outputs: [raw, qcow2: {encrypt: {file: passphrase}}]\n")
    with pytest.raises(StageError, match="this is no passphrase"):
        build.run("convert/qcow2")


def project(top: Path, output: str) -> None:
    """Make a project of one recipe that needs nothing but files beside it."""
    recipes = top / "recipes"
    (recipes / "tree").mkdir(parents=True)
    (recipes / "tree/init").write_bytes(stand_in("hello"))
    (recipes / "tree/sbin").mkdir()
    (recipes / "tree/sbin/init").touch(0o755)
    (recipes / "vmlinuz").write_bytes(bzimage())
    (recipes / "own.yaml").write_text(OWN + f"outputs: [raw, qcow2: {output}]\n")
    (top / "dodo.py").write_text(dodo("recipes/own.yaml"))


def test_a_build_leaves_no_passphrase_and_brings_back_the_same_file(tmp_path: Path) -> None:
    """Build directory and cache hold no passphrase; a lost output is the same file again; a new one makes it anew."""
    project(tmp_path, "{encrypt: {file: passphrase}}")
    (tmp_path / "recipes/passphrase").write_text(PASSPHRASE)
    image = tmp_path / "build/own/own.qcow2"
    assert PASSPHRASE not in doit(tmp_path, "image")
    first = image.read_bytes()
    left = [path for place in ("build", "cache") for path in (tmp_path / place).rglob("*") if path.is_file()]
    assert any(path.name == "convert+qcow2.log" for path in left)
    assert not [path for path in left if PASSPHRASE.encode() in path.read_bytes()]
    image.unlink()
    doit(tmp_path, "image")
    assert image.read_bytes() == first
    (tmp_path / "recipes/passphrase").write_text("another")
    doit(tmp_path, "image")
    assert image.read_bytes() != first


def test_another_backing_file_makes_another_image(tmp_path: Path) -> None:
    """One byte of the backing file changes: the output alone is made again, and is the disk again (L17, V6)."""
    project(tmp_path, "{backing: base.img}")
    base, image = tmp_path / "recipes/base.img", tmp_path / "build/own/own.qcow2"
    base.write_bytes(bytes(8 << 20))
    doit(tmp_path, "image")
    assert "fresh    convert/qcow2" in doit(tmp_path, "image")
    with base.open("r+b") as file:
        file.seek(5 << 20)
        file.write(b"x")
    said = doit(tmp_path, "image")
    assert "recipes/base.img changed" in said
    assert said.count("built ") == 1
    qemu_img("compare", "-f", "raw", "-F", "qcow2", image.with_suffix(".raw"), image)


def test_an_output_is_not_its_own_backing_file(tmp_path: Path) -> None:
    """What the recipe itself makes cannot be what its output differs from."""
    project(tmp_path, "{}")
    doit(tmp_path, "image")
    recipe = tmp_path / "recipes/own.yaml"
    for name in ("own.qcow2", "own.raw"):
        recipe.write_text(OWN + f"outputs: [raw, qcow2: {{backing: ../build/own/{name}}}]\n")
        assert f"{name} is made by this very recipe; name another image" in doit(tmp_path, "image", status=3)


@pytest.mark.parametrize(
    "options",
    [
        "preallocation=off", "preallocation=metadata", "preallocation=full", "compat=0.10", "cluster_size=2M",
        "extended_l2=on,cluster_size=16K", "compression_type=zlib", "compression_type=zstd",
    ],
)  # fmt: skip
def test_one_cut_off_is_refused(options: str, tmp_path: Path) -> None:
    """Where a qcow2 ends too soon QEMU reads zeros, and would start, or read, half a disk: it is refused."""
    raw, image = tmp_path / "disk", tmp_path / "disk.qcow2"
    with raw.open("wb") as disk:
        for start in (0, 3 << 20, 9 << 20, 63 << 20):
            disk.seek(start)
            disk.write(random.Random(start).randbytes(1 << 20))
        disk.seek(70 << 20)
        disk.truncate()
    packed = ["-c"] if "compression" in options else []
    qemu_img("convert", "-O", "qcow2", *packed, "-o", options, raw, image)
    assert images.identify(image) == inspect(image).format == "qcow2"
    whole = image.stat().st_size
    for size in (whole - (2 << 20), whole // 2, whole // 8, 8 << 10):
        os.truncate(image, size)
        for look in (inspect, images.identify):
            with pytest.raises(BootsmithError, match=rf"disk\.qcow2 is damaged or cut off: it ends after {size} bytes"):
                look(image)
