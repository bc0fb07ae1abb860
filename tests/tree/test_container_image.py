"""Container images as sources: OCI archives and layouts, and what docker save writes, made here by hand."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs
from bootsmith.tasks.tree.merged import Tree

from tests.support.container_images import Layer, digest, layout, packed, saved
from tests.support.recipe_folder import RecipeFolder
from tests.support.single_stage import run_stage
from tests.support.tar_members import member, write_tar

LOWER: Layer = {
    "bin": member("l", linkname="usr/bin"),
    "usr/": member("d"),
    "usr/bin/": member("d"),
    "usr/bin/sh": member(data=b"sh", mode=0o755),
    "etc/": member("d"),
    "etc/passwd": b"root:x:0:0::/:/bin/sh\n",
    "etc/old": b"old",
    "srv/": member("d"),
    "srv/a": b"a",
    "srv/b": b"b",
    "run/": member("d"),
    "lib/": member("d"),
    "lib/x": b"x",
}
UPPER: Layer = {
    "etc/": member("d", mode=0o700),
    "etc/.wh.old": b"",
    "etc/hard": member("h", linkname="etc/passwd"),
    "srv/": member("d"),
    "srv/c": b"c",
    "srv/.wh..wh..opq": b"",
    "bin/tool": member(data=b"tool", mode=0o755),
    "lib": member("l", linkname="usr/lib"),
    "usr/": member("d"),
    "usr/lib/": member("d"),
    "usr/lib/y": b"y",
    "usr/bin/ping": member(mode=0o4755, uid=5, xattrs={"user.note": b"n"}),
}


class Images:
    """A folder where images are made and taken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._recipes = RecipeFolder(folder)
        self._runs = 0

    def tars(self, *layers: Layer) -> list[bytes]:
        return [packed(self.folder, each) for each in layers]

    def take(self, files: Mapping[str, Any], form: str = "tar", arch: str = "amd64") -> Tree:
        """Return the tree of an image of these files: in a tar, a packed tar, or a folder."""
        place = self.folder / "recipes/image"
        if form == "folder":
            for name, data in files.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(data)
        else:
            write_tar(place, files)
            if form == "packed":
                place.write_bytes(gzip.compress(place.read_bytes()))
        self._runs += 1
        site = Site("x", self.folder / f"build/{self._runs}", self.folder / "none.lock", 0)
        head = f"arch: {arch}\n" if arch != "amd64" else ""
        recipe = self._recipes.load(
            f"{head}source: {{oci: image}}\nsystem: none\nboot: {{loader: grub-bios, initrd: none}}\n"
        )
        run_stage(rootfs.stage(recipe, site), self.folder / f"work/{self._runs}")
        return Tree([site.base.index], [site.base.tar])


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Images:
    monkeypatch.chdir(tmp_path)
    return Images(tmp_path)


@pytest.mark.parametrize("form", ["tar", "packed", "folder"])
def test_an_oci_images_tree_is_its_layers(form: str, images: Images) -> None:
    """V1: whiteouts, opaque folders wherever they are, hard links across layers, links followed, owners, attributes."""
    tree = images.take(layout(images.tars(LOWER, UPPER)), form)
    assert set(tree.entries) == {
        *(
            "",
            "bin",
            "usr",
            "usr/bin",
            "usr/bin/sh",
            "usr/bin/tool",
            "usr/bin/ping",
            "usr/lib",
            "usr/lib/y",
            "lib",
            "run",
        ),
        *("etc", "etc/passwd", "etc/hard", "srv", "srv/c"),
    }
    assert tree.entries["etc"][1].mode == 0o700
    assert tree.entries["etc/hard"][1].type == "h"
    assert tree.text("etc/hard") == tree.text("etc/passwd")
    assert tree.text("bin/tool") == "tool"
    ping = tree.entries["usr/bin/ping"][1]
    assert (ping.mode, ping.uid, ping.xattrs) == (0o4755, 5, {"user.note": b"n"})
    assert tree.entries["lib"][1].type == "l"


def test_docker_saves_tree_is_the_same(images: Images) -> None:
    """What docker save and a layout hold comes to the same tree; a layer that is there twice is read twice."""
    tars = images.tars(LOWER, UPPER, LOWER)
    tree = images.take(saved(tars))
    assert tree.text("etc/old") == "old"
    assert tree.text("srv/c") == "c"
    assert tree.text("lib/x") == "x"
    assert set(tree.entries) == set(images.take(layout(tars)).entries)


def test_an_opaque_folder_behind_its_files_hides_the_same(images: Images) -> None:
    """In whatever order a layer has them."""
    first = {"srv/": member("d"), "srv/.wh..wh..opq": b"", "srv/c": b"c"}
    last = {"srv/c": b"c", "srv/": member("d"), "srv/.wh..wh..opq": b""}
    trees = [images.take(layout(images.tars(LOWER, each))) for each in (first, last)]
    assert [sorted(path for path in tree.entries if path.startswith("srv")) for tree in trees] == [["srv", "srv/c"]] * 2


def test_the_machines_image_is_taken_of_several(images: Images) -> None:
    """An index of images for several machines, with attestations among them; one that has none for this is told."""
    files: dict[str, bytes] = {}
    rows = []
    for arch, machine in (("amd64", "amd64"), ("arm64", "arm64"), ("386", "386"), ("unknown", "unknown")):
        made = layout(images.tars({"etc/": member("d"), "etc/arch": arch.encode()}), arch)
        row = json.loads(made.pop("index.json"))["manifests"][0]
        rows.append({**row, "platform": {"architecture": machine, "os": "linux" if arch != "unknown" else "unknown"}})
        files |= made
    inner = json.dumps({"manifests": rows}).encode()
    files[f"blobs/{digest(inner).replace(':', '/')}"] = inner
    outer = {"manifests": [{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest(inner)}]}
    files["index.json"] = json.dumps(outer).encode()
    assert images.take(files).text("etc/arch") == "amd64"
    assert images.take(files, arch="i386").text("etc/arch") == "386"
    files["index.json"] = json.dumps({"manifests": rows[1:]}).encode()
    with pytest.raises(StageError, match="holds 0 images for amd64"):
        images.take(files)


def test_a_file_by_a_whiteouts_name_is_refused(images: Images) -> None:
    """A file with content that is really called so is not taken for a removal."""
    tars = images.tars(LOWER, {"etc/.wh.passwd": b"content"})
    with pytest.raises(StageError, match=r"image: layer 2: /etc/\.wh\.passwd has the name by which layers say"):
        images.take(layout(tars))


def broken(files: dict[str, bytes], how: str) -> dict[str, bytes]:
    """Return an image's files, one of them not as it should be."""
    blobs = sorted(path for path in files if path.startswith("blobs/"))
    layer = next(path for path in blobs if files[path][:2] == b"\x1f\x8b")
    index = json.loads(files["index.json"])
    match how:
        case "cut short":
            return {**files, layer: files[layer][:-9]}
        case "missing":
            return {path: data for path, data in files.items() if path != layer}
        case "no index":
            return {path: data for path, data in files.items() if path != "index.json"}
        case "not JSON":
            return {**files, "index.json": b"{" * 100}
        case "odd index":
            return {**files, "index.json": b'{"manifests": [1]}'}
        case "odd name":
            index["manifests"][0]["digest"] = "sha256:../../../../etc/passwd"
        case "two":
            row = index["manifests"][0]
            index["manifests"] = [{**row, "annotations": {"org.opencontainers.image.ref.name": each}} for each in "ab"]
    return {**files, "index.json": json.dumps(index).encode()}


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("cut short", "is damaged: blobs/sha256/[0-9a-f]+ has another content than its name says"),
        ("missing", "lacks blobs/sha256/[0-9a-f]+"),
        ("no index", "is no container image: it has neither index.json nor manifest.json"),
        ("not JSON", "is damaged: index.json is no JSON"),
        ("odd index", "is no container image: index.json lists no manifests"),
        ("odd name", "names a part by .*, which is no SHA-256"),
        ("two", "holds 2 images for amd64: a, b"),
    ],
)
@pytest.mark.parametrize("form", ["tar", "folder"])
def test_what_is_wrong_with_an_image_is_told(form: str, how: str, what: str, images: Images) -> None:
    """Nothing in an image is trusted: of the user's file, what is wrong, and never a traceback."""
    with pytest.raises(StageError, match=f"image {what}"):
        images.take(broken(layout(images.tars(LOWER)), how), form)


def test_another_machines_image_is_told(images: Images) -> None:
    """By its configuration, where no index says it."""
    with pytest.raises(StageError, match="image is for arm64, not for amd64"):
        images.take(layout(images.tars(LOWER), "arm64"))


def test_what_unpacks_to_something_else_is_told(images: Images) -> None:
    """A layer whose content is not what the configuration says, as docker save names none by its digest."""
    files = saved(images.tars(LOWER))
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("x"))
    files["0/layer.tar"] = made.getvalue()
    with pytest.raises(StageError, match=r"image is damaged: 0/layer\.tar does not unpack to what"):
        images.take(files)
