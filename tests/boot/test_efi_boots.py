"""Ways to boot by UEFI, or by nothing, booted: signed kernel images, a /boot of its own, vendors' paths, bare disks."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from bootsmith.tasks.errors import TestFailed
from bootsmith.tasks.machine import boot_setup, boot_test, firmware, qemu
from bootsmith.tasks.machine.accelerator import choose
from bootsmith.tasks.machine.run import Subject

from tests.support.checkout import CHECKOUT
from tests.support.machine_keys import demands, machine
from tests.support.project import dodo, doit
from tests.support.signing_keys import make_key

LONG = 600
SMALL = machine(accel="tcg", memory=256 << 20, nic="none")
ONE = "entries: {second: null}"
SIGNED = "secure_boot: {key: {file: mine.key}, certificate: mine.crt"

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("efi")]


@dataclass(frozen=True)
class Project:
    """Recipes that differ from the small system in how it boots; they share one lock's packages and one cache."""

    top: Path

    def image(self, name: str, text: str) -> Path:
        """Write a recipe, build it, and return its disk."""
        (self.top / f"{name}.yaml").write_text(f"extends: small\n{text}\n")
        self.doit(f"image:{name}")
        return self.top / f"build/{name}/{name}.raw"

    def doit(self, *words: str) -> str:
        """Run `doit WORDS`, which must succeed; return what it printed."""
        return doit(self.top, *words)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project of somebody's own, with two keys of theirs."""
    top = tmp_path_factory.mktemp("efi") / "project"
    shutil.copytree(CHECKOUT / "tests/support/small", top)
    (top / "dodo.py").write_text(dodo("small.yaml"))
    make_key(top, "mine")
    make_key(top, "other")
    yield Project(top)
    shutil.rmtree(top.parent)


def refusal(disk: Path, certificate: Path, out: Path) -> str:
    """Return why a disk does not boot on firmware that believes one certificate alone."""
    wanted = demands(expect=("small is up",), timeout=LONG, screenshot=False)
    subject = Subject(disk, "raw", "uefi", certificate=certificate)
    out.mkdir()
    with pytest.raises(TestFailed) as caught:
        boot_test.boot_and_judge(
            boot_setup.prepare(replace(SMALL, secure_boot=True), wanted, subject), out, lambda _: None
        )
    return caught.value.message


def test_a_signed_kernel_image_boots_and_others_are_refused(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one's own key enrolled the kernel says Secure Boot is on; another's key, or none, is refused (V24, A6)."""
    monkeypatch.setenv("BOOTSMITH_CACHE", str(project.top / "cache"))
    wanted = 'machine: {secure_boot: true}\ntest: {expect: ["secureboot: Secure boot enabled", small is up]}'
    disk = project.image("signed", f"boot: {{loader: efistub, {ONE}, {SIGNED}}}}}\n{wanted}")
    assert "2 of 2 expectations met" in project.doit("qemu-test:signed")
    assert "firmware refused the loader (Secure Boot)" in refusal(disk, project.top / "other.crt", tmp_path / "other")
    unsigned = project.image("unsigned", f"boot: {{loader: efistub, {ONE}}}")
    assert "firmware refused the loader (Secure Boot)" in refusal(unsigned, project.top / "mine.crt", tmp_path / "none")


def test_systemd_boot_offers_keys_and_starts_signed_images(project: Project, tmp_path: Path) -> None:
    """Where the key is known the second entry boots; a firmware without keys takes those that are offered (V24)."""
    (project.top / "loader.conf").write_text("secure-boot-enroll force\n")  # systemd 252 asks, unless told
    own = "config: {loader.conf: loader.conf}"
    text = f"boot: {{loader: [systemd-boot, efistub], {own}, {SIGNED}, enroll: true}}}}\n"
    disk = project.image(
        "menu", text + "machine: {secure_boot: true}\ntest: {entry: second, expect: [this is the second entry]}"
    )
    project.doit("qemu-test:menu")
    found = firmware.find(secure_boot=True)
    mine = replace(found, variables=tmp_path / "vars.fd")
    shutil.copyfile(found.variables, mine.variables)
    argv = qemu.command(
        replace(SMALL, serial=str(tmp_path / "log")), disk=disk, format="raw", firmware=mine,
        accel=choose("tcg", memory=tmp_path / "accelerator.json"), reboot=False,
    )  # fmt: skip
    argv = [word.replace("unit=1,snapshot=on,", "unit=1,") for word in argv]  # the first start leaves keys in them
    subprocess.run(argv, check=True, timeout=LONG, stdin=subprocess.DEVNULL)  # ends when they are in: it resets
    kept = mine.variables.read_bytes()
    assert all(name.encode("utf-16-le") in kept for name in ("PK", "KEK", "db"))
    assert kept.count(b"mine") >= 3


def test_kernels_on_a_boot_partition_of_their_own(project: Project) -> None:
    """systemd-boot finds entries and kernel on XBOOTLDR, a FAT /boot beside the ESP (A9, C10)."""
    project.image(
        "split",
        f"disk: {{partitions: {{boot: {{mount: /boot, size: 64M}}}}}}\nboot: {{loader: systemd-boot, {ONE}}}",
    )
    assert "1 of 1 expectations met" in project.doit("qemu-test:split")
    assert "xbootldr" in project.doit("inspect:split")


@pytest.mark.parametrize(
    ("boot", "more", "program"),
    [
        ("loader: grub-efi", "", "/EFI/linux/grubx64.efi"),
        (
            f"loader: [systemd-boot, efistub], {SIGNED}}}",
            "machine: {secure_boot: true}\ntest: {entry: second, expect: [this is the second entry]}",
            "/EFI/systemd/systemd-bootx64.efi",
        ),
    ],
    ids=["grub", "signed"],
)
def test_a_vendors_path_alone_boots_by_an_entry_in_the_firmware(
    project: Project, boot: str, more: str, program: str
) -> None:
    """With `removable: no` a copy of the firmware's variables gets an entry, beside keys and a chosen entry (C14)."""
    name = "vendor-signed" if more else "vendor"
    one = "" if more else f", {ONE}"
    disk = project.image(name, f"boot: {{{boot}{one}, removable: no}}\n{more}")
    assert "EFI/BOOT" not in project.doit(f"inspect:{name}")
    assert f"gets a boot entry for {program}" in project.doit(f"run-uefi:{name}", "--print")
    assert f"gets a boot entry for {program}" in project.doit("run-uefi", "--print", str(disk))
    assert "It starts otherwise: `doit run-uefi`." in doit(project.top, "run-bios", "--print", str(disk), status=1)
    before = disk.read_bytes()
    assert "1 of 1 expectations met" in project.doit(f"qemu-test:{name}")
    assert "passed (cached" in project.doit(f"qemu-test:{name}")
    assert disk.read_bytes() == before


def test_a_past_build_starts_as_its_disk_says(project: Project) -> None:
    """What a recipe says now of the loader's path is not what it said then: the disk tells, either way (C14)."""
    project.image("past", f"boot: {{loader: grub-efi, {ONE}, removable: no}}")
    project.image("past", f"boot: {{loader: grub-efi, {ONE}}}")
    new, old = (each["id"] for each in json.loads(project.doit("log:past", "--json"))["builds"])
    entry = "gets a boot entry for /EFI/linux/grubx64.efi"
    assert entry in project.doit(f"at={old}", "run-uefi:past", "--print")
    assert "1 of 1 expectations met" in project.doit(f"at={old}", "qemu-test:past")
    project.image("past", f"boot: {{loader: grub-efi, {ONE}, removable: no}}")
    assert entry not in project.doit(f"at={new}", "run-uefi:past", "--print")
    assert entry in project.doit("run-uefi:past", "--print")


def test_a_bare_filesystem_is_the_root_of_a_kernel_started_directly(project: Project) -> None:
    """No table, no loader: kernel and initrd are files beside the disk, which is one filesystem (W12)."""
    text = "disk: {table: none, partitions: {esp: null}}\nboot: {loader: direct, " + ONE + "}\noutputs: [raw, kernel]"
    project.image("bare", text)
    assert "1 of 1 expectations met" in project.doit("qemu-test:bare")
    assert (project.top / "build/bare/bare.vmlinuz").is_file()


def test_a_tar_without_a_recipe_becomes_a_disk(project: Project, tmp_path: Path) -> None:
    """build-efistub makes a disk of a tree with kernel and initrd in /boot, once; the firmware starts it (A6, A16)."""
    project.image("unsigned", f"boot: {{loader: efistub, {ONE}}}")
    build, tree = project.top / "build/unsigned", tmp_path / "tree"
    (tree / "boot").mkdir(parents=True)
    archive = gzip.decompress((build / "initramfs/initrd.img").read_bytes())
    subprocess.run(["cpio", "-id", "--quiet", "-f", "dev/console"], input=archive, cwd=tree, check=True)
    shutil.copyfile(build / "initramfs/initrd.img", tree / "boot/initrd.img-1")
    shutil.copyfile(build / "kernel/vmlinuz", tree / "boot/vmlinuz-1")
    tar, disk = tmp_path / "tree.tgz", tmp_path / "disk.raw"
    subprocess.run(["tar", "--owner=0", "--group=0", "-czf", tar, "-C", tree, "."], check=True)
    words = ("build-efistub", "--cmdline=root=/dev/vda2 no_timer_check", "--output", str(disk), str(tar))
    assert "built    bootloader" in project.doit(*words)
    assert "built" not in project.doit(*words)
    wanted = demands(expect=("small is up",), timeout=LONG, screenshot=False)
    (tmp_path / "out").mkdir()
    subject = Subject(disk, "raw", "uefi")
    assert boot_test.boot_and_judge(
        boot_setup.prepare(SMALL, wanted, subject), tmp_path / "out", lambda _: None
    ).evidence
