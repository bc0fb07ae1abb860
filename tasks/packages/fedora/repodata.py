"""What an RPM repository says of itself: repomd.xml, which names its lists by their SHA-256."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.parsers import expat

from bootsmith.tasks.errors import StageError

LISTS: Final = ("primary", "filelists", "group", "modules")
"""What dnf resolves by: packages, the files of each, groups, module streams."""
_NEEDED: Final = ("primary", "filelists")
LARGEST: Final = 256 << 20
"""Bytes of a list, packed: the largest of Fedora's has a quarter of it."""
LARGEST_REPOMD: Final = 1 << 20
_HREF: Final = re.compile(r"repodata/[A-Za-z0-9._-]{1,200}?((?:\.[a-z0-9]{1,8}){1,3})")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class List:
    """A list of a repository: where it is, relative to the repository's URL, and its SHA-256."""

    href: str
    sha256: str

    @property
    def file(self) -> str:
        """The endings of its name, which say how it is packed."""
        found = _HREF.fullmatch(self.href)
        assert found is not None, "it was checked as it was read"
        return found[1]


def read(repomd: bytes, where: str) -> dict[str, List]:
    """Return the lists that a repository has, by their kind. Raises StageError."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(repomd, True)
    except (expat.ExpatError, ValueError) as error:
        raise _damaged(where, str(error)) from error
    found = {}
    for kind in LISTS:
        said = reader.lists.get(kind)
        if said is None:
            continue
        if not (_HREF.fullmatch(said.get("href", "")) and _SHA256.fullmatch(said.get("sha256", ""))):
            raise _damaged(where, f"its {kind} has no place or no SHA-256")
        found[kind] = List(said["href"], said["sha256"])
    if missing := [kind for kind in _NEEDED if kind not in found]:
        raise _damaged(where, f"it has no {' and no '.join(missing)}")
    return found


def copy(lists: Mapping[str, List], folder: Path, fetch: Callable[[str], bytes | None], where: str) -> None:
    """Write a repository of these lists alone, without packages, each held to its SHA-256. Raises StageError."""
    (folder / "repodata").mkdir(parents=True)
    rows: list[str] = []
    for kind, each in lists.items():
        data = fetch(each.href)
        if data is None or hashlib.sha256(data).hexdigest() != each.sha256:
            what = "does not exist" if data is None else "has another content than repomd.xml says"
            raise StageError(
                f"{where}/{each.href} {what}: the mirror is amid an update, or damaged", "Try again, or another mirror."
            )
        name = f"repodata/{kind}{each.file}"
        (folder / name).write_bytes(data)
        rows.append(
            f'<data type="{kind}"><checksum type="sha256">{each.sha256}</checksum><location href="{name}"/>'
            f"<size>{len(data)}</size></data>"
        )
    text = f'<repomd xmlns="http://linux.duke.edu/metadata/repo">{"".join(rows)}</repomd>\n'
    (folder / "repodata/repomd.xml").write_text(text)


def _damaged(where: str, why: str) -> StageError:
    return StageError(f"{where}/repodata/repomd.xml is damaged: {why}", "Try again, or another mirror.")


class _Reader:
    """The elements of repomd.xml that count."""

    def __init__(self) -> None:
        self.lists: dict[str, dict[str, str]] = {}
        self._now: dict[str, str] = {}
        self._hash = False

    def refuse(self, *_: object) -> None:
        raise ValueError("it declares a document type")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "data":
            self._now = self.lists.setdefault(attributes.get("type", ""), {})
        elif name == "location":
            self._now["href"] = attributes.get("href", "")
        self._hash = name == "checksum" and attributes.get("type") == "sha256"

    def end(self, _: str) -> None:
        self._hash = False

    def text(self, text: str) -> None:
        if self._hash:
            self._now["sha256"] = self._now.get("sha256", "") + text.strip()
