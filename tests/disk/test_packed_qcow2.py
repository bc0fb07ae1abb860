"""A packed qcow2 made of the clusters of before: the very bytes that packing the whole disk gives."""

from __future__ import annotations

import random
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from bootsmith.cache.digest.index import Index, index_of
from bootsmith.cache.files import zstandard
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk.packed_length import packed_length
from bootsmith.tasks.disk.qemu_img import Qcow2Params
from bootsmith.tasks.errors import StageError

from tests.support.single_stage import run_stage

MIB = 1 << 20
FORMS = {
    "zstd": (("compat=1.1", "cluster_size=65536", "lazy_refcounts=on", "compression_type=zstd"), None),
    "zlib": (("compat=1.1", "cluster_size=4096", "lazy_refcounts=off", "compression_type=zlib"), None),
    "old": (("compat=0.10", "cluster_size=65536"), None),
    "large": (("compat=1.1", "cluster_size=2097152", "lazy_refcounts=on", "compression_type=zstd"), None),
    "tiny": (("compat=1.1", "cluster_size=512", "lazy_refcounts=on", "compression_type=zlib"), None),
    "snapshot": (("compat=1.1", "cluster_size=65536", "lazy_refcounts=on", "compression_type=zstd"), ("fresh", 1)),
}


def stage(folder: Path, form: str) -> Stage:
    """Return the stage that packs `folder`/disk.raw."""
    options, snapshot = FORMS[form]
    params = Qcow2Params(options, compress=True, backing=None, encrypt=False, snapshot=snapshot).to_json()
    run = "bootsmith.tasks.disk.qemu_img:run_qcow2"
    inputs, outputs = {"disk": folder / "disk.raw"}, {"image": folder / "image.qcow2"}
    return Stage("convert/qcow2", run, inputs, outputs, params, tools=("qemu-img",), carry="image")


def held(path: Path) -> Index:
    """Return what a file holds."""
    with path.open("rb") as file:
        return index_of(file.fileno())


def edit(disk: Path, chance: random.Random) -> None:
    """Write something somewhere: what packs well, what does not, zeros, at the very end too."""
    with disk.open("r+b") as file:
        size = disk.stat().st_size
        for _ in range(chance.randrange(1, 4)):
            length = chance.choice((1, 4096, 70_000, 1_500_000))
            text = chance.choice((chance.randbytes(length), b"text %d " % chance.randrange(99) * length, bytes(length)))
            file.seek(chance.choice((size - length, chance.randrange(0, size - length))))
            file.write(text[:length])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.soak(ci=3, whole=100)
def test_clusters_of_before_give_the_bytes_of_a_whole_conversion(tmp_path: Path, rounds: int, form: str) -> None:
    """Whatever changed in the disk, for every kind of packing; qemu-img finds it clean and the same disk (V11, L8)."""
    chance = random.Random(f"{form} {rounds}")
    made, disk = stage(tmp_path, form), tmp_path / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(5 * MIB + 1024 * chance.randrange(1024))
        file.write(chance.randbytes(300_000) + b"much of the same " * 60_000)
    run_stage(made, tmp_path / "first")
    for number in range(rounds):
        before, previous = held(disk), tmp_path / "previous"
        made.outputs["image"].replace(previous)
        edit(disk, chance)
        run_stage(made, tmp_path / f"pieces {number}", previous=previous, before={"disk": before})
        pieces = made.outputs["image"].read_bytes()
        subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", made.outputs["image"]], check=True)
        both = ["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", disk, made.outputs["image"]]
        subprocess.run(both, check=True)
        run_stage(made, tmp_path / f"whole {number}")
        assert made.outputs["image"].read_bytes() == pieces, number


def test_only_what_changed_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """qemu-img is given a disk that holds the changed chunks alone."""
    from bootsmith.tasks.disk import qemu_img

    made, disk = stage(tmp_path, "zstd"), tmp_path / "disk.raw"
    disk.write_bytes(random.Random(1).randbytes(8 * MIB))
    run_stage(made, tmp_path / "first")
    before, seen = held(disk), []
    with disk.open("r+b") as file:
        file.seek(3 * MIB + 7)
        file.write(b"another")
    shutil.move(made.outputs["image"], tmp_path / "previous")
    run = qemu_img._qemu_img
    monkeypatch.setattr(
        qemu_img, "_qemu_img", lambda *words: (seen.append(Path(words[-2]).stat().st_blocks * 512), run(*words))
    )
    run_stage(made, tmp_path / "second", previous=tmp_path / "previous", before={"disk": before})
    assert seen == [MIB]


def test_a_previous_image_that_is_none_is_refused(tmp_path: Path) -> None:
    """In words; the engine then makes it anew."""
    made, disk = stage(tmp_path, "zstd"), tmp_path / "disk.raw"
    disk.write_bytes(b"1" * MIB)
    for content in (b"", b"QFI\xfb", random.Random(2).randbytes(4096)):
        (tmp_path / "previous").write_bytes(content)
        with pytest.raises(StageError, match="is no packed qcow2"):
            run_stage(made, tmp_path / f"{len(content)}", previous=tmp_path / "previous", before={"disk": held(disk)})


@pytest.mark.parametrize("content", [b"", b"a", bytes(100_000), random.Random(3).randbytes(70_000), b"ab" * 40_000])
def test_where_packed_data_ends_is_told_by_itself(content: bytes) -> None:
    """Whatever stands behind it, and not where it is cut off."""
    deflate = zlib.compressobj(wbits=-12)
    for packed in (zstandard.module().compress(content), deflate.compress(content) + deflate.flush()):
        for behind in (b"", bytes(600), b"\xff" * 600):
            assert packed_length(packed + behind) == len(packed)
        assert packed_length(packed[:-1]) is None
