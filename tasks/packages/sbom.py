"""The output `sbom`: the packages of the finished tree as SPDX 2.3 or CycloneDX 1.5 has them, both as JSON.

What is installed is what the tree's own records say; the lock file adds what each package's file was, by SHA-256.
Whatever identifies a document follows from its content: the same tree gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.tools import os_release
from bootsmith.tasks.tree import installed_packages
from bootsmith.tasks.tree.installed_packages import Installed
from bootsmith.tasks.tree.merged import tree_below

_UNKNOWN: Final = "NOASSERTION"
_TOOL: Final = "bootsmith"
_IMAGE: Final = "SPDXRef-Image"
_SOURCES: Final[Mapping[str, str]] = {"deb": "dpkg", "apk": "apk", "alpm": "pacman"}


@dataclass(frozen=True)
class SbomParams(Params):
    """What the image is, and how it is told."""

    epoch: int
    format: str
    name: str
    version: str


class Bill(NamedTuple):
    """All that is told of an image: its packages in order, of each a package URL, a digest or "", and what it needs."""

    name: str
    version: str
    created: str
    packages: Sequence[Installed]
    urls: Sequence[str]
    digests: Sequence[str]
    needs: Sequence[Sequence[int]]


def run(ctx: Context) -> None:
    """Write the document."""
    params = SbomParams.of(ctx)
    found = _bill(ctx, params)
    if not found.packages:
        ctx.tell("the tree has no record of packages that is known here (dpkg, apk, pacman): the document lists none")
    made = _cyclonedx(found) if params.format == "cyclonedx" else _spdx(found)
    ctx.outputs["sbom"].write_text(json.dumps(made, indent=1) + "\n", encoding="ascii")


def _bill(ctx: Context, params: SbomParams) -> Bill:
    from bootsmith.tasks.packages import lockfile

    tree = tree_below(ctx)
    packages = installed_packages.read(tree)
    release = os_release.parse(tree.text("etc/os-release") or tree.text("usr/lib/os-release") or "")
    locked = lockfile.read(ctx.inputs["lock"]).of_tree if "lock" in ctx.inputs else ()
    digests = {(each.name, each.version, each.arch): each.sha256 for each in locked}
    return Bill(
        params.name,
        params.version,
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(params.epoch)),
        packages,
        [_url(each, release) for each in packages],
        [digests.get((each.name, each.version, each.arch), "") for each in packages],
        [*_needs(packages)],
    )


def _needs(packages: Sequence[Installed]) -> Iterator[list[int]]:
    """Yield the numbers of the packages that each one needs: of alternatives, the first that is there."""
    places: dict[str, int] = {}
    for number, each in enumerate(packages):
        for name in each.provides:
            places.setdefault(name, number)
    places |= {each.name: number for number, each in enumerate(packages)}
    for number, each in enumerate(packages):
        wanted = (next((places[name] for name in names if name in places), None) for names in each.depends)
        yield sorted({place for place in wanted if place is not None and place != number})


def _url(package: Installed, release: Mapping[str, str]) -> str:
    """Return a package's URL, see purl-spec's types."""
    vendor = _quoted(release.get("ID", "") or {"deb": "debian", "apk": "alpine", "alpm": "arch"}[package.kind])
    distro = "-".join(filter(None, (release.get("ID", ""), release.get("VERSION_ID", ""))))
    said = {"arch": package.arch, "distro": distro}
    words = "&".join(f"{key}={_quoted(value)}" for key, value in said.items() if value)
    version = _quoted(package.version, "~")
    return f"pkg:{package.kind}/{vendor}/{_quoted(package.name)}@{version}" + (f"?{words}" if words else "")


def _quoted(word: str, safe: str = "") -> str:
    """Return a word of the tree's records for a URL, whatever bytes it is of."""
    return quote(word.encode("utf-8", "surrogateescape"), safe=safe)


def _unique(made: object, bill: Bill) -> str:
    """Return the UUID of a document that is whole but for it."""
    digest = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{_TOOL}:{bill.name}:{digest}"))


def _text(word: str) -> str:
    """Return a word of the tree's records as a document may hold it: what is no text, or controls, replaced."""
    whole = word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in whole)


# -- SPDX


def _spdx(bill: Bill) -> dict[str, Any]:
    ids = [f"SPDXRef-Package-{number}-{re.sub('[^A-Za-z0-9.-]', '-', each.name)}"
           for number, each in enumerate(bill.packages, 1)]  # fmt: skip
    image = {
        **_spdx_package(_IMAGE, bill.name, bill.version),
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "supplier": _UNKNOWN,
    }
    rows = [_spdx_installed(ids[number], number, bill) for number in range(len(ids))]
    relations = [_relation("SPDXRef-DOCUMENT", "DESCRIBES", _IMAGE)]
    relations += [_relation(_IMAGE, "CONTAINS", each) for each in ids]
    relations += [
        _relation(own, "DEPENDS_ON", ids[other])
        for own, others in zip(ids, bill.needs, strict=True)
        for other in others
    ]
    made = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{bill.name}-{bill.version}",
        "creationInfo": {"created": bill.created, "creators": [f"Tool: {_TOOL}"]},
        "packages": [image, *rows],
        "relationships": relations,
    }
    return {**made, "documentNamespace": f"urn:uuid:{_unique(made, bill)}"}


def _spdx_package(own: str, name: str, version: str) -> dict[str, Any]:
    return {
        "SPDXID": own,
        "name": name,
        "versionInfo": version,
        "downloadLocation": _UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": _UNKNOWN,
        "licenseDeclared": _UNKNOWN,
        "copyrightText": _UNKNOWN,
    }


def _spdx_installed(own: str, number: int, bill: Bill) -> dict[str, Any]:
    package, digest = bill.packages[number], bill.digests[number]
    found = _spdx_package(own, package.name, package.version)
    found["supplier"] = _supplier(package.maintainer)
    found["sourceInfo"] = f"by {_SOURCES[package.kind]}'s records, built from {_text(package.source)}"
    if package.summary:
        found["summary"] = _text(package.summary)
    if package.homepage:
        found["homepage"] = _homepage(package)
    if digest:
        found["checksums"] = [{"algorithm": "SHA256", "checksumValue": digest}]
    found["externalRefs"] = [
        {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": bill.urls[number]}
    ]
    return found


def _supplier(maintainer: str) -> str:
    name, _, mail = _text(maintainer).partition("<")
    said = f"Organization: {name.strip()}" + (f" ({mail.strip('> ')})" if mail.strip("> ") else "")
    return said if name.strip() else _UNKNOWN


def _homepage(package: Installed) -> str:
    return _quoted(package.homepage, ":/?#[]@!$&'()*+,;=%~")


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


# -- CycloneDX


def _cyclonedx(bill: Bill) -> dict[str, Any]:
    refs = [*_references(bill.urls)]
    rows = [_component(refs[number], number, bill) for number in range(len(refs))]
    made: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": bill.created,
            "tools": {"components": [{"type": "application", "name": _TOOL}]},
            "component": {"type": "operating-system", "bom-ref": "image", "name": bill.name, "version": bill.version},
        },
        "components": rows,
        "dependencies": [
            {"ref": "image", "dependsOn": refs},
            *(
                {"ref": own, "dependsOn": [refs[other] for other in others]}
                for own, others in zip(refs, bill.needs, strict=True)
            ),
        ],
    }
    return {**made, "serialNumber": f"urn:uuid:{_unique(made, bill)}"}


def _references(urls: Sequence[str]) -> Iterator[str]:
    """Yield a name for each package that no other has: its URL, numbered where records hold it twice."""
    seen: dict[str, int] = {}
    for url in urls:
        seen[url] = seen.get(url, 0) + 1
        yield url if seen[url] == 1 else f"{url}#{seen[url]}"


def _component(ref: str, number: int, bill: Bill) -> dict[str, Any]:
    package, digest = bill.packages[number], bill.digests[number]
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": ref,
        "name": package.name,
        "version": package.version,
        "purl": bill.urls[number],
    }
    if package.maintainer:
        found["supplier"] = {"name": _text(package.maintainer)}
    if package.summary:
        found["description"] = _text(package.summary)
    if digest:
        found["hashes"] = [{"alg": "SHA-256", "content": digest}]
    if package.homepage:
        found["externalReferences"] = [{"type": "website", "url": _homepage(package)}]
    found["properties"] = [{"name": f"{_TOOL}:source", "value": _text(package.source)}]
    return found
