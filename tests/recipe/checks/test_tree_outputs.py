"""Outputs that are the finished tree: their names and defaults, what goes with them, what does not."""

from __future__ import annotations

import pytest
from bootsmith.tasks.planning import make
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.show import show

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

ALL = (
    "outputs: [tar, tar: {compress: zstd}, tgz, oci, directory, ext4, squashfs, erofs, manifest, sbom,"
    " sbom: {format: cyclonedx}]\n"
)
NAMES = ["x.tar", "x.tar.zst", "x.tgz", "x-oci.tar", "x-tree", "x.ext4", "x.squashfs", "x.erofs", "x-manifest.json",
         "x.spdx.json", "x.cdx.json"]  # fmt: skip
BAD = [
    (SOURCE + "outputs: [tar: {compress: lz4}]\n",
     ["2:27: outputs.tar.compress: 'lz4' is not a choice; known here: none, gzip, xz, zstd"]),
    (SOURCE + "outputs: [oci: {tag: a b}]\n",
     ["2:22: outputs.oci.tag: 'a b' is not an image's tag; use letters, digits and _ . -, at most 128 of them"]),
    (SOURCE + "outputs: [ext4: {size: 64}]\n", ["2:24: outputs.ext4.size: 64 has no unit; did you mean 64G?"]),
    (SOURCE + "outputs: [sbom: {format: swid}]\n",
     ["2:26: outputs.sbom.format: 'swid' is not a choice; known here: spdx, cyclonedx"]),
    (SOURCE + "outputs: [tar: a.tar, tgz: a.tar]\n",
     ["2:28: outputs.tgz.file: two outputs are called a.tar; give one another file:"]),
    (SOURCE + "boot: {kernel: none}\noutputs: [raw, tar]\n",
     ["2:16: boot.kernel: systemd-boot would have nothing to start; write auto, or name a kernel"]),
]  # fmt: skip


@each_of(BAD)
def test_mistakes(recipes: RecipeFolder, text: str, lines: list[str]) -> None:
    """Each is told with its place, and what to do."""
    assert recipes.mistakes(text) == lines


def test_names_and_what_is_shown(recipes: RecipeFolder) -> None:
    """Each has a name of its own by itself; `show` writes what reads back equal."""
    recipe = recipes.load(SOURCE + ALL)
    assert [file for output in recipe.outputs for file in output.files] == NAMES
    again = recipes.write("again", show(recipe))
    assert load(again).outputs == recipe.outputs
    assert len({each.uuid for each in recipe.outputs if hasattr(each, "uuid")}) == 2


@pytest.mark.parametrize("boot", ["{}", "{kernel: none}"])
def test_what_is_made(recipes: RecipeFolder, boot: str) -> None:
    """A tree alone needs no disk; with a kernel it has its initrd, without one nothing of booting is planned (A1)."""
    recipe = recipes.load(SOURCE + f"boot: {boot}\n{ALL}")
    plan = make.plan(recipe, Site("x", recipes.folder / "build/x", recipes.folder / "x.lock", 1))
    needed = {stage.name for stage in plan.needed()}
    assert {f"convert/{each}" for each in ("tar", "tar-2", "tgz", "oci", "erofs", "sbom-2")} <= needed
    assert not needed & {"partition", "assemble", "bootloader", "populate/root"}
    booting = {"kernel", "initramfs"} if boot == "{}" else set()
    assert needed & {"kernel", "initramfs"} == booting
    assert ("assemble" in {stage.name for stage in plan.stages}) == bool(booting)
    assert {"facts", "initrd"} & {*plan.stage("convert/tgz").inputs} == ({"facts", "initrd"} if booting else set())
    assert "lock" in plan.stage("convert/sbom").inputs


def test_nothing_boots_on_any_machine(recipes: RecipeFolder) -> None:
    """Of a container the usual loader is not asked whether it is for its machine."""
    recipes.load(SOURCE + "arch: i386\nboot: {kernel: none}\noutputs: [oci]\n")
