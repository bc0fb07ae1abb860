"""Images spoilt on purpose: a boot test passes none of them, and names what is wrong with each.

Their menu's title is what the test expects the guest to print.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bootsmith.tasks.errors import TestFailed
from bootsmith.tasks.machine import boot_setup, boot_test
from bootsmith.tasks.machine.run import Subject

from tests.support import damaged_disk
from tests.support.damaged_disk import DamagedDisk
from tests.support.machine_keys import demands, machine
from tests.support.small_guest import SmallProject

pytestmark = pytest.mark.boot

LIMITS = {"firmware": 120, "loader": 120, "kernel": 120, "initrd": 120, "userspace": 120}
"""Seconds that only a machine that hangs may need."""
SHORT = {"loader": 5, "kernel": 5, "initrd": 5}

DAMAGES: dict[str, tuple[Callable[[DamagedDisk], None], str, str]] = {
    "no kernel": (damaged_disk.no_kernel, "loader", "the loader started no kernel"),
    "wrong root=": (damaged_disk.wrong_root, "initramfs shell", "LABEL=nowhere does not exist"),
    "no init": (damaged_disk.no_init, "kernel panic", "Attempted to kill init"),
    "corrupt module": (damaged_disk.corrupt_module, "initramfs shell", "can't insert '/modules/virtio_blk.ko'"),
    "empty partitions": (damaged_disk.empty_partitions, "no bootable device", "the firmware found nothing to boot"),
    "wrong initrd": (damaged_disk.wrong_initrd, "kernel panic", "unpacking failed"),
    "loader missing": (damaged_disk.no_loader, "no bootable device", "the firmware found nothing to boot"),
    "kernel panic": (damaged_disk.panic, "kernel panic", "sysrq triggered crash"),
    "full disk": (damaged_disk.full_disk, "no space", "No space left on device"),
    "hang": (damaged_disk.hang, "limit", "were not enough for the phase"),
    "silent hang": (damaged_disk.silent_hang, "limit", "were not enough for the phase"),
}
"""How an image is spoilt, the kind of failure, and words that name it. An emergency shell: see test_image.py."""


@pytest.fixture(name="small", scope="module")
def fixture_small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallProject]:
    """The small system, built."""
    project = SmallProject.make(tmp_path_factory.mktemp("small") / "project")
    project.doit("image")
    yield project
    shutil.rmtree(project.top)


@pytest.mark.xdist_group("sabotage")
@pytest.mark.parametrize("name", DAMAGES)
def test_a_spoilt_image_fails_for_the_right_reason(
    small: SmallProject, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No spoilt image passes, and the failure says what is wrong (W14, V13)."""
    monkeypatch.setenv("BOOTSMITH_CACHE", str(small.top / "cache"))
    spoil, kind, words = DAMAGES[name]
    disk = tmp_path / "disk.raw"
    shutil.copy(small.disk, disk)
    spoil(DamagedDisk(disk))
    asked = demands(expect=("small is up",), limits=LIMITS | (SHORT if "hang" in name else {}))
    fresh = boot_setup.prepare(machine(accel="tcg", memory=256 << 20, nic="none"), asked, Subject(disk))
    with pytest.raises(TestFailed) as caught:
        boot_test.prove(fresh, tmp_path / "test")
    result = json.loads((tmp_path / "test/result.json").read_text())
    assert (result["verdict"], result["kind"]) == ("failed", kind), caught.value.message
    assert words in result["reason"]
    disk.unlink()
