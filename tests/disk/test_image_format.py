"""A disk image is known by its first bytes, and may not lead QEMU to other files."""

from __future__ import annotations

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


@pytest.mark.parametrize("form", ["raw", "qcow2", "vmdk", "vhdx", "vdi", "vpc"])
def test_the_format_is_told_by_content(tmp_path: Path, form: str) -> None:
    """Every format that QEMU itself writes is known by its content, whatever the file is called."""
    assert image_format.identify(made(tmp_path, form).rename(tmp_path / "disk")) == form


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
