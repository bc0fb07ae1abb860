"""A judge of OVF descriptions, written from what DMTF's DSP0243 and its schema DSP8023 say. It is not that schema.

It knows the elements that a machine of one disk is told by, and is stricter than the schema: attributes of OVF that it
does not know are refused, where the schema takes any; and what names something has to name what is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias
from xml.etree import ElementTree as ET

OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
_CIM = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_"
RASD, VSSD = f"{_CIM}ResourceAllocationSettingData}}", f"{_CIM}VirtualSystemSettingData}}"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

Check: TypeAlias = Callable[[str], bool]


def _below(limit: int) -> Check:
    return lambda text: bool(re.fullmatch("[0-9]+", text)) and int(text) < limit


def _like(pattern: str) -> Check:
    return lambda text: re.fullmatch(pattern, text) is not None


_any, _some = _like("(?s:.*)"), _like("(?s:.+)")
_short, _unsigned_long = _below(1 << 16), _below(1 << 64)
_boolean = _like("true|false|0|1")
_capacity = _like(r"[0-9]+|\$\{.+\}")
_uri = _like(r"[\w.~!$&'()*+,;=:@%/-]+")
_units = _like(r"(byte|hertz)( \* (2|10)\^[0-9]+)?")


@dataclass(frozen=True)
class Kind:
    """An element: its children in order, each `1`, `?` or `*` times; attributes of OVF, with `?` at will; its text.

    Where `open`, elements of other namespaces may stand behind its children.
    """

    children: Sequence[str] = ()
    attributes: Mapping[str, Check] = field(default_factory=dict)
    text: Check | None = None
    open: bool = True


def _section(*children: str, **attributes: Check) -> Kind:
    return Kind(("1Info", *children), {"required?": _boolean, **attributes})


_MESSAGE = Kind(text=_any, attributes={"msgid?": _any}, open=False)
_AROUND = ("DiskSection", "NetworkSection")
_INSIDE = ("OperatingSystemSection", "ProductSection", "VirtualHardwareSection")
"""Which sections tell of the whole, and which of one machine."""
_KINDS = {
    "Envelope": Kind(
        ("1References", f"*{'|'.join(_AROUND)}", "1VirtualSystem"), {"version?": _like("[0-9.]+")}, open=False
    ),
    "References": Kind(("*File",)),
    "File": Kind(attributes={"id": _some, "href": _uri, "size?": _unsigned_long}),
    "DiskSection": _section("*Disk"),
    "Disk": Kind(
        attributes={
            "diskId": _some, "capacity": _capacity, "fileRef?": _some, "capacityAllocationUnits?": _units,
            "format?": _like(r"https?://[\w./#-]+"),
        }
    ),
    "NetworkSection": _section("*Network"),
    "Network": Kind(("?Description",), {"name": _some}, open=False),
    "VirtualSystem": Kind(("1Info", "?Name", f"*{'|'.join(_INSIDE)}"), {"id": _some}, open=False),
    "OperatingSystemSection": _section("?Description", **{"id": _short, "version?": _any}),
    "ProductSection": _section("?Product", "?Vendor", "?Version", "?FullVersion", "?ProductUrl", "?VendorUrl"),
    "VirtualHardwareSection": _section("?System", "*Item", **{"transport?": _any}),
    **dict.fromkeys(("Info", "Name", "Description", "Product", "Vendor"), _MESSAGE),
    **dict.fromkeys(("Version", "FullVersion", "ProductUrl", "VendorUrl"), Kind(text=_any, open=False)),
}  # fmt: skip
_OFTEN = ("Connection", "HostResource", "Notes")
"""What CIM's classes may have several times."""
_RASD: Mapping[str, Check] = {
    **dict.fromkeys(
        ("Address", "AddressOnParent", "AllocationUnits", "Caption", "ConfigurationName", "Connection", "Description",
         "ElementName", "HostResource", "InstanceID", "OtherResourceType", "Parent", "PoolID", "ResourceSubType"),
        _any,
    ),
    **dict.fromkeys(("AutomaticAllocation", "AutomaticDeallocation"), _boolean),
    **dict.fromkeys(("ChangeableType", "ConsumerVisibility", "MappingBehavior", "ResourceType"), _short),
    **dict.fromkeys(("Generation", "Limit", "Reservation", "VirtualQuantity"), _unsigned_long),
    "AllocationUnits": _units,
    "Weight": _below(1 << 32),
}  # fmt: skip
_VSSD: Mapping[str, Check] = dict.fromkeys(
    ("Caption", "CreationTime", "Description", "ElementName", "InstanceID", "Notes", "VirtualSystemIdentifier",
     "VirtualSystemType"),
    _any,
)  # fmt: skip


def judge(text: str) -> None:
    """Find nothing wrong in a description, or raise AssertionError with where and what."""
    root = ET.fromstring(text)
    assert root.tag == f"{OVF}Envelope", f"{root.tag} is no Envelope"
    assert set(root.attrib) <= {f"{OVF}version", _LANG}
    _judge_element(root, "Envelope")
    _judge_references(root)


def _judge_element(element: ET.Element, where: str) -> None:
    kind = _KINDS[element.tag.removeprefix(OVF)]
    _judge_attributes(element, kind, where)
    if kind.text:
        assert kind.text(element.text or ""), f"{where}: {element.text!r}"
    else:
        assert not (element.text or "").strip(), f"{where}: text between elements"
    own = [child for child in element if child.tag.startswith(OVF)]
    assert own == element[: len(own)], f"{where}: an element of another namespace is among its own"
    assert kind.open or len(own) == len(element), f"{where}: no element of another namespace is for here"
    _judge_order([child.tag.removeprefix(OVF) for child in own], kind, where)
    for child in own:
        name = child.tag.removeprefix(OVF)
        if name in ("Item", "System"):
            _judge_setting(child, *((RASD, _RASD) if name == "Item" else (VSSD, _VSSD)), f"{where}/{name}")
        else:
            _judge_element(child, f"{where}/{name}")


def _judge_attributes(element: ET.Element, kind: Kind, where: str) -> None:
    assert all(name.startswith("{") for name in element.attrib), f"{where}: an attribute without a namespace"
    found = {name.removeprefix(OVF): value for name, value in element.attrib.items() if name.startswith(OVF)}
    for word, check in kind.attributes.items():
        name = word.removesuffix("?")
        value = found.pop(name, None)
        assert value is not None or word.endswith("?"), f"{where}: no {name}"
        assert value is None or check(value), f"{where}: {name} is {value!r}"
    assert not found, f"{where}: unknown {found}"


def _judge_order(names: list[str], kind: Kind, where: str) -> None:
    left = list(names)
    for count, *letters in kind.children:
        wanted, taken = "".join(letters).split("|"), 0
        while left and left[0] in wanted and (count == "*" or not taken):
            left.pop(0)
            taken += 1
        assert taken or count != "1", f"{where}: no {wanted[0]} where it belongs, but {left[:1]}"
    assert not left, f"{where}: {left[0]} is not for there"


def _judge_setting(element: ET.Element, space: str, known: Mapping[str, Check], where: str) -> None:
    """Judge a CIM class written out: its properties in the order of the alphabet, the two that it needs among them."""
    assert all(child.tag.startswith(space) for child in element), f"{where}: another class's property"
    names = [child.tag.removeprefix(space) for child in element]
    assert {"ElementName", "InstanceID"} <= set(names), f"{where}: {names} lack a name or a number"
    for one, other in pairwise(names):
        assert one < other or one == other in _OFTEN, f"{where}: {other} behind {one}"
    for name, child in zip(names, element, strict=True):
        assert name in known, f"{where}: no such property: {name}"
        assert known[name](child.text or ""), f"{where}: {name} is {child.text!r}"


def _judge_references(root: ET.Element) -> None:
    files, disks, networks = (
        [each.attrib[f"{OVF}{name}"] for each in root.iter(f"{OVF}{kind}")]
        for kind, name in (("File", "id"), ("Disk", "diskId"), ("Network", "name"))
    )
    instances = [item.findtext(f"{RASD}InstanceID", "") for item in root.iter(f"{OVF}Item")]
    for names in (files, disks, networks, instances):
        assert len(names) == len(set(names)), f"{names} are not each another"
    used = [each.attrib[f"{OVF}fileRef"] for each in root.iter(f"{OVF}Disk") if f"{OVF}fileRef" in each.attrib]
    assert sorted(used) == sorted(files), "a file that no disk is made of, or a disk of none"
    _judge_named(root, "HostResource", [f"ovf:/disk/{each}" for each in disks])
    _judge_named(root, "Connection", networks)
    _judge_named(root, "Parent", instances)


def _judge_named(root: ET.Element, name: str, known: list[str]) -> None:
    for each in root.iter(f"{RASD}{name}"):
        assert each.text in known, f"{name}: there is no {each.text}"
