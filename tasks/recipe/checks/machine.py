"""What a machine must be as a whole: boards that have no such drive, options that want a network card."""

from __future__ import annotations

from collections.abc import Iterable

from bootsmith.tasks.recipe.model.machine import Machine
from bootsmith.tasks.recipe.text.problems import Finding


def findings(machine: Machine) -> Iterable[Finding]:
    """Yield what of a machine does not go together."""
    hosts = [host for host, _ in machine.forward]
    for number, host in enumerate(hosts):
        if host in hosts[:number]:
            yield ("machine", "forward", number), f"port {host} is forwarded already; take another one"
    if hosts and machine.nic == "none":
        yield ("machine", "forward"), "without a network card nothing can be forwarded; remove nic: none"
    if machine.type == "microvm":
        yield from _microvm(machine)
    if machine.secure_boot and machine.type != "q35":
        yield ("machine", "secure_boot"), f"{machine.type} cannot guard the keys; write type: q35"
    if machine.secure_boot and machine.firmware in ("bios", "direct"):
        yield ("machine", "secure_boot"), f"{machine.firmware} verifies nothing; write firmware: uefi"


def _microvm(machine: Machine) -> Iterable[Finding]:
    if machine.firmware in ("uefi", "bios"):
        yield ("machine", "firmware"), "microvm starts kernels directly only; write direct, or type: q35"
    if machine.drive in ("ide", "sata"):
        yield ("machine", "drive"), f"microvm has no {machine.drive}; write virtio, nvme or scsi"
    if machine.gpu != "none" or machine.display != "none":
        key = "gpu" if machine.gpu != "none" else "display"
        yield ("machine", key), "microvm has no screen; write none, or type: q35"
