"""A Vagrant box: a disk, what Vagrant is to know of it, and a Vagrantfile with the machine, in a tar packed by gzip."""

from __future__ import annotations

import json
from pathlib import Path

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.formats import appliance, archive, image, ovf
from bootsmith.tasks.disk.formats.appliance import ApplianceParams
from bootsmith.tasks.disk.formats.origin import Origin

_MIB = 1 << 20


def run(ctx: Context) -> None:
    """Make a stage's box."""
    params, packed = ApplianceParams.of(ctx), ctx.work / "box.tar"
    origin = image.origin(ctx.inputs["disk"], params.image)
    files = {
        "metadata.json": metadata(params, ctx.inputs["disk"].stat().st_size),
        "Vagrantfile": vagrantfile(params, origin),
    }
    for name, text in files.items():
        (ctx.work / name).write_text(text)
    disk = _libvirt(ctx) if params.provider == "libvirt" else _virtualbox(ctx, params)
    members = [*(ctx.work / name for name in files), *disk]
    archive.write([(each.name, each) for each in members], packed, params.image.epoch)
    ctx.say(f"compressing {packed.stat().st_size} bytes")
    ctx.run("gzip", "-nc", input=packed, stdout=ctx.outputs["image"])


def metadata(params: ApplianceParams, size: int) -> str:
    """Return what Vagrant reads first."""
    found: dict[str, object] = {"provider": params.provider}
    if params.provider == "libvirt":
        found |= {"format": "qcow2", "virtual_size": appliance.gib(size)}
    return json.dumps({**found, "architecture": "amd64" if params.bits == 64 else "i386"}, indent=2) + "\n"


def vagrantfile(params: ApplianceParams, origin: Origin) -> str:
    """Return the machine's defaults, which whoever uses the box can overrule."""
    before = ""
    hardware = [f"memory = {-(-params.memory // _MIB)}", f"cpus = {params.cpus}"]
    if params.provider == "virtualbox":
        before = f'  config.vm.base_mac = "080027{origin.digest("mac")[:3].hex().upper()}"\n'
        hardware += ['customize ["modifyvm", :id, "--firmware", "efi"]'] if params.uefi else []
    else:
        hardware.append(f'disk_bus = "{params.drive}"')
        hardware += [f'nic_model_type = "{params.nic}"'] if params.nic != "none" else []
        hardware += ['loader = "/usr/share/OVMF/OVMF_CODE_4M.fd"'] if params.uefi else []
    inside = "".join(f"    machine.{each}\n" for each in hardware)
    provider = f'  config.vm.provider "{params.provider}" do |machine|\n{inside}  end\n'
    return f'Vagrant.configure("2") do |config|\n{before}{provider}end\n'


def _libvirt(ctx: Context) -> list[Path]:
    disk = ctx.work / "box.img"
    ctx.run("qemu-img", "convert", "-p", "-f", "raw", "-O", "qcow2", ctx.inputs["disk"], disk)
    return [disk]


def _virtualbox(ctx: Context, params: ApplianceParams) -> list[Path]:
    description, disk, manifest = (ctx.work / name for name in ("box.ovf", "box-disk1.vmdk", "box.mf"))
    ovf.make(ctx, params, description, disk, manifest)
    return [description, manifest, disk]
