"""The formats side by side, of one disk made twice: the same bytes, the same disk to others, and it boots."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bootsmith.tasks.disk.image_format import identify

from tests.support import image_readers, tiny_kernel
from tests.support.disk_build import DiskBuild
from tests.support.tar_members import EPOCH

MIB = 1 << 20
DISK = """\
version: 1.5
description: a <box> & more
disk: {partitions: {root: {mount: /, extra: 20M}}}
boot: {loader: grub-bios, packages: false}
machine: {memory: 1500M, cpus: 3, drive: sata, nic: e1000}
outputs:
  - raw
  - raw: {file: again.raw}
  - raw: {compress: gzip}
  - raw: {compress: xz}
  - raw: {compress: zstd}
  - qcow2
  - vhd
  - vhd: {file: fixed.vhd, subformat: fixed}
  - vhdx
  - vhdx: {file: fixed.vhdx, subformat: fixed}
  - vdi
  - vdi: {file: fixed.vdi, subformat: fixed}
  - vmdk
  - vmdk: {file: flat.vmdk, subformat: monolithicFlat}
  - vmdk: {file: stream.vmdk, subformat: streamOptimized}
  - azure
  - aws: {bucket: images.example}
  - ova
  - ovf
  - box
  - box: {provider: virtualbox}
"""


class Pair(NamedTuple):
    """One recipe, built in two folders that know nothing of each other; `raw` is the first one's disk."""

    one: DiskBuild
    other: DiskBuild
    raw: Path

    def made(self, stage: str) -> list[Path]:
        """Run a stage in both; return the files of the first, the same as those of the second."""
        found = []
        for build in (self.one, self.other):
            files = [*build.stages()[stage].outputs.values()]
            if not files[0].exists():
                build.run(stage)
            found.append(files)
        for file, twin in zip(*found, strict=True):
            assert file.read_bytes() == twin.read_bytes(), file.name
        return found[0]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The disk, twice."""
    with pytest.MonkeyPatch.context() as patch:
        one, other = (tiny_kernel.disk_build(tmp_path_factory.mktemp(name), patch, DISK) for name in ("one", "other"))
        raw = one.raw_disk()
        assert raw.read_bytes() == other.raw_disk().read_bytes()
        twin = other.site.output("box.raw")  # the same bytes in other holes: what is made of it may not tell
        data = twin.read_bytes()
        twin.unlink()
        twin.write_bytes(data)
        yield Pair(one, other, raw)


def qemu_img(*words: str | Path) -> str:
    """Run qemu-img; return what it prints."""
    return subprocess.run(["qemu-img", *words], capture_output=True, check=True, text=True).stdout


def same_disk(pair: Pair, image: Path, form: str) -> dict[str, Any]:
    """Have qemu-img find an image whole, and the same disk as the raw one; return what it says of it."""
    assert "identical" in qemu_img("compare", "-f", "raw", "-F", form, pair.raw, image)
    if form in ("qcow2", "vmdk", "vdi", "vhdx"):  # those that it checks
        qemu_img("check", "-q", "-f", form, image)
    found: dict[str, Any] = json.loads(qemu_img("info", "--output=json", "-f", form, image))
    assert found["virtual-size"] == pair.raw.stat().st_size
    return found


IMAGES = [
    ("convert/qcow2", "qcow2"),
    ("convert/vhd", "vpc"),
    ("convert/vhd-2", "vpc"),
    ("convert/vhdx", "vhdx"),
    ("convert/vhdx-2", "vhdx"),
    ("convert/vdi", "vdi"),
    ("convert/vdi-2", "vdi"),
    ("convert/vmdk", "vmdk"),
    ("convert/vmdk-3", "vmdk"),
    ("convert/azure", "vpc"),
    ("convert/aws", "vmdk"),
]


@pytest.mark.parametrize(("stage", "form"), IMAGES)
def test_an_image_is_the_disk_and_the_same_each_time(pair: Pair, stage: str, form: str) -> None:
    """Byte for byte in any folder; to qemu-img identical, clean, as large to the sector; known by its content (W1)."""
    image = pair.made(stage)[0]
    same_disk(pair, image, form)
    assert identify(image) == form


@pytest.mark.parametrize(
    ("stage", "form"),
    [*(each for each in IMAGES if each[0] not in ("convert/azure", "convert/aws")), ("convert/vmdk-2", "vmdk")],
)
@pytest.mark.boot
def test_an_image_boots(pair: Pair, stage: str, form: str, tmp_path: Path) -> None:
    """QEMU starts a machine from it as from the raw disk (W1)."""
    heard = tiny_kernel.serial_of(pair.made(stage)[0], tmp_path / "serial.log", form=form)
    assert re.search("tiny kernel: .*; initrd: 070701.*tiny initrd", heard), heard


@pytest.mark.parametrize("stage", ["convert/vhd", "convert/vhdx", "convert/vdi", "convert/vmdk", "convert/vmdk-3"])
def test_an_image_takes_no_room_for_what_is_not_there(pair: Pair, stage: str) -> None:
    """As little as the raw disk does, but for tables and whole blocks (W2)."""
    image = pair.made(stage)[0]
    assert image.stat().st_blocks * 512 <= pair.raw.stat().st_blocks * 512 + 2 * MIB
    assert image.stat().st_size < pair.raw.stat().st_size


def test_a_flat_vmdk_is_a_text_and_the_disk(pair: Pair) -> None:
    """The text names the disk beside it, by its name alone."""
    text, disk = pair.made("convert/vmdk-2")
    assert disk.read_bytes() == pair.raw.read_bytes()
    assert image_readers.vmdk_text(text)["extent"] == f'RW {disk.stat().st_size // 512} FLAT "flat-flat.vmdk" 0'
    same_disk(pair, text, "vmdk")


def test_a_vmdk_says_what_it_is(pair: Pair) -> None:
    """Each its own CID and UUIDs, which follow from the disk and the recipe; no parent; the type as asked for."""
    texts = {
        name: image_readers.vmdk_text(pair.made(name)[0])
        for name in ("convert/vmdk", "convert/vmdk-2", "convert/vmdk-3")
    }
    assert [each["createType"] for each in texts.values()] == ["monolithicSparse", "monolithicFlat", "streamOptimized"]
    for key in ("CID", "ddb.uuid.image", "ddb.uuid.modification"):
        assert len({each[key] for each in texts.values()}) == 3
    assert {each["parentCID"] for each in texts.values()} == {"ffffffff"}
    assert [each["ddb.adapterType"] for each in texts.values()] == ["ide", "ide", "lsilogic"]


def test_a_vhd_ends_with_what_it_is(pair: Pair) -> None:
    """Kind, the recipe's date, and the disk's own size, no geometry's; Azure's is fixed, of whole MiB (C19)."""
    size = pair.raw.stat().st_size
    footers = [image_readers.vhd_footer(pair.made(f"convert/{name}")[0]) for name in ("vhd", "vhd-2", "azure")]
    assert [each.kind for each in footers] == [3, 2, 2]
    assert {each.size for each in footers} == {size}
    assert {each.time for each in footers} == {EPOCH - 946_684_800}
    assert len({each.identity for each in footers}) == 3
    azure = pair.made("convert/azure")[0]
    assert (azure.stat().st_size - 512) % MIB == 0
    assert azure.read_bytes()[:-512] == pair.raw.read_bytes()


@pytest.mark.parametrize(
    ("stage", "unpack"), [("convert/raw-2", "gunzip"), ("convert/raw-3", "unxz"), ("convert/raw-4", "unzstd")]
)
def test_a_packed_disk_is_unpacked_to_the_same(pair: Pair, stage: str, unpack: str) -> None:
    """By the program that everybody has; its map tells which blocks matter, and is right about each (W1)."""
    image, mapped = pair.made(stage)
    with image.open("rb") as packed:
        assert (
            subprocess.run([unpack, "-c"], stdin=packed, capture_output=True, check=True).stdout
            == pair.raw.read_bytes()
        )
    assert mapped.name == f"{image.name}.bmap"
    assert image_readers.block_map(mapped).size == pair.raw.stat().st_size


def test_a_second_raw_disk_is_a_copy(pair: Pair) -> None:
    """With the first one's holes (W18)."""
    (copy,) = pair.made("convert/raw")
    assert copy.read_bytes() == pair.raw.read_bytes()
    assert copy.stat().st_blocks <= pair.raw.stat().st_blocks


def test_amazons_request(pair: Pair) -> None:
    """What `aws ec2 import-image` is told: where the image will be, and how it boots (C19)."""
    _, request = pair.made("convert/aws")
    assert json.loads(request.read_text()) == {
        "Description": "a <box> & more",
        "Architecture": "x86_64",
        "BootMode": "legacy-bios",
        "Platform": "Linux",
        "LicenseType": "BYOL",
        "DiskContainers": [
            {
                "Description": "a <box> & more",
                "Format": "vmdk",
                "UserBucket": {"S3Bucket": "images.example", "S3Key": "box-aws.vmdk"},
            }
        ],
    }


def check_ovf(pair: Pair, folder: Path, stem: str) -> None:
    """Read an OVF in a folder: the machine of the recipe, the disk, and a manifest over both that sha256sum checks."""
    found = image_readers.ovf((folder / f"{stem}.ovf").read_text())
    disk = folder / f"{stem}-disk1.vmdk"
    assert found.disk == (disk.name, disk.stat().st_size, 1)  # a disk of some MiB is one of 1 GiB, rounded up
    assert (found.system, found.version, found.firmware) == (96, "1.5", "bios")
    assert found.items[3]["VirtualQuantity"] == "3"
    assert found.items[4]["VirtualQuantity"] == "1500"
    assert found.items[10]["ResourceSubType"] == "E1000"
    assert (found.items[17]["Parent"], found.items[20]["InstanceID"], found.items[20]["ResourceSubType"]) == (
        "3",
        "3",
        "AHCI",
    )
    lines = (folder / f"{stem}.mf").read_text()
    assert re.findall(r"^SHA256\((.*)\)= ", lines, re.MULTILINE) == [f"{stem}.ovf", f"{stem}-disk1.vmdk"]
    subprocess.run(["sha256sum", "--quiet", "-c", "-"], input=lines, cwd=folder, text=True, check=True)
    same_disk(pair, disk, "vmdk")
    assert image_readers.vmdk_text(disk)["createType"] == "streamOptimized"


def test_an_ovf_describes_the_recipes_machine(pair: Pair) -> None:
    """Hardware from `machine:`, the version, the guest; elements in the schema's order (W11)."""
    description, *_ = pair.made("convert/ovf")
    check_ovf(pair, description.parent, "box")
    assert "a &lt;box&gt; &amp; more" in description.read_text()


def unpacked(archive: Path, folder: Path) -> list[tarfile.TarInfo]:
    """Unpack a tar by the program tar; return its members."""
    folder.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    with tarfile.open(archive) as opened:
        return opened.getmembers()


def test_an_ova_is_the_ovf_in_one_file(pair: Pair, tmp_path: Path) -> None:
    """The description first, its manifest next, as importers read it; nobody's name or clock in the tar (W11)."""
    (archive,) = pair.made("convert/ova")
    members = unpacked(archive, tmp_path / "ova")
    assert [each.name for each in members] == ["box.ovf", "box.mf", "box-disk1.vmdk"]
    assert {(each.uid, each.gid, each.mode, each.mtime, each.type) for each in members} == {(0, 0, 0o644, EPOCH, b"0")}
    check_ovf(pair, tmp_path / "ova", "box")


def test_a_box_for_libvirt(pair: Pair, tmp_path: Path) -> None:
    """A qcow2 of that name, its size in whole GiB, and the machine in a Vagrantfile (W11)."""
    (archive,) = pair.made("convert/box")
    members = unpacked(archive, tmp_path / "box")
    assert [each.name for each in members] == ["metadata.json", "Vagrantfile", "box.img"]
    assert json.loads((tmp_path / "box/metadata.json").read_text()) == {
        "provider": "libvirt", "format": "qcow2", "virtual_size": 1, "architecture": "amd64",
    }  # fmt: skip
    same_disk(pair, tmp_path / "box/box.img", "qcow2")
    assert (tmp_path / "box/Vagrantfile").read_text() == (
        'Vagrant.configure("2") do |config|\n'
        '  config.vm.provider "libvirt" do |machine|\n'
        "    machine.memory = 1500\n"
        "    machine.cpus = 3\n"
        '    machine.disk_bus = "sata"\n'
        '    machine.nic_model_type = "e1000"\n'
        "  end\n"
        "end\n"
    )


def test_a_box_for_virtualbox(pair: Pair, tmp_path: Path) -> None:
    """An OVF called box.ovf, and the address that its network card has, without which Vagrant starts none (W11)."""
    (archive,) = pair.made("convert/box-2")
    members = unpacked(archive, tmp_path / "box")
    assert [each.name for each in members] == ["metadata.json", "Vagrantfile", "box.ovf", "box.mf", "box-disk1.vmdk"]
    assert json.loads((tmp_path / "box/metadata.json").read_text()) == {
        "provider": "virtualbox",
        "architecture": "amd64",
    }
    check_ovf(pair, tmp_path / "box", "box")
    assert re.search(r'config\.vm\.base_mac = "080027[0-9A-F]{6}"\n', (tmp_path / "box/Vagrantfile").read_text())
