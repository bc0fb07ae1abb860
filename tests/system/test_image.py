"""The main job on real input: recipes of this repository, built by an ordinary user, booted, compared."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.tasks.machine import boot_setup, boot_test
from bootsmith.tasks.machine.run import Subject
from bootsmith.tasks.machine.ssh import wait_for_banner

from tests.support import finished_stages
from tests.support.checkout import CHECKOUT
from tests.support.guest_disks import sparse_copy
from tests.support.kill_deadline import Deadline
from tests.support.machine_keys import demands, machine
from tests.support.ordinary_user import ordinary_user
from tests.support.project import PASSWORD, Project, built
from tests.support.static_program import init

pytestmark = pytest.mark.boot

DECLARED = """\
extends: minimal
layers+:
  - packages: [sudo, tzdata, fdisk]
system:
  hostname: box.example.org
  dns: {servers: [192.0.2.53]}
  locale: C.UTF-8
  timezone: Asia/Tokyo
  groups: {team: {gid: 4000}}
  users: {ann: {groups: [team], sudo: true}}
  modules: [dummy]
  sysctl: {kernel.panic: 13}
  first_boot: first.sh
  autologin: true
  grow: true
outputs: [raw]
"""
SO_IN_THE_GUEST = (
    "test $(df --output=size -B1 / | tail -n 1) -gt 3000000000",
    "systemctl start first-boot.service && grep -qx box.example.org /root/first-boot",
    "test -e /var/lib/bootsmith/first-boot.done",
    "grep -qx 'nameserver 192.0.2.53' /etc/resolv.conf",
    "systemctl show-environment | grep -qx LANG=C.UTF-8",
    "test $(date +%Z) = JST",
    "id ann | grep -q '4000(team)'",
    "test $(su ann -c 'sudo -n id -u') = 0",
    "grep -q '^dummy ' /proc/modules",
    "test $(cat /proc/sys/kernel/panic) = 13",
)
"""What must exit 0 there."""


@pytest.fixture(scope="module")
def minimal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The default recipe, built by an ordinary user."""
    with built(tmp_path_factory, "minimal") as project:
        yield project


@pytest.mark.xdist_group("minimal")
class TestMinimal:
    """Debian 13, systemd-boot."""

    def test_it_boots_to_a_login(self, minimal: Project) -> None:
        """OVMF boots it to a login, proved from inside the guest, and the image is left as it was (V12)."""
        before = minimal.digest("minimal/minimal.raw")
        said = minimal.doit("qemu-test")
        assert "nonce seen" in said
        result = json.loads((minimal.top / "build/minimal/test/result.json").read_text())
        assert result["verdict"] == "passed"
        assert list(result["phases"])[-1] == "login"
        assert (minimal.top / "build/minimal/test/screenshot.png").read_bytes().startswith(b"\x89PNG")
        assert minimal.digest("minimal/minimal.raw") == before
        (minimal.top / "build/minimal/test/serial.log").unlink()
        assert "passed (cached, " in minimal.doit("qemu-test")
        assert b"Linux version" in (minimal.top / "build/minimal/test/serial.log").read_bytes()

    def test_an_emergency_shell_is_no_boot(self, minimal: Project) -> None:
        """A system that stops in systemd's emergency shell fails the boot test, which says so."""
        words = minimal.command("boot.cmdline=systemd.unit=emergency.target", "qemu-test")
        done = subprocess.run(
            words, cwd=minimal.top, env=minimal.environment(), text=True, capture_output=True, timeout=900, check=False
        )
        minimal.doit("image")
        assert done.returncode == 1, done.stdout + done.stderr
        result = json.loads((minimal.top / "build/minimal/test/result.json").read_text())
        assert (result["verdict"], result["kind"]) == ("failed", "emergency shell"), done.stderr

    def test_again_does_nothing(self, minimal: Project) -> None:
        """Every stage is fresh, and no output is touched (V2)."""
        files = sorted((minimal.top / "build/minimal").glob("minimal.*"))
        before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in files]
        assert minimal.ran("image") == []
        assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in files] == before

    def test_an_edit_redoes_what_depends_on_it_and_reverted_is_the_same_image(self, minimal: Project) -> None:
        """A file edited, then the command line: few stages; undone: the very bytes of before."""
        before = [minimal.digest(f"minimal/minimal.{kind}") for kind in ("raw", "qcow2")]
        motd = minimal.top / "recipes/files/minimal/etc/motd"
        text = motd.read_text()
        motd.write_text("edited\n")
        assert minimal.ran("raw") == [
            "assemble", "initramfs/view", "kernel", "layers/1-overlay", "layers/system", "partition", "populate/root"
        ]  # fmt: skip
        assert "edited" in minimal.inside("minimal", "cat /etc/motd")
        motd.write_text(text)
        minimal.doit("raw")
        assert minimal.ran("boot.cmdline=quiet", "raw") == ["assemble", "bootloader", "populate/esp"]
        minimal.doit("image")
        assert [minimal.digest(f"minimal/minimal.{kind}") for kind in ("raw", "qcow2")] == before

    def test_layers_from_inside_cost_what_they_are(self, minimal: Project) -> None:
        """C8: a package, a command, a script more: no bootstrap, no initramfs, all that they did; undone, as before."""
        before = minimal.digest("minimal/minimal.raw")
        recipe, lock = minimal.top / "recipes/minimal.yaml", minimal.top / "recipes/minimal.lock"
        text, locked = recipe.read_text(), lock.read_text()
        (minimal.top / "recipes/setup.sh").write_text("#!/bin/bash\nhello >>/srv/said\nuseradd --system app\n")
        more = "\n  - packages: [hello]\n  - run: hello >/srv/said\n  - script: setup.sh\nboot:"
        recipe.write_text(text.replace("\nboot:", more))
        made = minimal.ran("raw")
        assert {"layers/2-packages", "layers/3-run", "layers/4-script", "layers/system", "populate/root"} <= {*made}
        assert {"rootfs", "initramfs", "populate/base", "populate/esp"}.isdisjoint(made)
        assert minimal.inside("minimal", "cat /srv/said") == "Hello, world!\n" * 2
        assert "Package: hello" in minimal.inside("minimal", "cat /var/lib/dpkg/status")
        assert "app:" in minimal.inside("minimal", "cat /etc/passwd")
        assert {*locked.splitlines()} <= {*lock.read_text().splitlines()}
        recipe.write_text(text)
        minimal.doit("image")
        assert minimal.digest("minimal/minimal.raw") == before
        assert lock.read_text() == locked

    def test_it_is_clean(self, minimal: Project) -> None:
        """No machine-id, no host keys, root locked, no package lists; the filesystem is sound (V12, C11)."""
        root = minimal.partition("minimal", "root")
        assert subprocess.run(["e2fsck", "-fn", root], capture_output=True, check=False).returncode == 0
        assert minimal.inside("minimal", "cat /etc/machine-id") == ""
        assert minimal.inside("minimal", "cat /etc/hostname") == "minimal\n"
        assert "ssh_host" not in minimal.inside("minimal", "ls /etc/ssh")
        assert ".deb" not in minimal.inside("minimal", "ls /var/cache/apt/archives")
        shadow = minimal.inside("minimal", "cat /etc/shadow").splitlines()
        assert next(line for line in shadow if line.startswith("root:")).split(":")[1] in ("*", "!", "!*")

    def test_fstab_names_the_real_filesystems(self, minimal: Project) -> None:
        """UUIDs in fstab are those of the filesystems; / has pass 1, vfat 0 (C4)."""
        lines = minimal.inside("minimal", "cat /etc/fstab").splitlines()
        rows = {row[1]: row for line in lines if (row := line.split()) and not line.startswith("#")}
        for mount, name, fs, number in (("/", "root", "ext4", "1"), ("/boot/efi", "esp", "vfat", "0")):
            found = subprocess.run(
                ["blkid", "-p", "-o", "value", "-s", "UUID", minimal.partition("minimal", name)],
                text=True, capture_output=True, check=True,
            ).stdout.strip()  # fmt: skip
            assert rows[mount][0] == f"UUID={found}"
            assert (rows[mount][2], rows[mount][5]) == (fs, number)

    def test_outputs_are_sparse_and_agree(self, minimal: Project) -> None:
        """The raw disk occupies what it holds; the qcow2 holds the same disk (W1, W2)."""
        build = minimal.top / "build/minimal"
        raw = (build / "minimal.raw").stat()
        assert raw.st_blocks * 512 < raw.st_size / 2
        subprocess.run(
            ["qemu-img", "compare", "-f", "raw", "-F", "qcow2", build / "minimal.raw", build / "minimal.qcow2"],
            check=True,
        )
        subprocess.run(["sfdisk", "--verify", build / "minimal.raw"], check=True, capture_output=True)

    def test_clean_and_restored(self, minimal: Project) -> None:
        """`clean` removes the build's files; `image` brings them back without installing anything."""
        before = minimal.digest("minimal/minimal.raw")
        minimal.doit("clean")
        assert not (minimal.top / "build/minimal/minimal.raw").exists()
        said = minimal.doit("image")
        assert re.search(r"restored +rootfs", said)
        assert re.search(r"restored +initramfs", said)
        assert minimal.digest("minimal/minimal.raw") == before

    def test_ssh_into_a_locked_image(self, minimal: Project) -> None:
        """A development run lets its user in by a key of its own, and `ssh` finds it (V18, V21, A12)."""
        before = minimal.digest("minimal/minimal.raw")
        serial = minimal.top / "serial.log"
        words = minimal.command("run-uefi", "--serial", str(serial))
        with subprocess.Popen(
            words, cwd=minimal.top, env=minimal.environment(), text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as run:  # fmt: skip
            limit = threading.Timer(1500, run.kill)
            limit.start()
            try:
                assert run.stdout is not None
                said = []
                while not (said and said[-1].strip().startswith("ssh ")):
                    line = run.stdout.readline()
                    assert line, "".join(said)
                    said.append(line)
                qemu = next(line for line in said if "qemu-system" in line)
                assert not re.search(r"hostfwd=tcp::|-vnc :|snapshot=off", qemu)
                ssh = shlex.split(said[-1])
                wait_for_banner(int(ssh[ssh.index("-p") + 1]), 900, while_it_runs(run))
                inside = subprocess.run(
                    [*ssh, "cat /etc/hostname; id -u; cat /etc/machine-id | wc -c"], text=True, capture_output=True,
                    timeout=900, check=False,
                )  # fmt: skip
                assert inside.stdout.split() == ["minimal", "0", "33"], inside.stderr + serial.read_text(
                    errors="replace"
                )
                assert minimal.ssh("echo a=b; exit 7") == (7, "a=b\n")
                assert minimal.ssh("cat", "/etc/hostname") == (0, "minimal\n")
                assert minimal.ssh("grep", "-c", "bootsmith$", "/root/.ssh/authorized_keys") == (0, "1\n")
            finally:
                limit.cancel()
                run.terminate()
        assert minimal.digest("minimal/minimal.raw") == before

    @pytest.mark.soak(whole=1)  # test_boot_matrix.py starts such disks by both, with a smaller system
    def test_one_disk_boots_under_uefi_and_bios(self, minimal: Project) -> None:
        """GRUB for both on one GPT, with one menu: OVMF and SeaBIOS each start it to a login (C5)."""
        minimal.doit("image:hybrid")
        before = minimal.digest("hybrid/hybrid.raw")
        said = minimal.doit("qemu-test:hybrid")
        assert said.count("nonce seen") == 2
        assert "\nuefi: login reached" in said
        assert "\nbios: login reached" in said
        assert minimal.digest("hybrid/hybrid.raw") == before
        assert "GRUB, its core at sector 2048" in minimal.doit("inspect:hybrid")
        assert "/grub.cfg/" in minimal.inside("hybrid", "ls -p /boot/grub")

    def test_a_kernel_of_ones_own(self, minimal: Project) -> None:
        """run-direct starts any kernel with any initrd, without a disk (A16)."""
        (minimal.top / "initramfs").mkdir()
        (minimal.top / "initramfs/init").write_bytes(init("alone in memory"))
        (minimal.top / "initramfs/init").chmod(0o755)
        with (minimal.top / "small.img").open("wb") as initrd:
            names = subprocess.Popen(["echo", "init"], stdout=subprocess.PIPE)
            with names:
                folder = minimal.top / "initramfs"
                subprocess.run(
                    ["cpio", "-o", "-H", "newc"], stdin=names.stdout, stdout=initrd, cwd=folder, check=True,
                    stderr=subprocess.DEVNULL,
                )  # fmt: skip
        serial = minimal.top / "direct.log"
        words = ("--serial", str(serial), "--initrd", "small.img")
        minimal.doit("run-direct", *words, "build/minimal/kernel/vmlinuz")
        assert b"alone in memory" in serial.read_bytes()

    def test_a_tree_is_started_by_its_own_kernel(self, minimal: Project) -> None:
        """run-dir and run-tgz boot a tree whose init writes and powers off; the directory stays as it is (A3, A4)."""
        top = minimal.top / "tree"
        for folder in ("boot", "dev", "proc", "root", "run", "sbin", "sys", "tmp"):
            (top / folder).mkdir(parents=True)
        build = minimal.top / "build/minimal"
        version = json.loads((build / "kernel/kernel.json").read_text())["version"]
        shutil.copy(build / "kernel/vmlinuz", top / f"boot/vmlinuz-{version}")
        shutil.copy(build / "initramfs/initrd.img", top / f"boot/initrd.img-{version}")
        (top / "sbin/init").write_bytes(init("the tree is up"))
        (top / "sbin/init").chmod(0o755)
        subprocess.run(["tar", "-czf", minimal.top / "tree.tgz", "-C", top, "."], check=True)
        minimal.give_away()
        before = fingerprint(top)
        for command, name in (("run-dir", "tree"), ("run-tgz", "tree.tgz")):
            serial = minimal.top / f"{command}.log"
            said = minimal.doit(command, "--serial", str(serial), name)
            assert "built" in said
            assert b"the tree is up" in serial.read_bytes(), said
        assert fingerprint(top) == before
        assert not (top / "written").exists()

    def test_a_declared_system_is_so_in_the_guest(
        self, minimal: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What `system` says the guest finds so, on a disk that is larger than the image was (W15, A10)."""
        (minimal.top / "recipes/declared.yaml").write_text(DECLARED)
        (minimal.top / "recipes/first.sh").write_text("#!/bin/sh\nhostname -f >/root/first-boot\n")
        minimal.give_away()
        made = minimal.ran("image:declared")
        assert "readback:declared" in made
        disk = sparse_copy(minimal.top / "build/declared/declared.raw", tmp_path / "disk.raw")
        os.truncate(disk, 4 << 30)
        monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "cache"))
        asked = demands(expect=("automatic login",), run=SO_IN_THE_GUEST, timeout=600)
        boot_test.prove(boot_setup.prepare(machine(accel="tcg"), asked, Subject(disk)), tmp_path / "test")
        disk.unlink()

    def test_another_folder_another_time_another_user_the_same_bytes(
        self, minimal: Project, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Whoever runs the tests, root too, builds the same bytes from the same lock, with an empty store (V11)."""
        folder = tmp_path_factory.mktemp("elsewhere")
        other = Project.make(folder / "deeper/project", None)
        shutil.copy(minimal.top / "recipes/minimal.lock", other.top / "recipes/minimal.lock")
        shutil.copytree(minimal.cache / "sha256", other.cache / "sha256")  # the packages, and nothing else
        other.doit("image")
        for kind in ("raw", "qcow2"):
            assert other.digest(f"minimal/minimal.{kind}") == minimal.digest(f"minimal/minimal.{kind}")
        shutil.rmtree(folder)

    @pytest.mark.soak(ci=1, whole=30)
    def test_killed_at_random_it_is_finished_by_the_next_run(
        self, minimal: Project, tmp_path_factory: pytest.TempPathFactory, rounds: int
    ) -> None:
        """The same bytes, no finished stage built again, nothing left of the tools and their folders (L11, C8)."""
        folder = tmp_path_factory.mktemp("killed")
        user = ordinary_user(folder)
        project = Project.make(user.home / "project", user)
        shutil.copy(minimal.top / "recipes/minimal.lock", project.top / "recipes/minimal.lock")
        shutil.copytree(minimal.cache / "sha256", project.cache / "sha256", copy_function=os.link)
        project.give_away()
        chance = random.Random(20_261_121)
        whole = finished_stages.seconds(minimal.top / "build/minimal")
        deadlines = {situation: Deadline(share * whole, chance) for situation, share in SITUATIONS.items()}
        number = 0
        while number < rounds or sum(deadline.killed for deadline in deadlines.values()) <= rounds // 3:
            assert number <= 3 * rounds, "most builds were done before they were killed"
            situation = list(SITUATIONS)[number % len(SITUATIONS)]
            number += 1
            said = killed(project, situation, deadlines[situation])
            done, store = recorded(project), finished_stages.stored(project.cache)
            assert said <= done.keys()
            again = [row[1] for line in project.doit("image").splitlines() if (row := line.split())[:1] == ["built"]]
            keys = recorded(project)
            assert [stage for stage in again if keys[stage] == done.get(stage)] == [], "finished, and built again"
            assert [stage for stage in again if keys[stage] in store] == [], "in the store, and built again"
            for kind in ("raw", "qcow2"):
                same = situation != "edited"
                assert (project.digest(f"minimal/minimal.{kind}") == minimal.digest(f"minimal/minimal.{kind}")) == same
            assert not list((project.top / "build/minimal/.bootsmith").glob("tmp/*"))
            assert not [path for path in project.top.rglob(".tmp-*") if path.is_file()]
            motd = project.top / "recipes/files/minimal/etc/motd"
            shutil.copyfile(CHECKOUT / "recipes/files/minimal/etc/motd", motd)
        shutil.rmtree(folder)


def while_it_runs(run: subprocess.Popen[str]) -> Callable[[float], None]:
    """Return a pause that fails the test as soon as a machine has ended: nobody answers any more."""

    def pause(seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = run.wait(seconds)
            assert run.stdout is not None
            pytest.fail(f"the machine ended, with status {status}: {run.stdout.read()}")

    return pause


SITUATIONS = {"new": 0.8, "deleted": 0.1, "edited": 0.1, "forced": 0.8, "edited and reverted": 0.1}
"""What a build is killed in, and the share of the whole work in which, at a guess, it would be done."""
TAKEN = {"populate/root": "populate/root.img", "assemble": "minimal.raw"}
"""Outputs that are deleted, by the stage that makes them again."""


def recorded(project: Project) -> dict[str, str]:
    """Return the keys of the stages that are finished: they have a record, and their output was not taken away."""
    build = project.top / "build/minimal"
    gone = {stage for stage, output in TAKEN.items() if not (build / output).exists()}
    return {stage: key for stage, key in finished_stages.recorded(build).items() if stage not in gone}


def killed(project: Project, situation: str, deadline: Deadline) -> set[str]:
    """Bring a situation about and kill the build in it; return the stages it said were finished."""
    motd = project.top / "recipes/files/minimal/etc/motd"
    text = motd.read_text()
    match situation:
        case "new":
            for path in project.cache.iterdir():
                if path.name != "sha256":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            shutil.rmtree(project.top / "build", ignore_errors=True)
        case "edited" | "edited and reverted":
            motd.write_text("edited\n")
        case "deleted":
            (project.top / "build/minimal/populate/root.img").unlink()
            (project.top / "build/minimal/minimal.raw").unlink()
    words = ["-a", "image"] if situation == "forced" else ["image"]
    with subprocess.Popen(
        project.command(*words), cwd=project.top, env=project.environment(), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as doit:  # fmt: skip
        with contextlib.suppress(subprocess.TimeoutExpired):
            doit.wait(timeout=deadline.draw())
        below = psutil.Process(doit.pid).children(recursive=True) if doit.poll() is None else []
        doit.kill()
        said, _ = doit.communicate()
    deadline.note(killed=doit.returncode < 0)
    _, alive = psutil.wait_procs(below, timeout=60)
    assert not alive
    if situation == "edited and reverted":
        motd.write_text(text)
    return {row[1] for line in said.splitlines() if (row := line.split())[:1] == ["built"]}


@pytest.mark.xdist_group("grub")
def test_grub_on_debian_12_boots_and_takes_the_password(tmp_path: Path) -> None:
    """GRUB on the removable path, the root password from a file: a login with it succeeds (C1, W5)."""
    user = ordinary_user(tmp_path)
    project = Project.make(user.home / "project", user)
    project.doit("image:grub")
    assert "root logged in" in project.doit("qemu-test:grub")
    for path in (project.top / "build").rglob("*"):
        if path.is_file() and path.stat().st_size < 1 << 20:
            assert PASSWORD.encode() not in path.read_bytes(), path
    shutil.rmtree(project.top)
