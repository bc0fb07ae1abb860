"""Volumes for cloud-init, in both forms, read back by other programs. W10."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk import cidata
from bootsmith.tasks.disk.cidata import CidataParams
from bootsmith.tasks.errors import StageError

from tests.support.single_stage import run_stage
from tests.support.tar_members import EPOCH

USER = b"#cloud-config\npackages: [vim]\n"
NETWORK = b"version: 2\n"


def make(folder: Path, form: str, given: dict[str, bytes], hostname: str = "box") -> Path:
    """Make a volume of files; return it."""
    folder.mkdir()
    inputs = {}
    for key, data in given.items():
        inputs[key] = folder / key
        inputs[key].write_bytes(data)
    params = CidataParams(EPOCH, form, hostname, "2001-02-03-04-05-06-07", "ABCD-1234").to_json()
    image = folder / "out.img"
    stage = Stage(
        "convert/cidata", "bootsmith.tasks.disk.cidata:run", inputs, {"image": image}, params, cidata.TOOLS[form]
    )
    run_stage(stage, folder / "scratch")
    return image


def read(image: Path, form: str, out: Path) -> dict[str, bytes]:
    """Return the volume's files as xorriso, or mtools, read them."""
    out.mkdir()
    if form == "iso":
        words = ["xorriso", "-no_rc", "-osirrox", "on", "-indev", image, "-extract", "/", out / "all"]
    else:
        words = ["mcopy", "-s", "-i", image, "::/", out / "all"]
    subprocess.run(words, capture_output=True, check=True)
    return {path.name: path.read_bytes() for path in (out / "all").iterdir()}


@pytest.mark.parametrize("form", ["iso", "vfat"])
def test_what_is_given_is_there_and_what_is_not_is_completed(tmp_path: Path, form: str) -> None:
    """By the names that cloud-init looks for; the same files give the same bytes in another folder (V11)."""
    given = {"user_data": USER, "network_config": NETWORK}
    image = make(tmp_path / "a", form, given)
    found = read(image, form, tmp_path / "out")
    assert found.keys() == {"user-data", "meta-data", "network-config"}
    assert (found["user-data"], found["network-config"]) == (USER, NETWORK)
    assert re.fullmatch(rb"instance-id: iid-[0-9a-f]{32}\nlocal-hostname: box\n", found["meta-data"])
    assert image.read_bytes() == make(tmp_path / "b", form, given).read_bytes()


@pytest.mark.parametrize(("form", "at", "label"), [("iso", 16 * 2048 + 40, b"cidata"), ("vfat", 43, b"CIDATA")])
def test_it_is_known_by_its_label(tmp_path: Path, form: str, at: int, label: bytes) -> None:
    """Where ECMA-119 and FAT16 have it; it is small, and there without a word of the recipe's."""
    image = make(tmp_path / "a", form, {})
    assert image.read_bytes()[at : at + 7].rstrip() == label
    assert image.stat().st_size <= 4 << 20
    assert read(image, form, tmp_path / "out")["user-data"] == b"#cloud-config\n"


def test_another_content_is_another_instance() -> None:
    """Each of the files counts, and the name: else cloud-init would leave a machine as it is."""
    variants: list[tuple[dict[str, bytes], str]] = [
        ({}, "box"), ({}, "fox"), ({"user_data": USER}, "box"), ({"network_config": NETWORK}, "box"),
        ({"network_config": USER}, "box"), ({"meta_data": b"local-hostname: box\n"}, "box"),
    ]  # fmt: skip
    assert len({cidata.complete(given, name)["meta_data"].splitlines()[0] for given, name in variants}) == len(variants)


@pytest.mark.parametrize(
    ("meta", "kept"),
    [
        (b"instance-id: mine\n", b"instance-id: mine\n"),
        (b'{"instance-id": "mine"}', b'{"instance-id": "mine"}'),
        (b"---\nlocal-hostname: x\n", None),
        (b"region: north\n", None),
    ],
)
def test_meta_data_of_somebody_s_own_names_the_instance(meta: bytes, kept: bytes | None) -> None:
    """It stays as it is, but for an instance-id where it has none."""
    made = cidata.complete({"meta_data": meta}, "box")["meta_data"]
    rest = meta.removeprefix(b"---\n")
    assert made == (kept or made.splitlines(keepends=True)[0] + rest)
    assert b"instance-id" in made


def test_what_cloud_init_would_not_read_is_refused(tmp_path: Path) -> None:
    """Naming key and file; of JSON without an id, that too."""
    with pytest.raises(StageError, match=r"system\.cloud_init\.user_data: .*user_data has a tab before line 2"):
        make(tmp_path / "a", "iso", {"user_data": b"#cloud-config\n\ta: b\n"})
    with pytest.raises(StageError, match="meta_data names no instance"):
        make(tmp_path / "b", "iso", {"meta_data": b'{"region": "north"}'})
    assert not (tmp_path / "a/out.img").exists()
