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
        "[-i8192]",
        "[/dev/sda]",
        "[-s, '8']",
        "[-i]",
        "[-i, -d]",
        "[-e, 'panic -d /etc']",
        "[-i, '8192', '-d', /etc]",
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
    """Revision, inodes, what to do on errors; clusters and tables."""
    recipes.load(disk(esp="[-s, '8', -f, '1']", root="[-r, '1', -i, '8192', -e, remount-ro]"))
    recipes.load(disk(fs="ext2", root="[-r, '0', -N, '4096']"))


@pytest.mark.parametrize(
    ("word", "key"), [("-O, project", "features"), ("-I, '256'", "inode_size"), ("-m, '0'", "reserved")]
)
def test_what_has_a_key_of_its_own_is_said_by_it(recipes: RecipeFolder, word: str, key: str) -> None:
    """By which the room is reckoned too, as by a word for a program it is not."""
    (problem,) = recipes.mistakes(disk(root=f"[{word}]"))
    assert problem.endswith(f"has a key of its own; write {key}: beside mkfs")


@pytest.mark.parametrize(
    ("form", "what"),
    [
        ("{mount: /, features: [mmp]}", "features: 'mmp' is no feature that is made here"),
        ("{mount: /, features: [quota]}", "features: 'quota' is no feature that is made here"),
        ("{mount: /, features: [^journal_dev]}", "features: '^journal_dev' is no feature that is made here"),
        ("{mount: /, features: [has_jurnal]}", "did you mean has_journal?"),
        ("{mount: /, features: ['a b']}", "is not a feature of a filesystem"),
        ("{mount: /, inode_size: 300}", "'300' is no size of an inode"),
        ("{mount: /, reserved: 51}", "reserved"),
        ("{mount: /data, fs: vfat, features: [project]}", "this is of ext2, ext3 and ext4, and the filesystem is vfat"),
        ("{fs: none, size: 8M, reserved: 5}", "this is of ext2, ext3 and ext4, and the filesystem is none"),
    ],
)
def test_forms_that_there_are_not_are_refused(recipes: RecipeFolder, form: str, what: str) -> None:
    """By the key that is wrong, with what is near."""
    (problem,) = recipes.mistakes(
        f"{SOURCE}disk: {{partitions: {{esp: {{}}, root: {{mount: /}}, x: {form}}}}}\n".replace(
            "root: {mount: /}, x: {mount: /,", "root: {mount: /,"
        )
    )
    assert what in problem


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
