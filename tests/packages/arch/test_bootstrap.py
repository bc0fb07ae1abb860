"""A tree of Arch's packages: resolved and installed for real, out of a small signed mirror. A8."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bootsmith.cache.store.location import default_root
from bootsmith.cache.store.store import Store
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import lockfile, renewal
from bootsmith.tasks.packages.arch import configuration
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs
from bootsmith.tasks.tree.merged import Tree

from tests.support.arch_repository import BUILT, ArchRepository
from tests.support.openpgp_key import OpenPgpKey, openpgp_key
from tests.support.ordinary_rootfs import build_as_ordinary_user
from tests.support.recipe_folder import RecipeFolder
from tests.support.single_stage import run_stage


@pytest.fixture(scope="module")
def key() -> Iterator[OpenPgpKey]:
    with openpgp_key() as made:
        yield made


@pytest.fixture(scope="module")
def whole(key: OpenPgpKey, tmp_path_factory: pytest.TempPathFactory) -> ArchRepository:
    """A mirror that no test changes."""
    return ArchRepository(tmp_path_factory.mktemp("arch") / "mirror", key)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecipeFolder:
    monkeypatch.chdir(tmp_path)
    return RecipeFolder(tmp_path)


def source(mirror: ArchRepository, packages: str = "[tool, linux]") -> str:
    return f"source: {{arch: {{packages: {packages}, mirror: 'file://{mirror.top}', keyring: '{mirror.keyring}'}}}}\n"


def build(folder: RecipeFolder, text: str, name: str) -> tuple[Tree, list[str], Site]:
    recipe = folder.load(text)
    lock = folder.folder / "recipes/x.lock"
    locked = renewal.ensure(recipe, lock, Store(default_root()), lambda _: None)
    site = Site("x", folder.folder / name, lock, locked.date)
    told = run_stage(rootfs.stage(recipe, site), folder.folder / f"{name}.scratch")
    return Tree([site.base.index], [site.base.tar]), told, site


def test_a_tree_is_installed(folder: RecipeFolder, whole: ArchRepository) -> None:
    """The lock names each package; the tree has them with all they ran, and nothing of one machine. A8, C11."""
    tree, told, site = build(folder, source(whole), "one")
    lock = lockfile.read(site.lock)
    assert [(each.name, each.version, each.role, each.asked) for each in lock.packages] == [
        ("base", "1-1", "core", True),
        ("filesystem", "1-1", "core", False),
        ("lib", "1-1", "extra", False),
        ("linux", "1-1", "extra", True),
        ("shell", "1-1", "core", False),
        ("tool", "1:2.0-3", "extra", True),
    ]
    assert lock.date == BUILT
    assert tree.text("boot/vmlinuz-linux") == "MZ kernel"
    assert tree.text("etc/tool-state") == "installed 1:2.0-3\n"
    assert tree.text("etc/tool-view") == "\n"
    assert tree.text("etc/machine-id") == ""
    assert tree.find("etc/pacman.d/gnupg") is None
    assert f"%INSTALLDATE%\n{BUILT}\n" in (tree.text("var/lib/pacman/local/tool-1:2.0-3/desc") or "")
    entry = tree.entries["usr/bin/tool"][1]
    assert (entry.mode, entry.uid, tree.entries["usr/bin/tool2"][1].type) == (0o4755, 0, "h")
    assert told == []
    found = {path: tree.entries[path][1].mode for path in ("dev", "proc", "tmp", "root")}
    assert found == {"dev": 0o755, "proc": 0o555, "tmp": 0o1777, "root": 0o750}


def test_it_is_built_once_more_to_the_same_bytes(folder: RecipeFolder, whole: ArchRepository) -> None:
    """With the packages in the store and no mirror any more, another folder comes to the same bytes. V11."""
    text = source(whole)
    _, _, one = build(folder, text, "one")
    hidden = whole.top.rename(whole.top.with_name("hidden"))
    try:
        _, _, other = build(folder, text, "other")
    finally:
        hidden.rename(whole.top)
    assert one.base.tar.read_bytes() == other.base.tar.read_bytes()
    assert one.base.index.read_bytes() == other.base.index.read_bytes()


def test_an_ordinary_user_gets_the_same_bytes(folder: RecipeFolder, whole: ArchRepository, tmp_path: Path) -> None:
    """Root and an ordinary user, in different folders under different umasks, make the same tree, bit for bit. V11."""
    _, _, site = build(folder, source(whole), "one")
    top = tmp_path.with_name(f"{tmp_path.name}-other")
    done = build_as_ordinary_user(top, tmp_path / "recipes", whole.top.parent)
    assert done.returncode == 0, done.stderr
    assert (top / "one/rootfs/base.tar").read_bytes() == site.base.tar.read_bytes()
    shutil.rmtree(top)


def test_the_initramfs_is_for_any_machine() -> None:
    """Of mkinitcpio's hooks the one goes that leaves out what this machine has not; all others stay in order. A8."""
    script = f'HOOKS=(base autodetect "a b" block)\n{configuration.ANY_MACHINE}printf "%s," "${{HOOKS[@]}}"'
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    assert done.stdout == "base,a b,block,"


def test_a_tree_that_is_not_what_was_locked_is_refused(folder: RecipeFolder, whole: ArchRepository) -> None:
    """Where pacman installed other packages than those of the lock, nothing counts as built. V14."""
    recipe = folder.load(source(whole, "[lib]"))
    lock = folder.folder / "recipes/x.lock"
    locked = renewal.ensure(recipe, lock, Store(default_root()), lambda _: None)
    lock.write_text(lock.read_text().replace("\nlib 1-1 ", "\nlib 2-1 "))
    site = Site("x", folder.folder / "one", lock, locked.date)
    with pytest.raises(StageError, match="not as they were locked: lib-1-1, lib-2-1"):
        run_stage(rootfs.stage(recipe, site), folder.folder / "scratch")
