"""The content of disk images, whatever they are kept in."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.disk import bootable, image_content, passphrase
from bootsmith.tasks.disk.inspect import inspect, to_json
from bootsmith.tasks.errors import BootsmithError, UsageError

from tests.support.printing_disks import encrypted

MIB = 1 << 20


@pytest.fixture(name="raw")
def fixture_raw(tmp_path: Path) -> Path:
    """A raw disk with a FAT partition that holds a loader, in a folder whose name a shell would trip over."""
    folder = tmp_path / "it's $HOME, a folder"
    folder.mkdir()
    image, fat, loader = folder / "disk.raw", tmp_path / "fat.img", tmp_path / "loader.efi"
    loader.write_bytes(b"MZ")
    subprocess.run(["mkfs.vfat", "-C", fat, "4096"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["mmd", "-i", fat, "::/EFI", "::/EFI/BOOT", "::/EFI/debian"], check=True)
    for name in ("BOOT/BOOTX64.EFI", "debian/grubx64.efi"):
        subprocess.run(["mcopy", "-i", fat, loader, f"::/EFI/{name}"], check=True)
    image.write_bytes(bytes(8 * MIB))
    script = "label: gpt\nstart=2048, size=8192, type=U\n"
    subprocess.run(["sfdisk", "-q", image], input=script, text=True, check=True)
    with image.open("r+b") as file:
        file.seek(MIB)
        file.write(fat.read_bytes())
    return image


@pytest.fixture(name="key")
def fixture_key() -> passphrase.Passphrase:
    return passphrase.Passphrase(Secret(env="KEY"), b"sesame")


def test_what_an_encrypted_image_holds(
    raw: Path, key: passphrase.Passphrase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read as the raw disk is, and nothing of it is left anywhere (L17)."""
    image = encrypted(raw, raw.with_name("disk.qcow2"), "sesame")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with image_content.opened(image, "qcow2", key) as disk:
        assert disk.size == raw.stat().st_size
        assert disk.read(0, 2 * MIB) == raw.read_bytes()[: 2 * MIB]
        assert disk.read(disk.size - 1, 10) == raw.read_bytes()[-1:]
        assert list((tmp_path / "temporary").iterdir()) == []
    assert bootable.firmware(image, "qcow2", key) == bootable.firmware(raw, "raw") == {"uefi"}
    assert bootable.vendors(image, "qcow2", (), key) == bootable.vendors(raw, "raw") == "/EFI/debian/grubx64.efi"
    told = [to_json(inspect(raw)), to_json(inspect(image, key))]
    for each in told:
        for name in ("path", "format", "file", "occupied"):
            del each[name]
    assert told[0] == told[1]
    assert told[0]["parts"][0]["loader"] == ("EFI/BOOT/BOOTX64.EFI", "EFI/debian/grubx64.efi")
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_wrong_passphrase_is_said_in_one_line(raw: Path, key: passphrase.Passphrase) -> None:
    """What does not open an image is named, without a word of what it was (L17)."""
    image = encrypted(raw, raw.with_name("disk.qcow2"), "another")
    for look in (lambda: image_content.check(image, "qcow2", key), lambda: inspect(image, key)):
        with pytest.raises(BootsmithError) as caught:
            look()
        assert str(caught.value) == f"{image}: the passphrase given does not open it"
        assert getattr(caught.value, "exit_code", 1) == 1
    with pytest.raises(UsageError, match=r"is encrypted\n.*--passphrase file:PATH"):
        inspect(image)


def test_descriptors_do_not_pile_up(raw: Path, key: passphrase.Passphrase) -> None:
    """What was opened is closed."""
    image = encrypted(raw, raw.with_name("disk.qcow2"), "sesame")
    before = len(list(Path("/dev/fd").iterdir()))
    image_content.check(image, "qcow2", key)
    bootable.firmware(raw, "raw")
    assert len(list(Path("/dev/fd").iterdir())) == before
