"""OVF: a machine described in XML, its disk beside it, and a manifest over both (DMTF DSP0243 1.1, schema DSP8023)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.formats import appliance, image, vmdk
from bootsmith.tasks.disk.formats.appliance import ApplianceParams
from bootsmith.tasks.disk.formats.origin import Origin

_SCHEMAS: Final = "http://schemas.dmtf.org"
_CIM: Final = f"{_SCHEMAS}/wbem/wscim/1/cim-schema/2"
_NAMESPACES: Final = {
    "xmlns": f"{_SCHEMAS}/ovf/envelope/1",
    "xmlns:ovf": f"{_SCHEMAS}/ovf/envelope/1",
    "xmlns:rasd": f"{_CIM}/CIM_ResourceAllocationSettingData",
    "xmlns:vssd": f"{_CIM}/CIM_VirtualSystemSettingData",
    "xmlns:vmw": "http://www.vmware.com/schema/ovf",
}
_STREAM: Final = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
_SYSTEMS: Final = {  # CIM_OperatingSystem's number, and VMware's name
    ("debian", 32): (95, "debian10Guest"), ("debian", 64): (96, "debian10_64Guest"),
    ("ubuntu", 32): (93, "ubuntuGuest"), ("ubuntu", 64): (94, "ubuntu64Guest"),
    ("linux", 32): (36, "otherLinuxGuest"), ("linux", 64): (101, "otherLinux64Guest"),
    ("other", 32): (1, "otherGuest"), ("other", 64): (102, "otherGuest64"),
}  # fmt: skip
_CONTROLLERS: Final = {  # CIM's resource type, and the subtype
    "ide": (5, "PIIX4"), "scsi": (6, "lsilogic"), "sata": (20, "AHCI"), "nvme": (20, "vmware.nvme.controller"),
}  # fmt: skip
_NICS: Final = {"e1000": "E1000"}
_VIRTIO: Final = {"virtio": (20, "VirtioSCSI")}, {"virtio": "virtio"}
"""What VirtualBox alone has."""
_INSTEAD: Final = {"virtio": _CONTROLLERS["sata"]}, {"virtio": _NICS["e1000"]}
"""What every hypervisor has: an importer refuses a machine with a device that it has not."""
_CPU, _MEMORY, _NIC, _DISK = 3, 4, 10, 17
_MIB: Final = 1 << 20


class Item(NamedTuple):
    """A piece of hardware: its elements in the order of the schema, which is the alphabet's."""

    name: str
    elements: tuple[tuple[str, object], ...]


def run(ctx: Context) -> None:
    """Make a stage's description, disk and manifest, each a file."""
    params = ApplianceParams.of(ctx)
    paths = [ctx.outputs[role] for role in ("image", "disk", "manifest")]
    make(ctx, params, *paths)


def make(ctx: Context, params: ApplianceParams, description: Path, disk: Path, manifest: Path) -> None:
    """Make the three files that an OVF is."""
    origin = image.origin(ctx.inputs["disk"], params.image)
    vmdk.run_stream(ctx, disk, origin)
    size = ctx.inputs["disk"].stat().st_size
    description.write_text(descriptor(params, disk, size, origin))
    manifest.write_text("".join(f"SHA256({each.name})= {sha256(each)}\n" for each in (description, disk)))


def sha256(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def descriptor(params: ApplianceParams, disk: Path, size: int, origin: Origin) -> str:
    """Return the description of a machine with a disk of so many bytes."""
    number, guest = _SYSTEMS[params.system, params.bits]
    names = "\n  ".join(f"{name}={quoteattr(value)}" for name, value in _NAMESPACES.items())
    firmware = '\n      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>' if params.uefi else ""
    network = """
  <NetworkSection>
    <Info>Networks that the machine is on</Info>
    <Network ovf:name="nat">
      <Description>A network that leads out</Description>
    </Network>
  </NetworkSection>"""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Envelope ovf:version="1.0" xml:lang="en-US"
  {names}>
  <References>
    <File ovf:id="file1" ovf:href={quoteattr(disk.name)} ovf:size="{disk.stat().st_size}"/>
  </References>
  <DiskSection>
    <Info>Disks of the machine</Info>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="{appliance.gib(size)}"
      ovf:capacityAllocationUnits="byte * 2^30" ovf:format="{_STREAM}"/>
  </DiskSection>{network if params.nic != "none" else ""}
  <VirtualSystem ovf:id={quoteattr(params.name)}>
    <Info>{escape(params.description or params.name)}</Info>
    <Name>{escape(params.name)}</Name>
    <OperatingSystemSection ovf:id="{number}" vmw:osType="{guest}">
      <Info>The guest's operating system</Info>
      <Description>{params.system}</Description>
    </OperatingSystemSection>
    <ProductSection>
      <Info>What the machine is</Info>
      <Product>{escape(params.name)}</Product>
      <Version>{escape(params.version)}</Version>
    </ProductSection>
    <VirtualHardwareSection>
      <Info>What the machine is made of</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{origin.uuid("machine")}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType>
      </System>
{_written(hardware(params))}{firmware}
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"""


def hardware(params: ApplianceParams) -> Iterator[Item]:
    """Yield the pieces of a machine."""
    memory = -(-params.memory // _MIB)
    yield _item(1, f"{params.cpus} processors", _CPU, AllocationUnits="hertz * 10^6", VirtualQuantity=params.cpus)
    yield _item(2, f"{memory} MiB of memory", _MEMORY, AllocationUnits="byte * 2^20", VirtualQuantity=memory)
    controllers, nics = _VIRTIO if params.provider == "virtualbox" else _INSTEAD
    kind, subtype = (_CONTROLLERS | controllers)[params.drive]
    yield _item(3, "disk controller", kind, Address=0, ResourceSubType=subtype)
    yield _item(4, "disk", _DISK, AddressOnParent=0, HostResource="ovf:/disk/disk1", Parent=3)
    if params.nic != "none":
        nic = (_NICS | nics)[params.nic]
        yield _item(5, "network card", _NIC, AutomaticAllocation="true", Connection="nat", ResourceSubType=nic)


def _item(instance: int, name: str, kind: int, **elements: object) -> Item:
    found = {**elements, "ElementName": name, "InstanceID": instance, "ResourceType": kind}
    return Item(name, tuple(sorted(found.items())))


def _written(items: Iterator[Item]) -> str:
    lines: list[str] = []
    for item in items:
        inside: Sequence[str] = [f"        <rasd:{key}>{value}</rasd:{key}>" for key, value in item.elements]
        lines += ["      <Item>", *inside, "      </Item>"]
    return "\n".join(lines)
