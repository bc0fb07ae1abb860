"""recipes/tiny.yaml: a system that is all an initramfs, built and started in seconds. W4, W16."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Iterator

import pytest
from bootsmith.tasks.tree import boot_formats

from tests.support.project import Project, built

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("tiny")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The recipe, built by an ordinary user."""
    with built(tmp_path_factory, "tiny") as project:
        yield project


def test_what_it_is(tiny: Project) -> None:
    """A kernel and a cpio archive, all root's, its console a device node that nobody needed root for."""
    build = tiny.top / "build/tiny"
    assert boot_formats.kernel((build / "tiny.vmlinuz").read_bytes()) == "bzImage"
    archive = gzip.decompress((build / "tiny.initramfs").read_bytes())
    listed = subprocess.run(["cpio", "-itvn", "--quiet"], input=archive, capture_output=True, check=True).stdout
    rows = {line.split()[8 if "->" in line else -1]: line.split() for line in listed.decode().splitlines()}
    assert rows.keys() == {"bin", "bin/busybox", "bin/sh", "dev", "dev/console", "init"}
    assert {(row[2], row[3]) for row in rows.values()} == {("0", "0")}
    assert rows["dev/console"][0] == "crw-------"
    assert rows["init"][0].startswith("-rwx")


def test_it_boots(tiny: Project) -> None:
    """QEMU starts it by -kernel and -initrd, and its first program says so."""
    assert "passed" in tiny.doit("qemu-test:tiny", "--accel", "tcg")
    assert "tiny is up" in (tiny.top / "build/tiny/test/serial.log").read_text(errors="replace")


@pytest.mark.parametrize("suite", [pytest.param("trixie", marks=pytest.mark.soak(whole=1)), "bookworm"])
def test_a_microvm_boots(tiny: Project, suite: str) -> None:
    """On a microvm, which has no clock to measure by, Linux is told its clock and boots under TCG all the same. L12."""
    recipe = (tiny.top / "recipes/tiny.yaml").read_text()
    name = f"micro-{suite}"
    other = recipe.replace("path: /boot/vmlinuz-*}", f"path: /boot/vmlinuz-*, suite: {suite}}}")
    other = other.replace("path: /bin/busybox}", f"path: /bin/busybox, suite: {suite}}}").replace(
        "no_timer_check", "quiet"
    )
    (tiny.top / f"recipes/{name}.yaml").write_text(f"{other}machine: {{type: microvm}}\n")
    assert "passed" in tiny.doit(f"qemu-test:{name}", "--accel", "tcg")
    assert "tiny is up" in (tiny.top / f"build/{name}/test/serial.log").read_text(errors="replace")


def test_again_does_nothing_and_an_edit_little(tiny: Project) -> None:
    """A second run builds nothing; another init packs the tree anew and leaves the kernel alone. V2, V8."""
    assert tiny.ran("image:tiny") == []
    init = tiny.top / "recipes/files/tiny/init"
    text = init.read_text()
    init.write_text(text.replace("tiny is up", "tiny is up again"))
    redone = {name.partition(":")[0] for name in tiny.ran("image:tiny")}
    layers = {"layers/1-files", "layers/2-links", "layers/3-devices"}  # each knows what is below it
    assert redone == {"rootfs", *layers, "initramfs/tree", "initramfs", "convert/initramfs"}
    init.write_text(text)
    tiny.doit("image:tiny")
