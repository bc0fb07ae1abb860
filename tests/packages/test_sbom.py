"""Software bills of materials, read by a reader of our own.

The two forms' schemas come in Python packages that draw in a dozen others each, too much for a test: what they demand
of what is written here stands here. Of a whole Debian CycloneDX's passed its schema, SPDX's the
validator of its tools, when this was written.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.packages import lockfile
from bootsmith.tasks.packages.lockfile import LockFile, Package
from bootsmith.tasks.packages.sbom import SbomParams
from bootsmith.tasks.tree.layer import LayerWriter

from tests.support.single_stage import run_stage
from tests.support.tar_members import EPOCH

STATUS = """Package: liba
Status: install ok installed
Version: 1:2.0~rc1+b1
Architecture: amd64
Maintainer: Ann \udcff Other <ann@example.org>
Provides: virtual (= 2)
Description: a library
 whose description goes on
Homepage: https://example.org/a b

Package: tool
Status: install ok installed
Version: 3
Architecture: all
Source: tools (3.1)
Pre-Depends: liba (>= 1)
Depends: nothing | virtual:any, gone

Package: old
Status: deinstall ok config-files
Version: 1
Architecture: all

Package: bad name
Status: install ok installed
Version: 1
"""
ALPINE = (
    "C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\nT:the musl c library\no:musl\np:so:libc.musl-x86_64.so.1=1\n\n"
    "P:busybox\nV:1\nA:x86_64\nD:so:libc.musl-x86_64.so.1\n"
)
PACMAN = "%NAME%\nzlib\n\n%VERSION%\n1:1.3-1\n\n%ARCH%\nx86_64\n\n%DESC%\nCompression\n\n%DEPENDS%\nglibc>=2\n"
SHA256 = "ab" * 32


def bill(folder: Path, form: str, files: dict[str, str], *, locked: bool = True) -> tuple[str, list[str]]:
    """Return the document of a tree, and what its stage told."""
    folder.mkdir()
    inputs = {"0.tar": folder / "0.tar", "0.index": folder / "0.index"}
    with LayerWriter(inputs["0.tar"], inputs["0.index"], EPOCH) as writer:
        for path, text in files.items():
            writer.add_file(path, text.encode("utf-8", "surrogateescape"))
    if locked:
        package = Package("liba", "1:2.0~rc1+b1", "amd64", "main", True, 1, SHA256, "pool/a.deb")
        inputs["lock"] = folder / "lock"
        lockfile.write(inputs["lock"], LockFile({}, EPOCH, (package,)))
    target = folder / "out.json"
    params = SbomParams(EPOCH, form, "box", "1.2").to_json()
    told = run_stage(Stage("convert/sbom", "bootsmith.tasks.packages.sbom:run", inputs, {"sbom": target}, params),
                     folder / "scratch")  # fmt: skip
    return target.read_text(), told


DEBIAN = {"var/lib/dpkg/status": STATUS, "etc/os-release": "ID=debian\nVERSION_ID=13\n"}
URLS = [
    "pkg:deb/debian/liba@1%3A2.0~rc1%2Bb1?arch=amd64&distro=debian-13",
    "pkg:deb/debian/tool@3?arch=all&distro=debian-13",
]


def test_spdx(tmp_path: Path) -> None:
    """What is installed, and only that: name, version, package URL, digest by the lock, and who needs whom."""
    text, _ = bill(tmp_path / "a", "spdx", DEBIAN)
    assert text == bill(tmp_path / "b", "spdx", DEBIAN)[0]
    told = json.loads(text)
    assert (told["spdxVersion"], told["dataLicense"], told["SPDXID"]) == ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", told["documentNamespace"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["creationInfo"]["created"])
    assert told["creationInfo"]["creators"] == ["Tool: bootsmith"]
    image, liba, tool = told["packages"]
    ids = [each["SPDXID"] for each in told["packages"]]
    assert len({*ids}) == 3
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", each) for each in ids)
    for each in told["packages"]:
        assert {"downloadLocation", "filesAnalyzed", "licenseConcluded", "copyrightText", "name"} <= {*each}
    assert (image["name"], image["versionInfo"]) == ("box", "1.2")
    assert [each["externalRefs"][0]["referenceLocator"] for each in (liba, tool)] == URLS
    assert liba["checksums"] == [{"algorithm": "SHA256", "checksumValue": SHA256}]
    assert "checksums" not in tool
    assert liba["supplier"] == "Organization: Ann \ufffd Other (ann@example.org)"
    assert liba["homepage"] == "https://example.org/a%20b"
    assert "tools 3.1" in tool["sourceInfo"]
    rows = {(each["spdxElementId"], each["relationshipType"], each["relatedSpdxElement"])
            for each in told["relationships"]}  # fmt: skip
    assert rows == {
        ("SPDXRef-DOCUMENT", "DESCRIBES", ids[0]), (ids[0], "CONTAINS", ids[1]), (ids[0], "CONTAINS", ids[2]),
        (ids[2], "DEPENDS_ON", ids[1]),
    }  # fmt: skip


@pytest.mark.parametrize("form", ["spdx", "cyclonedx"])
def test_records_that_are_no_text(form: str, tmp_path: Path) -> None:
    """Of machine, system and version, each byte that is no UTF-8 stands in the package URL as it is there."""
    record = "Package: liba\nStatus: install ok installed\nVersion: 1\nArchitecture: a\udcff\nHomepage: x:\udcfc\n"
    files = {"var/lib/dpkg/status": record, "etc/os-release": 'ID="d\udcfe"\nVERSION_ID="1\udcfd"\n'}
    text, _ = bill(tmp_path / "a", form, files, locked=False)
    assert "pkg:deb/d%FE/liba@1?arch=a%FF&distro=d%FE-1%FD" in text
    assert "x:%FC" in text


def test_cyclonedx(tmp_path: Path) -> None:
    """The same in the other form; what refers to a component names one that is there."""
    text, _ = bill(tmp_path / "a", "cyclonedx", DEBIAN)
    assert text == bill(tmp_path / "b", "cyclonedx", DEBIAN)[0]
    told = json.loads(text)
    assert (told["bomFormat"], told["specVersion"], told["version"]) == ("CycloneDX", "1.5", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", told["serialNumber"])
    assert told["metadata"]["component"] == {
        "type": "operating-system", "bom-ref": "image", "name": "box", "version": "1.2",
    }  # fmt: skip
    assert [each["purl"] for each in told["components"]] == URLS
    assert told["components"][0]["hashes"] == [{"alg": "SHA-256", "content": SHA256}]
    refs = {each["bom-ref"] for each in told["components"]} | {"image"}
    needs = {each["ref"]: each["dependsOn"] for each in told["dependencies"]}
    assert needs == {"image": URLS, URLS[0]: [], URLS[1]: [URLS[0]]}
    assert {ref for each in needs.values() for ref in each} <= refs


@pytest.mark.parametrize(
    ("files", "urls"),
    [
        ({"lib/apk/db/installed": ALPINE},
         ["pkg:apk/alpine/busybox@1?arch=x86_64", "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64"]),
        ({"var/lib/pacman/local/zlib-1/desc": PACMAN}, ["pkg:alpm/arch/zlib@1%3A1.3-1?arch=x86_64"]),
        ({"var/lib/dpkg/status.d/tool": "Package: t\nVersion: 1\n",
          "var/lib/dpkg/status.d/tool.md5sums": "Package: x\n"},
         ["pkg:deb/debian/t@1"]),
    ],
    ids=["alpine", "pacman", "no dpkg"],
)  # fmt: skip
def test_other_records(tmp_path: Path, files: dict[str, str], urls: list[str]) -> None:
    """Alpine's and pacman's records are read too, and those of trees without dpkg itself."""
    told: dict[str, Any] = json.loads(bill(tmp_path / "a", "cyclonedx", files, locked=False)[0])
    assert [each["purl"] for each in told["components"]] == urls


def test_a_tree_without_records(tmp_path: Path) -> None:
    """It is told that the document lists nothing, and why."""
    text, told = bill(tmp_path / "a", "spdx", {"init": "x"}, locked=False)
    assert len(json.loads(text)["packages"]) == 1
    assert told == [
        "the tree has no record of packages that is known here (dpkg, apk, pacman): the document lists none"
    ]
