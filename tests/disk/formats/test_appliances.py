"""Machines around a disk: each piece of hardware as hypervisors call it, and the whole description to the letter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bootsmith.tasks.disk.formats import appliance, box, ovf
from bootsmith.tasks.disk.formats.appliance import ApplianceParams
from bootsmith.tasks.disk.formats.image import ImageParams
from bootsmith.tasks.disk.formats.origin import Origin

from tests.support import image_readers, ovf_judge

MIB, GIB = 1 << 20, 1 << 30
ORIGIN = Origin(lambda: "content", "seed", 0)
PARAMS = ApplianceParams(
    ImageParams("streamOptimized", "seed", 0), name="a&b", version="1.5", description='say "<hi>"', system="debian",
    bits=64, cpus=2, memory=GIB, drive="virtio", nic="virtio", uefi=True, provider="libvirt",
)  # fmt: skip
GOLDEN = """\
<?xml version="1.0" encoding="UTF-8"?>
<Envelope ovf:version="1.0" xml:lang="en-US"
  xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
  xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:id="file1" ovf:href="a&amp;b-disk1.vmdk" ovf:size="1234"/>
  </References>
  <DiskSection>
    <Info>Disks of the machine</Info>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="3"
      ovf:capacityAllocationUnits="byte * 2^30" \
ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>Networks that the machine is on</Info>
    <Network ovf:name="nat">
      <Description>A network that leads out</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="a&amp;b">
    <Info>say "&lt;hi&gt;"</Info>
    <Name>a&amp;b</Name>
    <OperatingSystemSection ovf:id="96" vmw:osType="debian10_64Guest">
      <Info>The guest's operating system</Info>
      <Description>debian</Description>
    </OperatingSystemSection>
    <ProductSection>
      <Info>What the machine is</Info>
      <Product>a&amp;b</Product>
      <Version>1.5</Version>
    </ProductSection>
    <VirtualHardwareSection>
      <Info>What the machine is made of</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{machine}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits>
        <rasd:ElementName>2 processors</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>2</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:ElementName>1024 MiB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>1024</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:ElementName>disk controller</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>AHCI</rasd:ResourceSubType>
        <rasd:ResourceType>20</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:ElementName>disk</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>nat</rasd:Connection>
        <rasd:ElementName>network card</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>E1000</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"""


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A file of 1234 bytes, whose disk has a size of its own."""
    path = tmp_path / "a&b-disk1.vmdk"
    path.write_bytes(bytes(1234))
    return path


def test_the_description_to_the_letter(disk: Path) -> None:
    """With names and words that XML has to escape (W11)."""
    text = ovf.descriptor(PARAMS, disk, 2 * GIB + 1, ORIGIN)
    assert text == GOLDEN.replace("{machine}", str(ORIGIN.uuid("machine")))
    assert image_readers.ovf(text).firmware == "efi"


CPUS = "<rasd:VirtualQuantity>2</rasd:VirtualQuantity>"
VERSION = "      <Version>1.5</Version>\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<Name>a&amp;b</Name>", "", None),
        (' ovf:size="1234"', "", None),
        ("<Description>debian</Description>", "", None),
        ("</Envelope>", "<Strings/></Envelope>", "Strings is not for there"),
        (VERSION, "<vmw:More/>", None),
        (VERSION, "<Vendor>v</Vendor>" + VERSION, None),
        (VERSION, VERSION + "<Vendor>v</Vendor>", "Vendor is not for there"),
        (VERSION, "<vmw:More/>" + VERSION, "of another namespace is among its own"),
        ("<Info>Disks of the machine</Info>", "", "DiskSection: no Info where it belongs"),
        ("  <References>", "  <vmw:More/><References>", "of another namespace"),
        ("DiskSection>", "EulaSection>", "no VirtualSystem where it belongs, but ..EulaSection"),
        ("<Name>", "<Info>again</Info><Name>", "Info is not for there"),
        ('ovf:id="a&amp;b"', "", "VirtualSystem: no id"),
        ('ovf:id="96"', 'ovf:id="65536"', "id is '65536'"),
        ('ovf:size="1234"', 'ovf:size="-1"', "size is '-1'"),
        ('ovf:size="1234"', 'size="1234"', "an attribute without a namespace"),
        ('ovf:size="1234"', 'ovf:length="1234"', "unknown"),
        ("a&amp;b-disk1.vmdk", "a b.vmdk", "href is 'a b.vmdk'"),
        ('ovf:capacity="3"', 'ovf:capacity="3 GiB"', "capacity is"),
        ("byte * 2^30", "GiB", "capacityAllocationUnits is"),
        ('fileRef="file1"', 'fileRef="file2"', "a disk of none"),
        ("ovf:/disk/disk1", "ovf:/disk/disk2", "there is no ovf:/disk/disk2"),
        ("<rasd:Parent>3", "<rasd:Parent>9", "there is no 9"),
        (">nat</rasd:Connection>", ">lan</rasd:Connection>", "there is no lan"),
        ("<rasd:InstanceID>2<", "<rasd:InstanceID>1<", "are not each another"),
        ("<rasd:InstanceID>1</rasd:InstanceID>", "", "lack a name or a number"),
        (CPUS, "<rasd:VirtualQuantity>two</rasd:VirtualQuantity>", "VirtualQuantity is 'two'"),
        (CPUS, CPUS + "<rasd:Address>0</rasd:Address>", "Address behind VirtualQuantity"),
        (CPUS, CPUS + CPUS, "VirtualQuantity behind VirtualQuantity"),
        (CPUS, CPUS + "<rasd:Virtue>0</rasd:Virtue>", "no such property: Virtue"),
        (">true</rasd:Auto", ">yes</rasd:Auto", "AutomaticAllocation is 'yes'"),
        ("vssd:", "rasd:", "another class's property"),
    ],
)
def test_the_judge_of_descriptions_judges(old: str, new: str, message: str | None) -> None:
    """What DMTF's schema leaves open it takes; each thing that is out of place it names (W11)."""
    assert old in GOLDEN
    changed = GOLDEN.replace("xmlns:vssd=", "xmlns:VSSD=").replace(old, new).replace("xmlns:VSSD=", "xmlns:vssd=")
    if message is None:
        ovf_judge.judge(changed)
        return
    with pytest.raises(AssertionError, match=message):
        ovf_judge.judge(changed)


@pytest.mark.parametrize(
    ("drive", "kind", "subtype"),
    [
        ("ide", 5, "PIIX4"), ("scsi", 6, "lsilogic"), ("sata", 20, "AHCI"), ("nvme", 20, "vmware.nvme.controller"),
        ("virtio", 20, "AHCI"),
    ],
)  # fmt: skip
def test_every_drive_has_a_controller(disk: Path, drive: str, kind: int, subtype: str) -> None:
    """Which the disk hangs on."""
    found = image_readers.ovf(ovf.descriptor(replace(PARAMS, drive=drive), disk, GIB, ORIGIN))
    assert found.items[kind]["ResourceSubType"] == subtype
    assert found.items[17]["Parent"] == found.items[kind]["InstanceID"]


def test_virtio_is_virtualboxs_alone(disk: Path) -> None:
    """A box for it has VirtIO devices; what others import too has those that each of them knows (W11)."""
    found = [
        image_readers.ovf(ovf.descriptor(replace(PARAMS, provider=provider), disk, GIB, ORIGIN)).items
        for provider in ("", "virtualbox")
    ]
    assert [(each[20]["ResourceSubType"], each[10]["ResourceSubType"]) for each in found] == [
        ("AHCI", "E1000"),
        ("VirtioSCSI", "virtio"),
    ]


@pytest.mark.parametrize(
    ("system", "bits", "number"),
    [
        ("debian", 64, 96), ("debian", 32, 95), ("ubuntu", 64, 94), ("ubuntu", 32, 93), ("linux", 64, 101),
        ("linux", 32, 36), ("other", 32, 1), ("other", 64, 102),
    ],
)  # fmt: skip
def test_every_system_has_a_number(disk: Path, system: str, bits: int, number: int) -> None:
    """Of CIM's list."""
    params = replace(PARAMS, system=system, bits=bits)
    assert image_readers.ovf(ovf.descriptor(params, disk, GIB, ORIGIN)).system == number


def test_a_machine_without_a_network(disk: Path) -> None:
    """Has neither a card nor a network to be on; under a BIOS nothing is said of firmware."""
    text = ovf.descriptor(replace(PARAMS, nic="none", uefi=False), disk, GIB, ORIGIN)
    found = image_readers.ovf(text)
    assert 10 not in found.items
    assert "Network" not in text
    assert found.firmware == "bios"


def test_odd_memory_is_rounded_up(disk: Path) -> None:
    """Hypervisors count it in MiB."""
    found = image_readers.ovf(ovf.descriptor(replace(PARAMS, memory=GIB + 1), disk, GIB, ORIGIN))
    assert found.items[4]["VirtualQuantity"] == "1025"


@pytest.mark.parametrize(("size", "whole"), [(1, 1), (GIB, 1), (GIB + 1, 2), (10 * GIB - MIB, 10)])
def test_a_disk_is_told_in_whole_gib(size: int, whole: int) -> None:
    """Rounded up, never down: a disk larger than it is told would lose its end."""
    assert appliance.gib(size) == whole


def test_vagrantfiles_under_uefi() -> None:
    """Each provider is told in its own words; a machine without a network card has no model of one."""
    libvirt = box.vagrantfile(replace(PARAMS, nic="none"), ORIGIN)
    assert libvirt == (
        'Vagrant.configure("2") do |config|\n'
        '  config.vm.provider "libvirt" do |machine|\n'
        "    machine.memory = 1024\n"
        "    machine.cpus = 2\n"
        '    machine.disk_bus = "virtio"\n'
        '    machine.loader = "/usr/share/OVMF/OVMF_CODE_4M.fd"\n'
        "  end\n"
        "end\n"
    )
    virtualbox = box.vagrantfile(replace(PARAMS, provider="virtualbox"), ORIGIN)
    assert '    machine.customize ["modifyvm", :id, "--firmware", "efi"]\n' in virtualbox
    assert "disk_bus" not in virtualbox
