"""What a recipe says of its machine and its test, where it says nothing but what a test wants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bootsmith.tasks.machine.accelerator import Accel
from bootsmith.tasks.recipe.model.machine import Machine, Test

TCG = Accel("tcg", "max")


_MACHINE = Machine(
    firmware="auto", secure_boot=False, type="q35", cpu="best", cpus=2, memory=1 << 30, accel="auto", display="none",
    gpu="none", serial="stdio", drive="virtio", cache="writeback", nic="virtio", forward=(), share={}, monitor=False,
    gdb=False, debug=None, qemu=(), keep=False, login="none",
)  # fmt: skip


_TEST = Test(
    ("auto",), entry=None, expect=("login:",), fail=(), began=None, timeout=300, silence=90, limits={}, login=None,
    run=(), keys=(), screenshot=True,
)  # fmt: skip


def machine(**keys: Any) -> Machine:
    """Return the machine of a recipe that says nothing, but for `keys`."""
    return replace(_MACHINE, **keys)


def demands(**keys: Any) -> Test:
    """Return the `test:` of a recipe that says nothing, but for `keys`."""
    return replace(_TEST, **keys)
