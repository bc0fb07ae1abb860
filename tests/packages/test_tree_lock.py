"""Whether a lock fits a tree, what a recipe comes to on top of one, and what none can be put on."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from bootsmith.cache.store.store import Store
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.packages import kernel_package, lockfile, mirrors, renewal, request, tree_lock, tree_status
from bootsmith.tasks.packages.lockfile import LockFile
from bootsmith.tasks.packages.tree_status import TreeStatus
from bootsmith.tasks.recipe.model.recipe import Recipe

from tests.support.debian_archive import Archive
from tests.support.recipe_folder import RecipeFolder

APT = "Package: apt\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0\n"
DEBIAN = TreeStatus("debian", "trixie", "amd64", kernel=False, packages={"apt": APT})
LAYER = "layers: [packages: [tool]]\n"
KERNEL = "boot: {kernel: install}\n"


class Tree:
    """A recipe for the top of a tree, resolved by what that has."""

    def __init__(self, folder: Path) -> None:
        self.recipes = RecipeFolder(folder)
        self.recipes.write("tree.tar", b"")
        self.archive = Archive(folder / "mirror")
        self.store = Store(folder / "cache")
        self.lock, self.status = folder / "x.lock", folder / "status.json"

    def recipe(self, text: str = LAYER) -> Recipe:
        where = f'archive: {{mirror: "file://{self.archive.main}", keyring: "{self.archive.keyring}"}}\n'
        return self.recipes.load(f"source: {{tar: tree.tar}}\n{where}{text}")

    def settle(self, text: str = LAYER, status: TreeStatus = DEBIAN) -> LockFile:
        """Have the lock fit; return it."""
        tree_status.write(self.status, status)
        renewal.settle(self.recipe(text), self.lock, self.status, self.store, lambda _: None)
        return lockfile.read(self.lock)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mirrors, "apt_settings", dict)
    return Tree(tmp_path)


def names(lock: LockFile) -> dict[str, list[str]]:
    return {name: [package.name for package in layer.packages] for name, layer in lock.layers.items()}


def test_the_kernel_is_added_where_the_tree_has_none(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """A21: it is a layer of its own below the others, with what makes its initrd; a tree with one is given none."""
    monkeypatch.setattr(kernel_package, "MAKERS", ("editor",))
    lock = tree.settle(LAYER + KERNEL)
    assert names(lock) == {
        "kernel": ["editor", "linux-image-6.12-amd64", "linux-image-amd64"],
        "1-packages": ["lib", "tool"],
    }
    assert lock.request["kernel"] == "linux-image-amd64"
    lock = tree.settle(LAYER + KERNEL, dataclasses.replace(DEBIAN, kernel=True))
    assert names(lock) == {"kernel": [], "1-packages": ["lib", "tool"]}
    assert "kernel" not in lock.request


def test_a_lock_is_kept_while_it_fits(tree: Tree) -> None:
    """C7: the same tree resolves nothing, if with a kernel nobody asks for; a layer more leaves those below it."""
    before = tree.settle()
    (tree.archive.main / "dists").rename(tree.archive.main / "gone")
    assert tree.settle(status=dataclasses.replace(DEBIAN, kernel=True)) == before
    (tree.archive.main / "gone").rename(tree.archive.main / "dists")
    tree.archive.publish(tree.archive.security, "trixie-later", "trixie-security")
    shutil.rmtree(tree.store.root / "apt")
    more = tree.settle("layers: [packages: [tool], packages: [editor]]\n")
    assert (more.layers["1-packages"], names(more)["2-packages"]) == (before.layers["1-packages"], ["editor"])
    recipe = tree.recipe()
    changes = renewal.update_on_tree(recipe, tree.lock, tree.status, tree.store, lambda _: None)
    assert [str(each) for each in changes] == ["-editor 2", "lib 1.1 -> 1.2"]


def test_files_of_packages_stand_in_it_too(tree: Tree) -> None:
    """What single files come out of stays, with its date, when the tree's packages are resolved; and the other way."""
    tree.settle()
    text = LAYER + "boot: {kernel: {package: linux-image-amd64, path: /boot/vmlinuz, suite: trixie}}\n"
    assert request.stale(lockfile.read(tree.lock), tree.recipe(text)) == "files: +linux-image-amd64/trixie/amd64"
    file = lockfile.read(tree.lock)
    tool = file.layers["1-packages"].packages[0]
    both = dataclasses.replace(
        file,
        request={**file.request, "files": "linux-image-amd64/trixie/amd64"},
        date=1_755_331_200,
        files={"linux-image-amd64/trixie/amd64": (tool,)},
    )
    lockfile.write(tree.lock, both)
    assert request.stale(both, tree.recipe(text)) is None
    found = tree.settle(text, dataclasses.replace(DEBIAN, suite="trixie", packages={"apt": APT.replace("3.0", "2.9")}))
    assert (found.date, found.files, found.request["files"]) == (both.date, both.files, both.request["files"])


@pytest.mark.parametrize(
    ("text", "status", "where", "why"),
    [
        (LAYER, {"refusal": "the tree has no apt-get"}, "x.yaml:3:21: layers.packages", "the tree has no apt-get"),
        (KERNEL, {"distribution": "alpine"}, "x.yaml:3:16: boot.kernel", "the tree is of alpine; of Debian and Ubuntu"),
        (LAYER, {"arch": "arm64"}, "x.yaml:3:21", "the tree is for arm64, and the recipe's arch is amd64"),
        (LAYER, {"suite": ""}, "x.yaml:3:21", "names no release"),
    ],
)
def test_a_tree_that_none_can_be_put_on(text: str, status: dict[str, str], where: str, why: str, tree: Tree) -> None:
    """V14: told where the recipe asks for it, with the reason and what to do; no lock is written."""
    with pytest.raises(RecipeError) as caught:
        tree.settle(text, dataclasses.replace(DEBIAN, **status))  # type: ignore[arg-type]
    assert where in str(caught.value)
    assert why in str(caught.value)
    assert "write run: with the tree's own package manager" in str(caught.value)
    assert not tree.lock.exists()


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("layer1", "1-packages +other", "layer1: 1-packages +tool became 1-packages +other"),
        ("security", "no", "security: yes became no"),
        ("repository1", "x", "repository1: none became x"),
    ],
)
def test_why_a_lock_does_not_fit(key: str, value: str, why: str, tree: Tree) -> None:
    """C7: whatever of the recipe decides makes it stale, and so does a tree with other packages."""
    lock, wanted = tree.settle(), request.on_tree(tree.recipe())
    digest = tree_status.digest(DEBIAN, kernel=False)
    assert tree_lock.stale(lock, wanted, digest, ["1-packages"]) is None
    assert tree_lock.stale(lock, {**wanted, key: value}, digest, ["1-packages"]) == why
    changed = tree_status.digest(dataclasses.replace(DEBIAN, packages={}), kernel=False)
    assert "tree below changed" in str(tree_lock.stale(lock, wanted, changed, ["1-packages"]))
    less = dict(item for item in wanted.items() if item[0] != "layer1")
    assert tree_lock.stale(lock, less, digest, []) == "layer1: 1-packages +tool became none"
