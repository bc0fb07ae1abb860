"""What a plan's stages come to: products, words for them, and what is kept in no clear form."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.build.plan import Plan
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.planning import products

DISK = Path("/b/disk.raw")
STAGES = (
    Stage("kernel", "m:f", {}, {"kernel": Path("/b/kernel/vmlinuz")}),
    Stage("kernel/own", "m:f", {}, {"kernel": Path("/b/entries/own/vmlinuz")}),
    Stage("partition", "m:f", {}, {"table": Path("/b/table")}),
    Stage("assemble", "m:f", {"table": Path("/b/table")}, {"disk": DISK}),
    Stage("convert/qcow2", "m:f", {"disk": DISK}, {"image": Path("/b/1")}, secrets={"passphrase": Secret(env="P")}),
    Stage("convert/qcow2-2", "m:f", {"disk": DISK}, {"image": Path("/b/2")}),
    Stage("convert/kernel", "m:f", {"kernel": Path("/b/kernel/vmlinuz")}, {"image": Path("/b/3")}),
)


def plan(kept: tuple[str, ...], stages: tuple[Stage, ...] = STAGES) -> Plan:
    """Return a plan whose outputs are those of some stages."""
    outputs = tuple(path for stage in stages if stage.name in kept for path in stage.outputs.values())
    return Plan("toy", Path("/b"), Path("/toy.lock"), 7, Path("/toy.yaml"), "a toy", stages, outputs)


@pytest.mark.parametrize(
    ("kept", "encrypted"),
    [
        (("convert/qcow2",), "convert/qcow2"),
        (("convert/qcow2", "convert/kernel"), "convert/qcow2"),
        (("convert/qcow2", "convert/qcow2-2"), None),
        (("assemble", "convert/qcow2"), None),
        (("convert/qcow2-2",), None),
        (("convert/kernel",), None),
        ((), None),
    ],
)
def test_what_is_kept_in_no_clear_form(kept: tuple[str, ...], encrypted: str | None) -> None:
    """A plan knows whether an encrypted image is the only disk that is kept."""
    found = products.encrypted(plan(kept))
    assert (found.name if found else None) == encrypted


def test_the_disk_and_what_boots_without_are_products() -> None:
    """A past build holds the disk and every kernel, besides what was asked for; never what only leads there."""
    found = products.complete(plan(("convert/qcow2",)))
    assert found.products == ("kernel", "kernel/own", "assemble", "convert/qcow2")
    assert found.groups()["image"] == ("convert/qcow2",)
    assert found.groups()["raw"] == ("assemble",)


def test_an_image_is_read_back(tmp_path: Path) -> None:
    """What reads the disk back is among what `image` stands for, and nothing that is kept or asked for by `raw`."""
    verdicts = Stage("readback", "m:f", {"disk": DISK}, {"verdicts": tmp_path / "verdicts.json"})
    found = products.complete(plan(("convert/qcow2",), (*STAGES, verdicts)))
    assert found.groups()["image"] == ("convert/qcow2", "readback")
    assert [each.name for each in found.needed()] == ["partition", "assemble", "convert/qcow2", "readback"]
    assert "readback" not in (*found.products, *found.groups()["raw"])


def test_without_a_disk_there_is_no_raw() -> None:
    """A recipe that makes no disk knows no word for one."""
    found = products.complete(plan(("convert/kernel",), tuple(each for each in STAGES if each.name != "assemble")))
    assert "raw" not in found.groups()
    assert found.products == ("kernel", "kernel/own", "convert/kernel")


CD = Stage("convert/iso", "m:f", {"root": Path("/b/root")}, {"image": Path("/b/4")})


@pytest.mark.parametrize(
    ("kept", "cd"),
    [
        (("convert/iso",), True),
        (("convert/iso", "convert/kernel"), True),
        (("convert/iso", "assemble"), False),
        (("convert/iso", "convert/qcow2-2"), False),
        (("convert/kernel",), False),
    ],
)
def test_a_cd_is_what_there_is_where_no_disk_is_kept(kept: tuple[str, ...], *, cd: bool) -> None:
    """Commands about an image then mean the CD (W6)."""
    found = products.cd(plan(kept, (*STAGES, CD)))
    assert (found is not None) == cd
