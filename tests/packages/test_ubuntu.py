"""Ubuntu's packages: resolved by real apt of an archive in its shape, and what a host lacks for them told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.cache.store.store import Store
from bootsmith.tasks.errors import RecipeError, StageError
from bootsmith.tasks.packages import lists, mirrors, renewal, request
from bootsmith.tasks.packages.mirrors import MAIN, SECURITY, UPDATES
from bootsmith.tasks.planning import make
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.model.source import Ubuntu
from bootsmith.tasks.recipe.show import show

from tests.support.recipe_folder import RecipeFolder
from tests.support.ubuntu_archive import Archive

LoadRecipe = Callable[..., Recipe]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "mirror")


@pytest.fixture
def load_recipe(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadRecipe:
    """Return what loads a recipe of Ubuntu, given its source's keys beside the suite, and more of it."""
    monkeypatch.chdir(tmp_path)
    recipes = RecipeFolder(tmp_path)
    usual = f"mirror: 'file://{archive.main}', keyring: {archive.keyring}"
    return lambda keys=usual, more="": recipes.load(f"source: {{ubuntu: {{suite: noble, {keys}}}}}\n{more}")


def test_it_is_resolved_and_locked(load_recipe: LoadRecipe, archive: Archive, tmp_path: Path) -> None:
    """With updates, security updates out of the same archive, and its kernel where one is asked for."""
    usual = f"mirror: 'file://{archive.main}', keyring: {archive.keyring}, packages: [tool]"
    recipe = load_recipe(usual, "boot: {kernel: install}\noutputs: [ova]\n")
    lock = renewal.ensure(recipe, tmp_path / "x.lock", Store(tmp_path / "store"), lambda _: None)
    assert {each.name: (each.version, each.role) for each in lock.packages} == {
        "base-files": ("13ubuntu10", MAIN),
        "apt": ("2.8.3", UPDATES),
        "tool": ("1.0ubuntu1", MAIN),
        "lib": ("1.0ubuntu0.1", SECURITY),
        "systemd-boot-efi": ("255.4-1ubuntu8", MAIN),
        "linux-image-generic": ("6.8", MAIN),
        "linux-image-6.8.0-31-generic": ("6.8", MAIN),
    }
    assert request.stale(lock, recipe) is None
    assert lock.request["distribution"] == "ubuntu"
    assert request.hints(recipe)["distribution"] == "ubuntu"
    stage = make.plan(recipe, Site("x", tmp_path / "build/x", tmp_path / "x.lock", 1)).stage("rootfs")
    assert stage.run == "bootsmith.tasks.packages.bootstrap:run"
    assert recipe.outputs[0].os == "ubuntu"  # type: ignore[union-attr]


def test_it_is_shown_as_it_is_written(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """And reads back equal."""
    recipe = load_recipe()
    assert isinstance(recipe.source, Ubuntu)
    text = show(recipe)
    assert "\n  ubuntu:" in text
    (tmp_path / "recipes/again.yaml").write_text(text)
    assert load(tmp_path / "recipes/again.yaml").source == recipe.source


def test_files_of_another_release_are_ubuntu_s_too(load_recipe: LoadRecipe) -> None:
    """By its mirrors and its keys."""
    file = "{from: {package: memtest86+, path: /boot/x, suite: jammy}}"
    found = lists.releases(load_recipe(more=f"layers: [files: {{/x: {file}}}]\n"))
    assert [(each.suite, each.key, each.distribution) for each in found] == [
        ("noble", "source.ubuntu", "ubuntu"), ("jammy", "source.ubuntu", "ubuntu"),
    ]  # fmt: skip


def test_what_this_host_lacks_is_told(load_recipe: LoadRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ubuntu's keys, a mirror, another machine's packages: each with what to do."""
    monkeypatch.setattr(lists, "UBUNTU_KEYS", tmp_path / "none.gpg")
    (release,) = lists.releases(load_recipe("mirror: 'file:///none'"))
    with pytest.raises(StageError, match="the keys that Ubuntu signs its releases with are not on this host") as told:
        lists._keyrings(release)
    assert "source.ubuntu.keyring" in told.value.hint
    (tmp_path / "apt").mkdir()
    (tmp_path / "apt/sources.list").write_text(
        "deb http://mirror.example/debian noble main\ndeb http://mirror.example/ubuntu noble main universe\n"
    )
    found = mirrors.find(None, etc=tmp_path / "apt", settings={}, key="source.ubuntu", distribution="ubuntu")
    assert {*found.uris.values()} == {("http://mirror.example/ubuntu",)}
    with pytest.raises(StageError, match="no mirror of Ubuntu is known") as told:
        mirrors.find(None, etc=tmp_path / "none", settings={}, key="source.ubuntu", distribution="ubuntu")
    assert "source.ubuntu.mirror" in told.value.hint
    with pytest.raises(RecipeError, match="Ubuntu is built for amd64, and no more for i386"):
        load_recipe(more="arch: i386\nboot: {loader: grub-bios}\n")


def test_what_its_archive_lacks_is_told(load_recipe: LoadRecipe, archive: Archive, tmp_path: Path) -> None:
    """With the key of this source, and its own releases."""
    assert archive.main.is_dir()
    recipe = load_recipe()
    wrong = dataclasses.replace(recipe, source=dataclasses.replace(recipe.source, suite="nobel"))
    with pytest.raises(RecipeError, match=r"source.ubuntu.suite: .* has no suite nobel; did you mean noble\?"):
        renewal.ensure(wrong, tmp_path / "x.lock", Store(tmp_path / "store"), lambda _: None)
