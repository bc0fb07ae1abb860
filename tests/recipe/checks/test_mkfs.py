"""Words for the program that makes a filesystem."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.recipe.checks.mkfs import FEATURES

from tests.support.recipe_folder import SOURCE, RecipeFolder

UUID = "01234567-89ab-4def-8123-456789abcdef"


def disk(*, esp: str = "[]", fs: str = "ext4", root: str = "[]") -> str:
    """Return a recipe whose two filesystems are made by these words."""
    return SOURCE + f"disk: {{partitions: {{esp: {{mkfs: {esp}}}, root: {{mount: /, fs: {fs}, mkfs: {root}}}}}}}\n"


@pytest.mark.parametrize(
    "words",
    [
        "[-d, /etc]",
        "[-U, random]",
        "[-l, /tmp/bad]",
        "[-J, device=/dev/sda]",
        "[-z, /tmp/undo]",
        "[-E, hash_seed=1]",
        "[-m5]",
        "[/dev/sda]",
        "[-s, '8']",
        "[-m]",
        "[-m, -d]",
        "[-O, '^has_journal -d /etc']",
        "[-m, '5', '-d', /etc]",
        "[-O, mmp]",
        "[-O, '^has_journal,mmp']",
        "[-O, journal_dev]",
        "[-O, FEATURE_I10]",
    ],
)
def test_words_that_reach_beyond_themselves_are_refused(recipes: RecipeFolder, words: str) -> None:
    """What mkfs would read no key sees, and what it would write lies anywhere (V10)."""
    (problem,) = recipes.mistakes(disk(root=words))
    assert "disk.partitions.root.mkfs: " in problem
    assert " is no option that ext4 may be made with here" in problem or " is no value of -" in problem


@pytest.mark.parametrize("words", ["[-C, '1']", "[-i, random]", "[-l, /tmp/bad]", "[-n, OTHER]"])
def test_vfat_has_options_of_its_own(recipes: RecipeFolder, words: str) -> None:
    """Of mkfs.vfat's too only those that are all in their words."""
    (problem,) = recipes.mistakes(disk(esp=words))
    assert "disk.partitions.esp.mkfs: " in problem
    assert "vfat may be made with here; write some of -s, -R, -f, -h" in problem


def test_words_that_people_use_are_taken(recipes: RecipeFolder) -> None:
    """Features, revision, inodes, reserved blocks; clusters and tables."""
    ext = "[-O, '^has_journal,metadata_csum', -r, '1', -I, '256', -i, '8192', -m, '0.5', -e, remount-ro]"
    recipes.load(disk(esp="[-s, '8', -f, '1']", root=ext))
    recipes.load(disk(fs="ext2", root="[-r, '0', -I, '128', -O, none]"))


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_is_all_in_its_name(feature: str, tmp_path: Path) -> None:
    """Made twice, in files of other names, an ext4 with it is the same bytes (V10)."""
    features = feature + {"meta_bg": ",^resize_inode"}.get(feature, "")
    made = []
    for name in ("one", "another"):
        image = tmp_path / name
        with image.open("wb") as file:
            file.truncate(16 << 20)
        subprocess.run(
            ["mke2fs", "-q", "-F", "-t", "ext4", "-U", UUID, "-E", f"hash_seed={UUID}", "-O", features, name],
            env={"PATH": os.defpath + ":/sbin:/usr/sbin", "E2FSPROGS_FAKE_TIME": "1000000000"}, capture_output=True,
            cwd=tmp_path, check=True,
        )  # fmt: skip
        made.append(hashlib.sha256(image.read_bytes()).digest())
    assert made[0] == made[1]
