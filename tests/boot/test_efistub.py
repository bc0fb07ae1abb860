"""Kernel images that the firmware starts, alone or shown by systemd-boot, signed or not; where EFI programs stand."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.boot import pe
from bootsmith.tasks.boot.pe import Program
from bootsmith.tasks.disk import gpt
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import host
from bootsmith.tasks.tree import layer

from tests.support.disk_build import DiskBuild
from tests.support.signing_keys import make_key
from tests.support.tar_members import member

STUB = host.find("systemd-stub").read_bytes()
SYSTEMD_BOOT = host.find("systemd-boot").read_bytes()
ROOT = "{mount: /, uuid: 01234567-89ab-cdef-0123-456789abcdef}"
DISK = f"disk: {{partitions: {{esp: {{size: 64M, mount: /boot/efi}}, root: {ROOT}}}}}\n"
CMDLINE = b"quiet"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """A build whose kernel is an EFI program, as kernels are, and whose tree brings stub and loader."""
    made = DiskBuild(tmp_path, monkeypatch, DISK)
    made.site.kernel.write_bytes(SYSTEMD_BOOT)
    folder = "usr/lib/systemd/boot/efi"
    made.base({"./": member("d"), f"{folder}/linuxx64.efi.stub": STUB, f"{folder}/systemd-bootx64.efi": SYSTEMD_BOOT})
    return made


def made(build: DiskBuild, boot: str) -> dict[str, bytes]:
    """Return the files of the loaders' layer for a recipe with that `boot:`."""
    build.write_recipe(DISK + f"boot: {{root: none, console: [], cmdline: quiet, {boot}}}\n")
    build.run("bootloader")
    found = build.site.loader
    return {
        entry.path.removeprefix("esp/"): layer.read_member(found.tar, entry)
        for entry in layer.read_index(found.index)
        if entry.type == "f"
    }


def image(data: bytes) -> Program:
    return pe.parse(data, "the image")


def test_one_program_holds_all(build: DiskBuild) -> None:
    """Kernel, initrd, command line, version and os-release stand in the one file the firmware starts (A6)."""
    files = made(build, "loader: efistub")
    assert set(files) == {"EFI/BOOT/BOOTX64.EFI"}
    found = image(files["EFI/BOOT/BOOTX64.EFI"])
    assert (found.content(".linux") or b"").startswith(SYSTEMD_BOOT)
    assert found.content(".initrd") == build.site.initrd.read_bytes()
    assert found.content(".cmdline") == CMDLINE
    assert found.content(".uname") == b"6.1.0-9-cloud-amd64"
    assert found.content(".osrel") == b'ID=debian\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'
    assert found.content(".text") == image(STUB).content(".text")


def test_the_vendors_path_as_asked(build: DiskBuild) -> None:
    """Besides the removable path, or instead of it (C14)."""
    also = made(build, "loader: efistub, removable: also")
    assert set(also) == {"EFI/BOOT/BOOTX64.EFI", "EFI/Linux/default.efi"}
    assert also["EFI/BOOT/BOOTX64.EFI"] == also["EFI/Linux/default.efi"]
    assert set(made(build, "loader: efistub, removable: no")) == {"EFI/Linux/default.efi"}
    assert "EFI/systemd/systemd-bootx64.efi" in made(build, "removable: also")
    grub = made(build, "loader: grub-efi, removable: also, packages: false")
    assert grub["EFI/debian/grubx64.efi"] == grub["EFI/BOOT/BOOTX64.EFI"]
    assert set(made(build, "loader: grub-efi, removable: no, packages: false, place: esp")) == {
        "EFI/debian/grubx64.efi", "grub/grub.cfg"
    }  # fmt: skip


def test_systemd_boot_shows_one_image_for_each_entry(build: DiskBuild) -> None:
    """They are its entries: none of the other kind is written, and they sort as the recipe has them."""
    files = made(
        build, "loader: [efistub, systemd-boot], default: b, entries: {a: {title: 'A \"1\"'}, b: {cmdline: debug}}"
    )
    assert set(files) == {"EFI/BOOT/BOOTX64.EFI", "EFI/Linux/a.efi", "EFI/Linux/b.efi", "loader/loader.conf"}
    assert files["EFI/BOOT/BOOTX64.EFI"] == SYSTEMD_BOOT
    assert files["loader/loader.conf"] == b"default b.efi\ntimeout 5\n"
    first, second = image(files["EFI/Linux/a.efi"]), image(files["EFI/Linux/b.efi"])
    assert b'PRETTY_NAME="A \\"1\\""\nIMAGE_ID=0001.a\n' in (first.content(".osrel") or b"")
    assert b"IMAGE_ID=0002.b\n" in (second.content(".osrel") or b"")
    assert (first.content(".cmdline"), second.content(".cmdline")) == (b"quiet", b"quiet debug")


def test_what_a_key_signs(build: DiskBuild) -> None:
    """Every EFI program is signed; keys for the firmware are offered where asked; the same bytes twice (V24)."""
    make_key(build.folder)
    keys = "secure_boot: {key: {file: mine.key}, certificate: mine.crt"
    files = made(build, f"loader: [systemd-boot, efistub], {keys}, enroll: true}}")
    programs = {name for name in files if name.lower().endswith(".efi")}
    assert programs == {"EFI/BOOT/BOOTX64.EFI", "EFI/Linux/default.efi"}
    assert all(image(files[name]).signatures != (0, 0) for name in programs)
    assert {name for name in files if name.endswith(".auth")} == {
        f"loader/keys/auto/{name}.auth" for name in ("PK", "KEK", "db")
    }
    assert made(build, f"loader: [systemd-boot, efistub], {keys}, enroll: true}}") == files
    assert not any("auth" in name for name in made(build, f"loader: efistub, {keys}}}"))


def test_the_key_is_part_of_the_stages_key(build: DiskBuild) -> None:
    """As a secret, by reference: neither among the parameters nor among the inputs."""
    key, certificate = make_key(build.folder)
    made(build, "loader: efistub, secure_boot: {key: {file: mine.key}, certificate: mine.crt}")
    stage = build.stages()["bootloader"]
    assert [secret.file for secret in stage.secrets.values()] == [key]
    assert key not in stage.inputs.values()
    assert stage.inputs["certificate"] == certificate
    assert "openssl" in stage.tools


def test_a_kernel_without_its_own_stub_is_refused(build: DiskBuild) -> None:
    """What systemd's stub could not start is told when the image is made, not when it fails to boot."""
    build.site.kernel.write_bytes(b"\x7fELF" * 1000)
    with pytest.raises(StageError, match=r"the kernel .* is not a 64-bit EFI program"):
        made(build, "loader: efistub")


def test_an_esp_of_automatic_size_holds_the_images(build: DiskBuild) -> None:
    """Its size grows with kernel and initrd, once for each image."""
    build.site.initrd.write_bytes(bytes(60 << 20))
    build.write_recipe(DISK.replace("size: 64M, ", "") + "boot: {loader: efistub, removable: also}\n")
    build.run("bootloader", "partition", "populate/esp")
    assert build.site.partition_image("esp").stat().st_size > 120 << 20


def test_ones_own_files_are_taken_as_they_are(build: DiskBuild) -> None:
    """loader.conf and grub.cfg of the recipe's stand where the usual ones would, byte for byte (W13)."""
    (build.folder / "own").write_bytes(b"# mine\r\n\xff")
    assert made(build, "config: {loader.conf: own}")["loader/loader.conf"] == b"# mine\r\n\xff"
    files = made(build, "loader: grub-efi, packages: false, place: esp, config: {grub.cfg: own}")
    assert files["grub/grub.cfg"] == b"# mine\r\n\xff"


def test_further_modules_of_grub(build: DiskBuild) -> None:
    """They are in its image; one that does not exist is named, with the one that was meant (W13)."""
    usual = made(build, "loader: grub-efi, packages: false")["EFI/BOOT/BOOTX64.EFI"]
    more = made(build, "loader: grub-efi, packages: false, grub_modules: [png, part_gpt]")["EFI/BOOT/BOOTX64.EFI"]
    assert len(more) > len(usual)
    with pytest.raises(StageError, match="no module jpg") as caught:
        made(build, "loader: grub-efi, packages: false, grub_modules: [jpg]")
    assert caught.value.hint == "Did you mean jpeg?"


def test_entries_stand_beside_kernels_on_a_boot_partition(build: DiskBuild) -> None:
    """With a FAT /boot besides the ESP, kernel and entries are on it, as the Boot Loader Specification has it (A9)."""
    build.write_recipe(
        f"disk: {{partitions: {{esp: {{size: 64M}}, boot: {{mount: /boot, size: 64M}}, root: {ROOT}}}}}\n"
    )
    build.run("bootloader")
    entries = layer.read_index(build.site.loader.index)
    assert {each.path for each in entries if each.type == "f"} == {
        "esp/EFI/BOOT/BOOTX64.EFI", "esp/loader/loader.conf", "boot/loader/entries/default.conf"
    }  # fmt: skip
    entry = next(each for each in entries if each.name == "default.conf")
    assert b"linux /vmlinuz-6.1.0-9-cloud-amd64\n" in layer.read_member(build.site.loader.tar, entry)


def test_a_workshops_own_layout(build: DiskBuild) -> None:
    """ESP of 100M called "EFI System", bit 2, kernel on it, own grub.cfg, further modules: as written (W13)."""
    own = b"set timeout=0\nlinux /debian/6.1.0-9-cloud-amd64/linux\nboot\n"
    (build.folder / "grub.cfg").write_bytes(own)
    build.write_recipe(
        "disk: {partitions: {esp: {size: 100M, name: EFI System, attributes: [2]},"
        " root: {mount: /, label: slim-rootfs}}}\n"
        "boot: {loader: grub-efi, packages: false, place: esp, timeout: 0, config: {grub.cfg: grub.cfg},"
        " grub_modules: [png, jpeg]}\n"
    )
    raw = build.raw_disk()
    with raw.open("rb") as file:
        table = gpt.decode(lambda at, size: os.pread(file.fileno(), size, at), raw.stat().st_size)
    assert table is not None
    esp = table.slots[0]
    assert (esp.name, esp.size, esp.attributes) == ("EFI System", 100 << 20, 1 << 2)
    for name, content in (("grub/grub.cfg", own), ("debian/6.1.0-9-cloud-amd64/linux", SYSTEMD_BOOT)):
        words = ["mcopy", "-n", "-i", build.site.partition_image("esp"), f"::/{name}", "-"]
        assert subprocess.run(words, check=True, capture_output=True).stdout == content
