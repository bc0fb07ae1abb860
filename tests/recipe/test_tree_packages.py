"""Whether packages come on top of a tree that was not installed here, and who makes its initrd."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.recipe import tree_packages

from tests.support.recipe_folder import RecipeFolder

TAR = "source: {tar: tree.tar}\n"
DEBIAN = "source: {debian: {suite: trixie}}\n"
IMAGE = "layers: [packages: [linux-image-cloud-amd64]]\n"


@pytest.mark.parametrize(
    ("text", "wanted", "adds", "makes"),
    [
        (TAR, False, False, False),
        (f"{TAR}layers: [packages: [jq]]\n", True, False, False),
        (f"{TAR}{IMAGE}", True, False, True),
        (f"{TAR}boot: {{kernel: install}}\n", True, True, True),
        (f"{TAR}boot: {{entries: {{a: {{}}, b: {{kernel: install}}}}}}\n", True, True, True),
        (f"{TAR}{IMAGE}boot: {{kernel: install}}\n", True, False, True),
        (f"{DEBIAN}boot: {{kernel: install}}\n", False, False, True),
    ],
)
def test_what_a_recipe_wants(
    text: str, wanted: bool, adds: bool, makes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A21: a tree from elsewhere is given packages and a kernel; initrds are made wherever kernels are packages."""
    monkeypatch.chdir(tmp_path)
    folder = RecipeFolder(tmp_path)
    folder.write("tree.tar", b"")
    recipe = folder.load(text)
    assert tree_packages.wanted(recipe) is wanted
    assert tree_packages.adds_kernel(recipe) is adds
    assert tree_packages.makes_initrds(recipe) is makes
