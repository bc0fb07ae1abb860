"""The distribution's kernel as packages: added where there is none, missed before anything is built. A21, C23, V14."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.packages import kernel_package, lockfile, mirrors, request, resolution
from bootsmith.tasks.packages.lockfile import LockFile, Package
from bootsmith.tasks.recipe.model.recipe import Recipe

from tests.support.checkout import CHECKOUT
from tests.support.debian_archive import Archive
from tests.support.recipe_folder import RecipeFolder

LoadRecipe = Callable[..., Recipe]
KERNEL = "linux-image-amd64"
OURS = "kernel: k.bin, entries: {mine: {}, debian: {kernel: install}}"
MINE = "entries: {mine: {kernel: k.bin}, debian: {}}"


def package(name: str, role: str = "main") -> Package:
    return Package(name, "1", "amd64", role, True, 1, "a" * 64, f"pool/{name}.deb")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "mirror")


@pytest.fixture
def load_recipe(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadRecipe:
    """Return what loads a recipe on the archive, given its packages, its `boot:`, and more."""
    monkeypatch.chdir(tmp_path)
    recipes = RecipeFolder(tmp_path)
    recipes.write("k.bin", b"")

    def load_recipe(packages: str = "", boot: str = "kernel: install", more: str = "") -> Recipe:
        source = f"suite: trixie, packages: [{packages}], security: false, mirror: 'file://{archive.main}'"
        text = f"source: {{debian: {{{source}, keyring: {archive.keyring}}}}}\nboot: {{{boot}}}\n{more}"
        return recipes.load(text)

    return load_recipe


def locked(recipe: Recipe, tmp_path: Path) -> LockFile:
    found = mirrors.find(*request.mirrors(recipe), etc=tmp_path / "no-apt-here", settings={})
    return resolution.resolve(recipe, found, tmp_path / "cache", lambda _: None)


def text(lock: LockFile) -> str:
    return lockfile.to_text(lock)


def test_a_kernel_is_added_where_there_is_none(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """The distribution's package comes with what it needs, as if asked for, and the lock tells that it was added."""
    lock = locked(load_recipe("tool"), tmp_path)
    added = {each.name: each.asked for each in lock.packages if each.name.startswith("linux-image")}
    assert added == {KERNEL: True, "linux-image-6.12-amd64": False}
    assert f"\nkernel: {KERNEL}\n" in text(lock)
    lockfile.write(tmp_path / "x.lock", lock)
    assert lockfile.read(tmp_path / "x.lock") == lock


@pytest.mark.parametrize("packages", [KERNEL, "linux-image-6.12-amd64"])
def test_a_recipe_with_a_kernel_stays_as_it_is(packages: str, load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """Where a package brings a kernel already, `install` resolves to the very lock of `auto`, which still fits."""
    asked, plain = load_recipe(packages), load_recipe(packages, "kernel: auto")
    lock = locked(plain, tmp_path)
    assert text(locked(asked, tmp_path)) == text(lock)
    assert request.stale(lock, asked) is None
    assert request.stale(lock, plain) is None


def test_symbols_of_a_kernel_are_none(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """A package that is called like a kernel and holds only what debuggers read does not count."""
    assert kernel_package.FACT in locked(load_recipe("linux-image-6.12-amd64-dbg"), tmp_path).request


@pytest.mark.parametrize("boot", [OURS, f"kernel: install, {MINE}"])
def test_one_entry_that_wants_it_is_enough(boot: str, load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """Beside a kernel of one's own, the distribution's is added for the entry that starts it."""
    assert locked(load_recipe("", boot), tmp_path).request[kernel_package.FACT] == KERNEL


def test_what_was_asked_anew_is_resolved_anew(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """A lock fits `install` once it has a kernel; one that was added goes when nobody wants it added any more."""
    without, added = locked(load_recipe("tool", "kernel: auto"), tmp_path), locked(load_recipe("tool"), tmp_path)
    assert request.stale(without, load_recipe("tool")) == f"kernel: +{KERNEL}"
    assert request.stale(added, load_recipe("tool")) is None
    assert request.stale(added, load_recipe("tool", "kernel: auto")) == f"kernel: -{KERNEL}"
    named = load_recipe(f"tool, {KERNEL}")
    assert str(request.stale(added, named)) == f"packages: +{KERNEL}"
    assert kernel_package.FACT not in locked(named, tmp_path).request


def test_a_suite_without_it_is_told(load_recipe: LoadRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the suite has no such package, the mistake is told with its place and what else would do."""
    monkeypatch.setattr(kernel_package, "DEBIAN", {"amd64": "linux-image-686"})
    with pytest.raises(RecipeError) as caught:
        locked(load_recipe(), tmp_path)
    (line,) = caught.value.problems
    assert line.startswith("recipes/x.yaml:2:16: boot.kernel: trixie has no package linux-image-686; name a kernel in")


@pytest.mark.parametrize(
    ("name", "role", "brings"),
    [
        ("linux-image-6.12.48+deb13-cloud-amd64", "main", True),
        ("linux-image-rt-amd64", "security", True),
        ("linux-image-6.12-amd64-dbg", "main", False),
        ("linux-image-amd64-signed-template", "main", False),
        ("linux-headers-amd64", "main", False),
        ("libselinux1", "main", False),
        ("proxmox-kernel-6.8", "main", False),
        ("proxmox-kernel-6.8", "extra1", True),
        ("linux-zabbly", "extra2", True),
        ("linux-libc-dev", "extra1", False),
        ("proxmox-kernel-headers", "extra1", False),
        ("libselinux1", "extra1", False),
    ],
)
def test_which_packages_bring_a_kernel(name: str, role: str, brings: bool) -> None:
    """Debian's own by their name; of another repository whatever may be one, for a refusal must be right."""
    assert kernel_package.is_among([package("bash"), package(name, role)]) == brings


@pytest.mark.parametrize(
    ("boot", "more", "told"),
    [
        ("kernel: auto", "", True),
        ("loader: grub-efi", "", True),
        (MINE, "", True),
        ("kernel: auto", "layers: [overlay: plain]\n", True),
        ("kernel: auto", "layers: [overlay: kernels]\n", False),
        ("kernel: auto", "layers: [overlay: {from: plain, to: /boot}]\n", False),
        ("kernel: auto", "layers: [files: {/boot/vmlinuz-1: k.bin}]\n", False),
        ("kernel: auto", "layers: [links: {/boot/vmlinuz-1: /k}]\n", False),
        ("kernel: k.bin, initrd: none", "", False),
    ],
)
def test_a_tree_without_a_kernel_is_foreseen(
    boot: str, more: str, told: bool, load_recipe: LoadRecipe, tmp_path: Path
) -> None:
    """C23, V14: from the lock, naming packages and key, unless a layer may bring one or no entry wants the tree's."""
    (tmp_path / "recipes/plain").mkdir()
    (tmp_path / "recipes/kernels/boot").mkdir(parents=True)
    (tmp_path / "recipes/kernels/boot/vmlinuz-7").touch()
    recipe = load_recipe("tool", boot, more)
    lock = LockFile(request.request(recipe), 1, (package("bash"), package("tool")))
    wrong = kernel_package.missing(recipe, lock)
    assert (wrong is not None) == told
    if wrong:
        assert wrong == (
            "none of the 2 packages brings a kernel, and no layer does; write install, or add linux-image-amd64 "
            "(or linux-image-cloud-amd64, for virtual machines only) to source.debian.packages"
        )
    assert kernel_package.missing(recipe, LockFile(lock.request, 1, (*lock.packages, package(KERNEL)))) is None


def test_nothing_is_built_of_a_tree_without_a_kernel(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """C23, V14: the packages are known, and the rootfs is not begun; looking at the recipe is possible still."""
    load_recipe("tool", "kernel: auto")
    dodo = 'from bootsmith.tasks import image_tasks\nDOIT_CONFIG, task_bootsmith = image_tasks("recipes/x.yaml")\n'
    (tmp_path / "dodo.py").write_text(dodo)
    environment = {**os.environ, "BOOTSMITH_CACHE": str(tmp_path / "store"), "PYTHONPATH": str(CHECKOUT / "src")}

    def doit(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "doit", *words]
        return subprocess.run(argv, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False)

    for _ in range(2):  # the second time there is a lock, and a plan may be remembered
        done = doit("image")
        assert done.returncode == 3
        assert "recipes/x.yaml: boot.kernel: none of the " in done.stdout + done.stderr
        assert not (tmp_path / "build").exists()
        assert doit("list").returncode == 0
        assert (tmp_path / "recipes/x.lock").exists()
    load_recipe("tool")
    done = doit("kernel")
    assert f"x.lock: no longer fits the recipe (kernel: +{KERNEL}): resolving again" in done.stdout
