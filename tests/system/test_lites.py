"""recipes/lites.yaml: GNU Mach and a server on a BIOS disk, built by an ordinary user and booted. L1-L9, L18, L19."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bootsmith.tasks.disk.inspect import inspect
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.recipe.load import load

from tests.support.kernel_files import stand_in
from tests.support.ordinary_user import ordinary_user
from tests.support.project import Project

RECIPE = Path(__file__).parents[2] / "recipes/lites.yaml"
LINE = "the stand-in is up"
FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "sbin", "tmp", "var")
TITLES = ["Lites on GNU Mach", "Lites on GNU Mach (single user)", "GNU Mach (no Lites)"]


def server(project: Project, content: bytes) -> str:
    """Write a server of the user's own; return the word that names it."""
    (project.top / "server").write_bytes(content)
    project.give_away()
    return "lites_server=server"


@pytest.fixture(scope="module")
def lites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The recipe with the stand-in, its kernel fetched beforehand."""
    folder = tmp_path_factory.mktemp("lites")
    user = ordinary_user(folder)
    project = Project.make(user.home / "project", user)
    said = project.doit("fetch-mach")
    assert re.search(r"^gnumach-image-1.8-486 \S+ \(i386\) is in the cache, and fits$", said, re.MULTILINE)
    assert not (project.top / "build/lites").exists()
    project.doit(server(project, stand_in(LINE).ljust(5000, b"\0")), "image:lites")
    yield project
    shutil.rmtree(folder)


@pytest.mark.boot
@pytest.mark.xdist_group("lites")
class TestLites:
    """One build, looked at and booted."""

    def test_the_disk(self, lites: Project) -> None:
        """512 MiB, MBR, one active partition of type 83 from sector 2048, an ext2 that e2fsck finds clean. L1."""
        disk = lites.top / "build/lites/lites-boot.img"
        assert disk.stat().st_size == 512 << 20
        entries = [struct.unpack_from("<B3xB3xII", disk.read_bytes()[:512], 446 + 16 * n) for n in range(4)]
        assert entries == [(0x80, 0x83, 2048, (511 << 20) // 512), *[(0, 0, 0, 0)] * 3]
        root = lites.partition("lites", "root")
        subprocess.run(["e2fsck", "-fn", root], check=True, capture_output=True)
        found = inspect(disk).parts[0].filesystem
        assert found is not None
        assert (found.kind, found.label) == ("ext2", "LITES-ROOT")

    def test_the_filesystem_is_of_its_time(self, lites: Project) -> None:
        """What a system of the nineties reads: revision 0, inodes of 128 bytes, no feature of later ones."""
        said = subprocess.run(
            ["dumpe2fs", "-h", lites.partition("lites", "root")], capture_output=True, text=True, check=True
        ).stdout
        assert "revision #:    0 (original)" in said
        assert re.search(r"features: +\(none\)", said)

    def test_its_files(self, lites: Project) -> None:
        """The kernel as a plain ELF file, the server 0755, empty folders, all root's. L1, L3."""
        assert "Size: 5000" in lites.inside("lites", "stat /boot/lites_server")
        assert "Mode:  0755" in lites.inside("lites", "stat /boot/lites_server")
        kernel = (lites.top / "build/lites/kernel/vmlinuz").read_bytes()
        assert kernel.startswith(b"\x7fELF\x01")
        assert f"Size: {len(kernel)}" in lites.inside("lites", "stat /boot/gnumach")
        listed = lites.inside("lites", "ls -l /")
        rows = {line.split()[-1]: line.split() for line in listed.splitlines() if line.split()}
        assert rows.keys() == {".", "..", "boot", "lost+found", *FOLDERS}
        assert {name: rows[name][1] for name in FOLDERS} == {**dict.fromkeys(FOLDERS, "40755"), "tmp": "41777"}
        assert {(row[3], row[4]) for row in rows.values()} == {("0", "0")}

    def test_its_menu(self, lites: Project) -> None:
        """Three entries with their very titles, serial on, and every file they name is in the image. L6, L19."""
        text = lites.inside("lites", "cat /boot/grub/grub.cfg")
        assert re.findall(r"^menuentry '([^']+)'", text, re.MULTILINE) == TITLES
        kernels = re.findall(r"^  multiboot (.+)$", text, re.MULTILINE)
        common = "/boot/gnumach root=device:hd0s1 console=com0"
        assert kernels == [common, f"{common} -s", common]
        modules = re.findall(r"^  module (.+)$", text, re.MULTILINE)
        assert modules == ["/boot/lites_server lites_server '$(task-create)' '$(task-resume)'"] * 2
        assert "terminal_output console serial" in text
        for path in {line.split()[0] for line in kernels + modules}:
            assert "Type: regular" in lites.inside("lites", f"stat {path}")

    def test_the_qcow2(self, lites: Project) -> None:
        """Format 1.1, clusters of 64 KiB, lazy reference counts; the same content, and nothing wrong with it. L8."""
        image, raw = (lites.top / "build/lites" / name for name in ("lites.qcow2", "lites-boot.img"))
        said = subprocess.run(
            ["qemu-img", "info", "-f", "qcow2", "--output=json", image], capture_output=True, check=True
        ).stdout
        about = json.loads(said)
        details = about["format-specific"]["data"]
        assert (about["cluster-size"], details["compat"], details["lazy-refcounts"]) == (65536, "1.1", True)
        assert details["compression-type"] == "zlib"
        subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", image], check=True)
        subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", raw, image], check=True)

    def test_it_boots(self, lites: Project) -> None:
        """Under TCG the console shows Mach, its disk, the module's start and what the module itself prints. L7."""
        before = hashlib.sha256((lites.top / "build/lites/lites-boot.img").read_bytes()).digest()
        said = lites.doit("lites_server=server", "qemu-test:lites", "--accel", "tcg")
        assert "passed" in said
        log = (lites.top / "build/lites/test/serial.log").read_text(errors="replace")
        places = [log.index(text) for text in ("GNU Mach 1.8", "hd0s1", "start lites_server:", LINE)]
        assert places == sorted(places)
        assert hashlib.sha256((lites.top / "build/lites/lites-boot.img").read_bytes()).digest() == before

    def test_a_server_that_is_no_program_is_refused(self, lites: Project) -> None:
        """Mach would say that it starts one, and nothing more: the build says what it is, and makes no disk. L3."""
        word = lites.command(server(lites, b"this is no program\n" * 300), "image:lites")
        done = subprocess.run(word, cwd=lites.top, env=lites.environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert "server cannot be the module /boot/lites_server: it is no ELF file" in done.stderr

    def test_a_panic_is_quoted(self, lites: Project) -> None:
        """Mach without anything to start fails the test with its own words. L7."""
        word = server(lites, stand_in(LINE).ljust(5000, b"\0"))
        done = subprocess.run(
            lites.command(word, "qemu-test:lites", "--entry", "mach", "--accel", "tcg"), cwd=lites.top,
            env=lites.environment(), capture_output=True, text=True, check=False, timeout=900,
        )  # fmt: skip
        assert done.returncode == 1
        assert "the kernel panicked: panic" in done.stdout + done.stderr
        assert "No bootstrap code loaded with the kernel" in done.stdout + done.stderr

    def test_without_a_server_there_is_mach_alone(self, lites: Project) -> None:
        """An explicit `none` writes no entry for a server, and none of its files. L5."""
        lites.doit("lites_server=none", "image:lites")
        text = lites.inside("lites", "cat /boot/grub/grub.cfg")
        assert re.findall(r"^menuentry '([^']+)'", text, re.MULTILINE) == TITLES[2:]
        assert "lites_server" not in lites.inside("lites", "ls /boot")


def mistakes(**words: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load(RECIPE, overrides={"lites_server": "none", **words})
    return str(caught.value)


@pytest.mark.parametrize("size", ["12Q", "0", "-1", "1M"])
def test_a_size_that_cannot_be_is_refused(size: str) -> None:
    """Nonsense, nothing, less than nothing, and less than the partition begins at: each names the option. L2."""
    assert "disk.size: " in mistakes(**{"disk.size": size})


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ({"outputs.qcow2.preallocation": "metadata"}, "outputs.qcow2.preallocation"),
        ({"outputs.qcow2.compat": "0.10", "outputs.qcow2.lazy_refcounts": "true"}, "outputs.qcow2.lazy_refcounts"),
        ({"outputs.qcow2.cluster": "3K"}, "outputs.qcow2.cluster"),
    ],
)
def test_what_qemu_img_refuses_is_refused_up_front(words: dict[str, str], key: str) -> None:
    """Packed and laid out beforehand, an old format with new counts, odd clusters: told with the reason. L9."""
    assert f"{key}: " in mistakes(**words)


def test_a_kernel_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    """The kernel path given is the one that is used: where it is wrong nothing else is taken. L3."""
    assert "does not exist" in mistakes(kernel=str(tmp_path / "gnumach"))


def test_a_missing_server_is_told_with_its_help() -> None:
    """Without the server nothing is begun, and the message says what it is. L5."""
    with pytest.raises(RecipeError, match=r"lites_server: this variable must be given \(the Lites server: a static"):
        load(RECIPE)
