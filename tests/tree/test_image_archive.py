"""Images of container engines where trees are expected."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs, unpartitioned
from bootsmith.tasks.tree import image_archive

from tests.support.container_images import layout, saved
from tests.support.recipe_folder import RecipeFolder
from tests.support.single_stage import run_stage
from tests.support.tar_members import write_tar

SAVED = {"manifest.json": json.dumps([{"Config": "c.json", "RepoTags": ["x:1"], "Layers": ["a/layer.tar"]}]).encode()}
LAYOUT = {"index.json": b"{}", "oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
OTHERS = {"manifest.json": b'{"name": "an app"}', "oci-layout": b"[" * 100_000}


@pytest.mark.parametrize("kind", ["tar", "directory", "run-tgz", "run-dir"])
@pytest.mark.parametrize(
    ("files", "what"),
    [(SAVED, "what docker save wrote"), (LAYOUT, "an OCI image"), (OTHERS, "")],
    ids=["docker", "OCI", "none"],
)
def test_an_image_is_no_tree(
    kind: str, files: dict[str, bytes], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk of manifest.json and packed layers starts nothing: it is told what it is, and how its tree is had."""
    monkeypatch.chdir(tmp_path)
    recipes, site = RecipeFolder(tmp_path), Site("x", tmp_path / "build/x", tmp_path / "none.lock", 0)
    place = recipes.folder / "recipes"
    (place / "tree").mkdir()
    for name, data in files.items():
        (place / "tree" / name).write_bytes(data)
    write_tar(place / "t.tar", dict(files))
    stage = {
        "tar": lambda: rootfs.stage(recipes.load("source: {tar: t.tar}\nboot: {kernel: t.tar}\n"), site),
        "directory": lambda: rootfs.stage(recipes.load("source: {directory: tree}\nboot: {kernel: t.tar}\n"), site),
        "run-tgz": lambda: unpartitioned.of_tar(place / "t.tar", site, kernel=False),
        "run-dir": lambda: unpartitioned.of_directory(place / "tree", site, kernel=False),
    }[kind]()
    if not what:
        run_stage(stage, tmp_path / "work")
        assert all(os.path.lexists(path) for path in stage.outputs.values())
        return
    with pytest.raises(StageError, match=f"is {what}: no tree, but layers of one") as caught:
        run_stage(stage, tmp_path / "work")
    assert "source: oci" in caught.value.hint
    assert "podman export" in caught.value.hint


@pytest.mark.parametrize(
    ("files", "holds"),
    [
        (layout([b"x"]), True),
        ({name: data for name, data in layout([b"x"]).items() if name != "oci-layout"}, True),
        (saved([b"x"]), True),
        ({"manifest.json": b'{"name": "an app"}', "index.json": b'{"manifests": ["a.webmanifest"]}'}, False),
        ({"index.json": b"[" * 100_000}, False),
        ({"srv/index.json": layout([b"x"])["index.json"]}, False),
    ],
    ids=["OCI", "OCI without its mark", "docker", "a web site", "damaged", "below the top"],
)
def test_an_image_in_a_tar_is_told_by_content(files: dict[str, bytes], holds: bool, tmp_path: Path) -> None:
    """Not by the names of its files, which others bear as well."""
    write_tar(tmp_path / "t.tar", files)
    assert image_archive.holds_image(tmp_path / "t.tar") is holds
