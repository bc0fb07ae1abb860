"""A disk image is known by its first bytes, and may not lead QEMU to other files."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.disk import image_format
from bootsmith.tasks.errors import BootsmithError, InputMissing
from bootsmith.tasks.tools import host


def made(tmp_path: Path, form: str, *options: str) -> Path:
    path = tmp_path / f"disk.{form}"
    subprocess.run([host.find("qemu-img"), "create", "-q", "-f", form, *options, path, "8M"], check=True)
    return path


def by_qemu(path: Path, form: str, options: str) -> str:
    """Have qemu-img make an image; return what it takes that for."""
    words = ["--object", "secret,id=p,data=secret", "-f", form, *(["-o", options] if options else []), path, "8M"]
    subprocess.run([host.find("qemu-img"), "create", "-q", *words], check=True)
    printed = subprocess.run([host.find("qemu-img"), "info", "--output=json", path], capture_output=True, check=True)
    told: str = json.loads(printed.stdout)["format"]
    return told


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("raw", ""), ("qcow2", ""), ("qcow2", "compat=0.10"), ("vmdk", ""), ("vmdk", "subformat=streamOptimized"),
        ("vhdx", ""), ("vhdx", "subformat=fixed"), ("vdi", ""), ("vdi", "static=on"), ("vpc", ""),
    ],
)  # fmt: skip
def test_the_format_is_told_as_qemu_tells_it(tmp_path: Path, form: str, options: str) -> None:
    """By content, whatever a file is called: the format that qemu-img finds."""
    assert by_qemu(tmp_path / "disk", form, options) == image_format.identify(tmp_path / "disk") == form


@pytest.mark.parametrize(
    ("form", "options", "what"),
    [
        ("vmdk", "subformat=monolithicFlat", "is the text part of a VMDK, the disk is in other files\n"),
        ("qed", "", "is a QED image"),
        ("qcow", "", "is a qcow image of the first version"),
        ("parallels", "", "is a Parallels image"),
    ],
)
def test_what_qemu_knows_and_we_refuse_is_named(tmp_path: Path, form: str, options: str, what: str) -> None:
    """It is not read as if it were raw."""
    assert by_qemu(tmp_path / "disk", form, options) == form
    with pytest.raises(BootsmithError, match=what):
        image_format.identify(tmp_path / "disk")


def test_the_text_of_a_vmdk_leads_to_its_disk(tmp_path: Path) -> None:
    """Which can be named itself: it is raw."""
    by_qemu(tmp_path / "disk.vmdk", "vmdk", "subformat=monolithicFlat")
    with pytest.raises(BootsmithError) as refused:
        image_format.identify(tmp_path / "disk.vmdk")
    assert refused.value.hint == "The disk is disk-flat.vmdk: name that file, which is raw."
    assert image_format.identify(tmp_path / "disk-flat.vmdk") == "raw"
    assert image_format.identify(tmp_path / "disk.vmdk", follow=True) == "vmdk"


def test_what_is_not_read_here_is_not_read_as_raw(tmp_path: Path) -> None:
    """Images of formats that no program here makes are told by their magic."""
    path = tmp_path / "disk"
    for content, what in (
        (bytes(1024) + b"koly".ljust(512), "a disk image of Apple's"), (b"COWD".ljust(512), "a VMDK of ESX's old kind"),
        (b"Bochs Virtual HD Image".ljust(512), "a Bochs image"), (b"WithouFreSpacExt".ljust(512), "a Parallels image"),
    ):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(BootsmithError, match=f"is {what}, which is not read here"):
            image_format.identify(path)


def test_a_fixed_vhd_is_known_by_its_end(tmp_path: Path) -> None:
    """A fixed VHD begins with the guest's own sector; its last one tells."""
    assert image_format.identify(made(tmp_path, "vpc", "-o", "subformat=fixed")) == "vpc"


def test_a_cd_is_known(tmp_path: Path) -> None:
    """An ISO 9660 is a CD, unless one says that it is to be a disk; VHD may be called so."""
    disk = made(tmp_path, "raw")
    with disk.open("r+b") as file:
        file.seek(0x8001)
        file.write(b"CD001")
    assert (image_format.identify(disk), image_format.identify(disk, "iso"), image_format.identify(disk, "raw")) == (
        "iso",
        "iso",
        "raw",
    )
    assert image_format.identify(made(tmp_path, "vpc"), "vhd") == "vpc"


def test_raw_on_demand_is_raw(tmp_path: Path) -> None:
    """What is said to be raw is taken as raw: a guest may well write another format's magic into its first sector."""
    path = made(tmp_path, "qcow2")
    assert image_format.identify(path, "raw") == "raw"


def test_a_wrong_format_is_refused(tmp_path: Path) -> None:
    """A format that the content contradicts is refused, naming the right one."""
    with pytest.raises(BootsmithError, match="is not qcow2 but raw\n"):
        image_format.identify(made(tmp_path, "raw"), "qcow2")


def test_a_hostile_backing_file_is_refused(tmp_path: Path) -> None:
    """A qcow2 that names a file of this host as its backing file is not opened; the file is named."""
    secret = tmp_path / "shadow"
    secret.write_bytes(b"root:x:".ljust(512))
    path = made(tmp_path, "qcow2", "-b", str(secret), "-F", "raw")
    with pytest.raises(BootsmithError, match=rf"refers to a backing file \({secret}\)"):
        image_format.identify(path)


def test_a_hostile_data_file_is_refused(tmp_path: Path) -> None:
    """A qcow2 whose data are in another file is not opened."""
    path = made(tmp_path, "qcow2", "-o", f"data_file={tmp_path / 'data'},data_file_raw=on")
    with pytest.raises(BootsmithError, match="refers to an external data file"):
        image_format.identify(path)


def test_a_vmdk_of_several_files_is_refused(tmp_path: Path) -> None:
    """A VMDK whose descriptor lists other files is not opened."""
    with pytest.raises(BootsmithError, match="the disk is in other files"):
        image_format.identify(made(tmp_path, "vmdk", "-o", "subformat=monolithicFlat"))
    sparse = tmp_path / "sparse.vmdk"
    sparse.write_bytes(b"KDMV" + struct.pack("<II", 1, 3) + bytes(8) + b"\1".ljust(500))
    with pytest.raises(BootsmithError, match="refers to extents in other files"):
        image_format.identify(sparse)


def test_a_text_beyond_the_end_is_none(tmp_path: Path) -> None:
    """A VMDK whose header places its text nowhere is judged all the same."""
    path = made(tmp_path, "vmdk")
    with path.open("r+b") as file:
        file.seek(28)
        file.write(b"\xff" * 8)
    assert image_format.identify(path) == "vmdk"


def test_a_hostile_parent_is_refused(tmp_path: Path) -> None:
    """A VMDK or VHD that differs from another image, whose name it has, is not opened; `follow` opens it."""
    secret = made(tmp_path, "vmdk").rename(tmp_path / "parent.vmdk")
    path = made(tmp_path, "vmdk", "-b", str(secret), "-F", "vmdk")
    assert b"parentFileNameHint" in path.read_bytes()
    with pytest.raises(BootsmithError, match="refers to a parent"):
        image_format.identify(path)
    assert image_format.identify(path, follow=True) == "vmdk"
    vhd = made(tmp_path, "vpc")
    with vhd.open("r+b") as file:
        file.seek(60)
        file.write(struct.pack(">I", 4))
    with pytest.raises(BootsmithError, match="refers to a parent"):
        image_format.identify(vhd)


@pytest.mark.parametrize(
    ("head", "what"), [(b"\x1f\x8b\x08", "gunzip"), (b"\xfd7zXZ\0", "unxz"), (b"\x28\xb5\x2f\xfd", "unzstd")]
)
def test_a_compressed_image_says_how_to_unpack_it(tmp_path: Path, head: bytes, what: str) -> None:
    """A compressed image is refused with the command that unpacks it."""
    path = tmp_path / "disk"
    path.write_bytes(head)
    with pytest.raises(BootsmithError, match=what):
        image_format.identify(path)


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", b"KDMV"])
def test_a_stub_is_no_traceback(tmp_path: Path, content: bytes) -> None:
    """A file too short for its own header is judged all the same."""
    path = tmp_path / "disk"
    path.write_bytes(content)
    if content == b"KDMV":
        with pytest.raises(BootsmithError):
            image_format.identify(path)
    else:
        assert image_format.identify(path) == ("qcow2" if content else "raw")


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    """A file that is not there, and a directory, are errors that name them."""
    with pytest.raises(InputMissing, match="nothing does not exist"):
        image_format.identify(tmp_path / "nothing")
    with pytest.raises(BootsmithError, match="Is a directory"):
        image_format.identify(tmp_path)
