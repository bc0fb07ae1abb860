"""What cloud-init is given, judged before it is: what it would not read it passes over without a word. Pure.

cloud-init tells what user data is by its first line alone; the other two files are YAML. A byte order mark, a line that
ends as on Windows or a tab before a key are what editors leave there.
"""

from __future__ import annotations

import re
from typing import Final

from bootsmith.cache.display import nearest, shown

LARGEST: Final = 1 << 20
"""Bytes of such a file: more than any cloud takes."""
BEGINNINGS: Final = (
    "#cloud-config", "#cloud-config-archive", "#!", "#include", "#include-once", "#cloud-boothook", "#part-handler",
    "## template: jinja", "Content-Type: multipart/", "MIME-Version:",
)  # fmt: skip
_YAML: Final = ("#cloud-config", "#cloud-config-archive")
_DEEPEST: Final = 50
_BOM: Final = b"\xef\xbb\xbf"


def refusal(name: str, data: bytes) -> str | None:
    """Return why a file cannot be cloud-init's user_data, meta_data or network_config; None where it can."""
    why = _bytes(data)
    if why:
        return why
    text = data.decode()
    first = text.splitlines()[0]
    mime = first.startswith(BEGINNINGS[-2:])
    if "\r" in text and not (name == "user_data" and mime):
        line = text[: text.index("\r")].count("\n") + 1
        return f"ends line {line} as on Windows (CR LF), which shells and YAML take for part of it; save it with LF"
    if name == "user_data":
        return _user_data(text, first)
    return _mapping(text) or (_network(text) if name == "network_config" else None)


def _bytes(data: bytes) -> str | None:
    if not data.strip():
        return "is empty"
    if len(data) > LARGEST:
        return f"has more than {LARGEST >> 20} MiB, which no cloud takes"
    if data.startswith(_BOM):
        return "begins with a byte order mark, behind which cloud-init does not look; save it as UTF-8 without one"
    if data.startswith(b"\x1f\x8b"):
        return "is packed by gzip; unpack it"
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f"is no UTF-8: byte {error.start} is {data[error.start]:#04x}"
    return None


def _user_data(text: str, first: str) -> str | None:
    if not first.startswith(BEGINNINGS):
        meant = nearest("".join(first.split()), [each for each in BEGINNINGS if " " not in each])
        todo = f"did you mean {meant}?" if meant else "write #cloud-config, or #! and an interpreter"
        return f"begins with {shown(first[:60])!r}, by which cloud-init knows nothing; {todo}"
    if first.split(maxsplit=1)[0] in _YAML:
        return _mapping(text, lists=first.startswith("#cloud-config-archive"))
    return None


def _mapping(text: str, *, lists: bool = False) -> str | None:
    """Return why a text is no YAML, or none that holds keys; one that holds nothing is as good."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r" *\t", line) and line.strip():
            return f"has a tab before line {number}, which YAML does not allow; write blanks"
    import yaml

    kinds = (yaml.SequenceStartEvent,) if lists else (yaml.MappingStartEvent,)
    depth = 0
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.NodeEvent) and depth == 0 and not isinstance(event, kinds):
                return f"holds no {'list' if lists else 'keys'}, which is what cloud-init looks for"
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                return f"is nested deeper than {_DEEPEST} levels"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}" if mark else ""
        return f"is no YAML{where}: {error.problem}"
    except yaml.YAMLError as error:
        return f"is no YAML: {shown(str(error))}"
    return None


def _network(text: str) -> str | None:
    if re.search(r"^[\"']?(version|network)[\"']?\s*:|[{,]\s*[\"']?(version|network)[\"']?\s*:", text, re.MULTILINE):
        return None
    return "says neither `version:` nor `network:`; write version: 2, and the links as netplan has them"


def has_instance_id(meta_data: str) -> bool:
    """Tell whether meta-data names the instance."""
    return bool(re.search(r"^[\"']?instance-id[\"']?\s*:|[{,]\s*[\"']?instance-id[\"']?\s*:", meta_data, re.MULTILINE))
