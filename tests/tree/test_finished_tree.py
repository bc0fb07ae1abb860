"""The finished tree as an output: what is in it beside what the layers have, and what reads it."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.tree import oci_archive
from bootsmith.tasks.tree.layer import LayerWriter, read_index
from bootsmith.tasks.tree.manifest import ManifestParams
from bootsmith.tasks.tree.oci_archive import OciParams
from bootsmith.tasks.tree.packing import packing
from bootsmith.tasks.tree.tree_archive import TreeArchiveParams

from tests.support.single_stage import run_stage
from tests.support.tar_members import EPOCH

STATUS = "Package: a\nStatus: install ok installed\nVersion: 1:2\nArchitecture: amd64\nSource: b (3)\n"


def lay(folder: Path, *, boot: bool = True) -> dict[str, Path]:
    """Write two layers, the upper changing the lower, and a kernel and an initrd; return them as a stage's inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {f"{number}.{kind}": folder / f"{number}.{kind}" for number in range(2) for kind in ("tar", "index")}
    with LayerWriter(inputs["0.tar"], inputs["0.index"], EPOCH) as lower:
        lower.add_directory("", 0o755)
        lower.add_file("file", b"first", 0o4755, 1000, 70000, xattrs={"user.a": b"\xff"})
        lower.date("file", EPOCH - 1)
        lower.add_hard_link("linked", "file")
        lower.add_symlink("link", "/a/b")
        lower.add_device("dev/null", "c", 1, 3, mode=0o666)
        lower.add_file("gone", b"x")
        lower.add_file("etc/fstab", b"UUID=1 / ext4 defaults 0 1\n")
        lower.add_file("odd-\udcff", b"odd")
        lower.add_file("var/lib/dpkg/status", STATUS.encode())
    with LayerWriter(inputs["1.tar"], inputs["1.index"], EPOCH) as upper:
        upper.add_whiteout("gone")
        upper.add_file("new", b"new")
    if boot:
        for name, data in {"kernel": b"K" * 600, "initrd": b"I" * 70, "facts": b'{"version": "6.1"}'}.items():
            (folder / name).write_bytes(data)
            inputs[name] = folder / name
    return inputs


def make(folder: Path, kind: str, *, boot: bool = True, fstab: bool = True, layers: tuple[str, ...] = ()) -> Path:
    """Make an output of that tree; return it."""
    target, tree = folder / "out", {"epoch": EPOCH, "fstab": fstab, "kernel": None}
    if kind == "oci":
        params = OciParams(**tree, compress="gzip", layers=layers, tag="t", command=("/init",), arch="amd64").to_json()
        run, role, tools = "oci_archive:run", "archive", ("gzip",)
    elif kind == "manifest":
        params = ManifestParams(**tree, name="box", version="1", arch="amd64").to_json()
        run, role, tools = "manifest:run", "manifest", ()
    else:
        params = TreeArchiveParams(**tree, compress=kind).to_json()
        run, role, tools = "tree_archive:run", "archive", packing(kind)[:1]
    inputs = lay(folder, boot=boot)
    stage = Stage("convert/x", f"bootsmith.tasks.tree.{run}", inputs, {role: target}, params, tools)
    run_stage(stage, folder / "scratch")
    return target


@pytest.mark.parametrize("how", ["none", "gzip", "xz", "zstd"])
def test_a_tar_of_it(tmp_path: Path, how: str) -> None:
    """Owners, modes, times, links, devices, odd names and attributes are the tree's (W1, A2), twice the same bytes."""
    made = make(tmp_path / "a", how)
    assert made.read_bytes() == make(tmp_path / "b", how).read_bytes()
    plain = subprocess.run([how, "-dc", made], capture_output=True, check=True).stdout if how != "none" else None
    if plain is not None:
        made.write_bytes(plain)
    with tarfile.open(made, errors="surrogateescape") as tar:
        found = {each.name.removeprefix("./"): each for each in tar}
        assert tar.extractfile(found["file"]).read() == b"first"  # type: ignore[union-attr]
        assert tar.extractfile(found["etc/fstab"]).read().startswith(b"#")  # type: ignore[union-attr]
        assert tar.extractfile(found["boot/vmlinuz-6.1"]).read() == b"K" * 600  # type: ignore[union-attr]
        assert tar.extractfile(found["boot/initrd.img-6.1"]).read() == b"I" * 70  # type: ignore[union-attr]
    assert (found["file"].mode, found["file"].uid, found["file"].gid, found["file"].mtime) == (
        0o4755, 1000, 70000, EPOCH - 1
    )  # fmt: skip
    assert found["file"].pax_headers["SCHILY.xattr.user.a"] == "\udcff"
    assert (found["linked"].linkname, found["link"].linkname) == ("file", "/a/b")
    assert found["dev/null"].ischr()
    assert "odd-\udcff" in found
    assert "gone" not in found


def test_without_a_kernel_nothing_is_added(tmp_path: Path) -> None:
    """Of a tree that nothing starts no /boot is made; an fstab that is not the recipe's own stays."""
    with tarfile.open(make(tmp_path, "none", boot=False, fstab=False), errors="surrogateescape") as tar:
        assert "boot" not in tar.getnames()
        assert tar.extractfile("etc/fstab").read() == b"UUID=1 / ext4 defaults 0 1\n"  # type: ignore[union-attr]


@pytest.mark.parametrize("layers", [(), ("base", "1-files")])
def test_a_container_image_of_it(tmp_path: Path, layers: tuple[str, ...]) -> None:
    """`source: oci` reads it: the same tree, in one layer or in several; twice the same bytes."""
    made = make(tmp_path / "a", "oci", layers=layers)
    assert made.read_bytes() == make(tmp_path / "b", "oci", layers=layers).read_bytes()
    from bootsmith.tasks.tree.container_image import ContainerImageParams

    outputs = {"tar": tmp_path / "again.tar", "index": tmp_path / "again.index"}
    params = ContainerImageParams("amd64").to_json()
    again = Stage("rootfs", "bootsmith.tasks.tree.container_image:take", {"file": made}, outputs, params, ())
    run_stage(again, tmp_path / "scratch")
    found = {each.path: each for each in read_index(outputs["index"])}
    assert {"file", "linked", "new", "odd-\udcff", "boot/vmlinuz-6.1", "boot/initrd.img-6.1"} <= {*found}
    assert "gone" not in found
    assert found["etc/fstab"].size == len(
        b"# this tree was made without a disk: whoever puts it on one says what is mounted\n"
    )
    assert (found["file"].uid, found["file"].mode, dict(found["file"].xattrs)) == (1000, 0o4755, {"user.a": b"\xff"})
    with tarfile.open(made) as tar:
        index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
        digest = index["manifests"][0]["digest"].partition(":")[2]
        manifest = json.load(tar.extractfile(f"blobs/sha256/{digest}"))  # type: ignore[arg-type]
        config = json.load(tar.extractfile(f"blobs/sha256/{manifest['config']['digest'].partition(':')[2]}"))  # type: ignore[arg-type]
    assert len(manifest["layers"]) == (3 if layers else 1)
    assert (config["architecture"], config["config"]["Cmd"]) == ("amd64", ["/init"])
    assert oci_archive.ARCHITECTURES["i386"] == "386"


def test_a_manifest_of_it(tmp_path: Path) -> None:
    """Each package, and each file with mode, owner, size and SHA-256; a name that JSON cannot hold in base64 too."""
    text = make(tmp_path / "a", "manifest").read_text()
    assert text == make(tmp_path / "b", "manifest").read_text()
    told = json.loads(text)
    assert told["packages"] == [{"name": "a", "version": "1:2", "arch": "amd64", "source": "b 3"}]
    files = {each["path"]: each for each in told["files"]}
    assert files["/file"] == {
        "path": "/file", "type": "file", "mode": "4755", "owner": 1000, "group": 70000, "size": 5,
        "attributes": {"user.a": "/w=="}, "sha256": hashlib.sha256(b"first").hexdigest(),
    }  # fmt: skip
    assert files["/linked"]["same_as"] == "/file"
    assert files["/linked"]["sha256"] == files["/file"]["sha256"]
    assert files["/boot/vmlinuz-6.1"]["sha256"] == hashlib.sha256(b"K" * 600).hexdigest()
    assert files["/link"]["target"] == "/a/b"
    assert (files["/dev/null"]["major"], files["/dev/null"]["minor"]) == (1, 3)
    (odd,) = [each for each in told["files"] if each["path"].startswith("/odd")]
    assert base64.b64decode(odd["path_base64"]) == b"/odd-\xff"
