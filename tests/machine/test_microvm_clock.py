"""What a microvm under TCG is told of its clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.machine import microvm_clock
from bootsmith.tasks.machine.accelerator import KVM, Accel
from bootsmith.tasks.machine.qemu import Kernel

from tests.support.machine_keys import TCG, machine

X86 = "flags\t\t: fpu vme de pse tsc msr\nbogomips\t: 5192.24\n"


@pytest.mark.parametrize(
    ("board", "accel", "cpuinfo", "given", "words"),
    [
        ("microvm", TCG, X86, "quiet", "quiet tsc_early_khz=2596120 tsc=reliable"),
        ("microvm", TCG, X86, "", "tsc_early_khz=2596120 tsc=reliable"),
        ("microvm", TCG, X86, "tsc_early_khz=1", "tsc_early_khz=1"),
        ("microvm", KVM, X86, "quiet", "quiet"),
        ("q35", TCG, X86, "quiet", "quiet"),
        ("microvm", TCG, "BogoMIPS\t: 50.00\nFeatures\t: fp asimd\n", "quiet", "quiet"),
        ("microvm", TCG, "flags\t: fpu\nbogomips\t: 66.5\n", "quiet", "quiet"),
        ("microvm", TCG, X86.replace("bogomips", "nothing"), "quiet", "quiet"),
        ("microvm", TCG, None, "quiet", "quiet"),
    ],
)
def test_who_is_told_what(
    tmp_path: Path, board: str, accel: Accel, cpuinfo: str | None, given: str, words: str
) -> None:
    """Linux is told the rate of the host's counter where it could not measure it, and nowhere else."""
    file = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        file.write_text(cpuinfo)
    kernel = Kernel(tmp_path, None, given)
    told = microvm_clock.told(machine(type=board), accel, kernel, file)
    assert told == Kernel(tmp_path, None, words)
    missing = microvm_clock.is_missing(machine(type=board), accel, told)
    assert missing is (board == "microvm" and accel is TCG and "tsc_early_khz=" not in words)
