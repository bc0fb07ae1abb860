"""What a declared system needs of packages, missed before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.packages import system_packages
from bootsmith.tasks.packages.lockfile import LockFile, Package

from tests.support.recipe_folder import SOURCE, RecipeFolder

ALL = """system:
  locale: de_DE.UTF-8
  timezone: Europe/Berlin
  keymap: de
  network: networkmanager
  users: {ann: {sudo: true}}
  first_boot: setup.sh
  autologin: true
  grow: true
"""
WANTED = {
    "system.users.ann.sudo": "sudo", "system.locale": "locales-all", "system.timezone": "tzdata",
    "system.keymap": "console-setup", "system.network": "network-manager", "system.grow": "fdisk",
    "system.first_boot": "systemd", "system.autologin": "systemd",
}  # fmt: skip


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecipeFolder:
    monkeypatch.chdir(tmp_path)
    found = RecipeFolder(tmp_path)
    found.write("setup.sh", "#!/bin/sh\n")
    return found


def missing(recipes: RecipeFolder, text: str, *names: str) -> dict[str, str]:
    """Return what is missing of a recipe whose lock file has packages of these names: the keys, what is told."""
    packages = tuple(Package(name, "1", "amd64", "main", True, 1, "a" * 64, f"{name}.deb") for name in names)
    recipe = recipes.load(SOURCE + text)
    return dict(reversed(system_packages.missing(recipe, LockFile({}, 1, packages))))


def test_all_of_it_is_told_at_once(recipes: RecipeFolder) -> None:
    """By the key that needs a package, and the package."""
    found = missing(recipes, ALL, "bash")
    assert found.keys() == WANTED.keys()
    for key, package in WANTED.items():
        assert found[key].startswith("none of the 1 packages brings ")
        assert found[key].endswith(f"; add {package} to source.debian.packages")


def test_what_is_there_is_not_missed(recipes: RecipeFolder) -> None:
    """Any package that would do is enough, and what needs none asks for none."""
    assert missing(recipes, ALL, *WANTED.values()) == {}
    plain = "system: {locale: C.UTF-8, timezone: UTC, keymap: us, network: none}\n"
    assert missing(recipes, plain, "bash") == {}
    assert missing(recipes, "boot: {loader: direct}\nsystem: {grow: true}\n", "systemd") == {}


@pytest.mark.parametrize(
    "layer",
    [
        "run: make install",
        "script: setup.sh",
        "overlay: over",
        "files: {/usr/local/bin/sudo: {content: x}}",
        "links: {/usr/bin/sudo: doas}",
    ],
)
def test_what_a_layer_may_bring_is_not_missed(layer: str, recipes: RecipeFolder) -> None:
    """The stage that needs it finds out."""
    (recipes.folder / "recipes/over/opt").mkdir(parents=True)
    (recipes.folder / "recipes/over/opt/sudo").touch()
    declared = "system: {users: {ann: {sudo: true}}}\n"
    assert missing(recipes, f"layers: [{layer}]\n{declared}", "bash") == {}
    assert missing(recipes, f"layers: [files: {{/etc/sudo.conf: {{content: x}}}}]\n{declared}", "bash") != {}
