"""The clock of a microvm under TCG: its board has nothing to measure the processor's counter by, so Linux is told.

Without HPET and ACPI timer there is the PIT alone, which TCG emulates too unevenly to measure a time stamp counter
(TSC) by; and without a TSC Linux stands still, waiting for ticks that never come. The guest's TSC is the host's.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bootsmith.tasks.machine.accelerator import Accel
from bootsmith.tasks.machine.qemu import Kernel
from bootsmith.tasks.recipe.model.machine import Machine

_RATE = "tsc_early_khz"
_KHZ = 500  # per BogoMIPS: Linux counts two for each MHz of a TSC


def is_missing(machine: Machine, accel: Accel, kernel: Kernel | None) -> bool:
    """Tell whether a kernel will look for a clock in vain."""
    return machine.type == "microvm" and accel.kind == "tcg" and not (kernel and f"{_RATE}=" in kernel.cmdline)


def told(machine: Machine, accel: Accel, kernel: Kernel | None, cpuinfo: Path = Path("/proc/cpuinfo")) -> Kernel | None:
    """Return a kernel with the rate of its TSC on its command line, where it could not find that out itself.

    As it is where this host does not tell the rate: its processors are no x86.
    """
    rate = _rate(cpuinfo) if is_missing(machine, accel, kernel) else 0
    return (
        replace(kernel, cmdline=f"{kernel.cmdline} {_RATE}={rate} tsc=reliable".lstrip()) if kernel and rate else kernel
    )


def _rate(cpuinfo: Path) -> int:
    """Return the rate of this host's TSC in kHz, 0 where it is not told."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return 0
    x86 = any(line.startswith("flags") and " tsc " in f"{line} " for line in lines)  # others count otherwise
    found = next((line.partition(":")[2] for line in lines if line.startswith("bogomips")), "0")
    return round(float(found) * _KHZ) if x86 else 0
