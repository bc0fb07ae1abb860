"""The lock file: its text, when it no longer fits, and what keeps it up to date."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.cache.store.store import Store
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import lockfile, mirrors, renewal, request, resolution
from bootsmith.tasks.packages.lockfile import LayerPackages, LockFile, Package
from bootsmith.tasks.recipe.model.recipe import Recipe

from tests.support.recipe_folder import RecipeFolder

TEXT = f"""\
# The packages of one image. Commit this file to keep them; `doit update` asks the distribution for newer ones.
bootsmith lock 1
suite: trixie
arch: amd64
variant: minbase
components: main
packages: openssh-server udev
loader: systemd-boot-efi
exclude:
recommends: no
security: yes
date: 2025-08-16T08:00:00Z

adduser 3.152 all main needed 190932 {"a" * 64} pool/main/a/adduser/adduser_3.152_all.deb
bash 5.2.37-2+b10 amd64 security asked 1500792 {"b" * 64} pool/main/b/bash/bash_5.2.37-2+b10_amd64.deb
"""
ADDUSER = Package(
    "adduser", "3.152", "all", "main", False, 190932, "a" * 64, "pool/main/a/adduser/adduser_3.152_all.deb"
)
BASH = Package(
    "bash", "5.2.37-2+b10", "amd64", "security", True, 1500792, "b" * 64, "pool/main/b/bash/bash_5.2.37-2+b10_amd64.deb"
)
DATE = 1_755_331_200


@pytest.fixture
def load_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recipe]:
    """Return what loads a recipe with these keys of its source."""
    monkeypatch.chdir(tmp_path)
    recipes = RecipeFolder(tmp_path)

    def load_recipe(more: str = "packages: [udev, openssh-server]", rest: str = "", suite: str = "trixie") -> Recipe:
        return recipes.load(f"source: {{debian: {{suite: {suite}, {more}}}}}\n{rest}")

    return load_recipe


def test_layers_stand_behind_what_the_tree_begins_with(tmp_path: Path) -> None:
    """What each layer installs and removes, by its name, and reading gives the lock back; parts stand alone."""
    layers = {"tools": LayerPackages((BASH,), ("nano", "ed")), "less": LayerPackages((), ("adduser",))}
    lock = LockFile({"suite": "trixie", "arch": "amd64", "layer1": "tools +bash"}, DATE, (ADDUSER,), layers=layers)
    lockfile.write(tmp_path / "x.lock", lock)
    text = (tmp_path / "x.lock").read_text()
    assert text.endswith("\nlayer: less\n-adduser\n")
    assert lockfile.read(tmp_path / "x.lock") == lock
    assert lockfile.versions(tmp_path / "x.lock") == {"adduser all": ADDUSER.version, "bash amd64": BASH.version}
    assert lockfile.part(lock, None) == LockFile({"suite": "trixie", "arch": "amd64"}, DATE, (ADDUSER,))
    assert lockfile.part(lock, "tools").layers == {"packages": layers["tools"]}
    assert [*map(str, lockfile.changes(None, lock))] == [f"+adduser {ADDUSER.version}", f"+bash {BASH.version}"]


def test_another_layer_is_a_reason(load_recipe: Callable[..., Recipe]) -> None:
    """A lock whose layers are others no longer fits, though what the tree begins with fits; answers do not count."""
    lock = LockFile(request.request(load_recipe()), DATE, (BASH,))
    asked = load_recipe(rest="layers: [packages: {install: [jq], preseed: [a a/b string c]}]\n")
    assert request.stale(lock, asked) == "layer1: none became 1-packages +jq"
    assert request.begins_alike(lock, asked)
    assert request.begins_alike(lock, load_recipe())
    assert not request.begins_alike(lock, load_recipe("packages: [udev]"))
    other = load_recipe(rest="layers: [packages: {install: [jq], preseed: [a a/b string d]}]\n")
    assert request.request(other) == request.request(asked)


def test_the_text_says_it_all(load_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    """The file is text with one package a line, sorted whatever their order was, and reading it gives the lock back."""
    lock = LockFile(request.request(load_recipe()), DATE, (BASH, ADDUSER))
    lockfile.write(tmp_path / "x.lock", lock)
    assert (tmp_path / "x.lock").read_text() == TEXT
    assert lockfile.read(tmp_path / "x.lock") == dataclasses.replace(lock, packages=(ADDUSER, BASH))


FILES = f"""
file: kernel trixie i386
kernel 6.1 i386 security asked 100 {"c" * 64} pool/k.deb
kernel-6.1 6.1 i386 main needed 200 {"d" * 64} pool/k1.deb
"""


def test_what_files_are_taken_out_of_stands_apart(tmp_path: Path) -> None:
    """Below the tree's packages, under the file's own line, nearest first; reading it gives the lock back."""
    kernel = Package("kernel", "6.1", "i386", "security", True, 100, "c" * 64, "pool/k.deb")
    image = Package("kernel-6.1", "6.1", "i386", "main", False, 200, "d" * 64, "pool/k1.deb")
    lock = LockFile({"files": "kernel/trixie/i386"}, DATE, (ADDUSER,), {"kernel/trixie/i386": (kernel, image)})
    lockfile.write(tmp_path / "x.lock", lock)
    assert (tmp_path / "x.lock").read_text().endswith(FILES)
    assert lockfile.read(tmp_path / "x.lock") == lock
    alone = dataclasses.replace(lock, packages=())
    lockfile.write(tmp_path / "x.lock", alone)
    assert lockfile.read(tmp_path / "x.lock") == alone


def test_which_recipes_need_a_lock(load_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    """A tree of packages, or a single file of one; a recipe of files that are there has none."""
    recipes = RecipeFolder.__new__(RecipeFolder)
    recipes.folder = tmp_path
    (tmp_path / "recipes/init").write_text("x")
    (tmp_path / "recipes/init").chmod(0o755)
    own = "source: {directory: .}\nboot: {loader: direct, initrd: tree, kernel: KERNEL}\noutputs: [kernel]\n"
    assert request.needed(load_recipe())
    assert not request.needed(recipes.load(own.replace("KERNEL", "init")))
    recipe = recipes.load(own.replace("KERNEL", "{package: kernel, path: /boot/x}"))
    assert request.needed(recipe)
    assert request.request(recipe) == {"files": "kernel/trixie/amd64"}
    lock = LockFile({"files": "busybox/trixie/amd64"}, DATE)
    assert request.stale(lock, recipe) == "files: +kernel/trixie/amd64 -busybox/trixie/amd64"


@pytest.mark.parametrize(
    ("edit", "line", "what"),
    [
        (("bootsmith lock 1", "bootsmith lock 2"), 1, "no lock file"),
        (("all main needed", "all main perhaps"), 14, "not a package: 'adduser"),
        ((" 190932", " many"), 14, "not a package"),
        (("a" * 64, "a" * 63), 14, "not a package"),
        (("pool/main/a", "../main/a"), 14, "not a package"),
        (("pool/main/a", "/pool/main/a"), 14, "not a package"),
        (("2025-08-16", "yesterday"), 1, "date"),
        ((TEXT[TEXT.index("adduser") :], ""), 13, "lists no package"),
    ],
)
def test_a_damaged_lock_names_its_line(edit: tuple[str, str], line: int, what: str, tmp_path: Path) -> None:
    """What cannot be understood is an error with file, line and the way out."""
    path = tmp_path / "x.lock"
    path.write_text(TEXT.replace(*edit))
    with pytest.raises(StageError, match=what) as caught:
        lockfile.read(path)
    assert caught.value.message.startswith(f"{path}:{line}: ")
    assert "doit update" in caught.value.hint


def test_a_missing_lock_is_an_error(tmp_path: Path) -> None:
    """Reading a lock that is not there says so."""
    with pytest.raises(StageError, match="cannot be read"):
        lockfile.read(tmp_path / "x.lock")


@pytest.mark.parametrize(
    ("more", "rest", "reason"),
    [
        ("packages: [openssh-server, udev]", "", None),
        ("packages: [udev, openssh-server], mirror: 'https://m.example/debian', docs: true", "", None),
        ("packages: [udev, openssh-server]", "layers: [{links: {/a: b}}]", None),
        ("packages: [udev, vim]", "", "packages: +vim -openssh-server"),
        ("packages: [udev, openssh-server], components: [main, contrib]", "", "components: +contrib"),
        ("packages: [udev, openssh-server], exclude: [vim]", "", "exclude: +vim"),
        ("packages: [udev, openssh-server], recommends: true", "", "recommends: no became yes"),
        ("packages: [udev, openssh-server], security: false", "", "security: yes became no"),
        ("packages: [udev, openssh-server], variant: important", "", "variant: minbase became important"),
        (
            "packages: [udev, openssh-server]",
            "boot: {loader: grub-efi}",
            "loader: +grub-efi-amd64-bin -systemd-boot-efi",
        ),
        ("packages: [udev, openssh-server]", "boot: {packages: false}", "loader: -systemd-boot-efi"),
    ],
)
def test_a_lock_is_stale_when_its_question_changed(
    more: str, rest: str, reason: str | None, load_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    """A lock fits as long as the recipe asks for the same packages; where it does not, the reason says what differs."""
    path = tmp_path / "x.lock"
    path.write_text(TEXT)
    lock = lockfile.read(path)
    assert request.stale(lock, load_recipe(more, rest)) == reason
    assert request.stale(lock, load_recipe(more, rest, suite="sid")) == "suite: trixie became sid"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Package, ...]]:
    """Let resolving give these packages, one item for each time; the last one stays."""
    given: list[tuple[Package, ...]] = [(ADDUSER, BASH)]

    def answer(recipe: Recipe, *_: object) -> LockFile:
        packages = given.pop(0) if len(given) > 1 else given[0]
        return LockFile(request.request(recipe), DATE + len(given), packages)

    monkeypatch.setattr(mirrors, "find", lambda *_, **__: mirrors.Mirrors({}))
    monkeypatch.setattr(resolution, "resolve", answer)
    return given


def test_a_lock_is_made_once(load_recipe: Callable[..., Recipe], answers: list[object], tmp_path: Path) -> None:
    """A missing lock is made, saying so; one that fits is left alone."""
    path, said = tmp_path / "x.lock", []
    made = renewal.ensure(load_recipe(), path, Store(tmp_path), said.append)
    assert lockfile.read(path) == made
    assert said == ["x.lock: resolving the packages of x"]
    before = path.stat()
    answers[:] = [()]
    assert renewal.ensure(load_recipe(), path, Store(tmp_path), said.append) == made
    assert (path.stat(), len(said)) == (before, 1)


def test_a_stale_lock_is_made_again(load_recipe: Callable[..., Recipe], answers: list[object], tmp_path: Path) -> None:
    """An edit that changes the packages resolves again and says why."""
    path, said = tmp_path / "x.lock", []
    renewal.ensure(load_recipe(), path, Store(tmp_path), lambda _: None)
    answers[:] = [(BASH,)]
    made = renewal.ensure(load_recipe("packages: [udev, vim]"), path, Store(tmp_path), said.append)
    assert made.packages == (BASH,)
    assert said == ["x.lock: no longer fits the recipe (packages: +vim -openssh-server): resolving again"]


def test_locked_nothing_is_resolved(
    load_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With BOOTSMITH_LOCKED=yes a lock that fits is taken; none is made, or made again: what is out of date is said."""
    path = tmp_path / "x.lock"
    monkeypatch.setenv(renewal.LOCKED, "yes")
    with pytest.raises(StageError, match=r"there is no x.lock, and BOOTSMITH_LOCKED=yes"):
        renewal.ensure(load_recipe(), path, Store(tmp_path), lambda _: None)
    lock = LockFile(request.request(load_recipe()), DATE, (BASH,))
    lockfile.write(path, lock)
    before = path.stat()
    assert renewal.ensure(load_recipe(), path, Store(tmp_path), lambda _: None) == lock
    with pytest.raises(StageError, match=r"x.lock no longer fits the recipe \(packages: \+vim -openssh-server\)"):
        renewal.ensure(load_recipe("packages: [udev, vim]"), path, Store(tmp_path), lambda _: None)
    with pytest.raises(StageError, match=r"x.lock is not to change"):
        renewal.update(load_recipe(), path, Store(tmp_path), lambda _: None)
    monkeypatch.delenv(renewal.LOCKED)
    assert renewal.ensure(load_recipe(), path, Store(tmp_path), lambda _: None, locked=True) == lock
    with pytest.raises(StageError, match=r"no longer fits .* and --locked lets nothing be resolved"):
        renewal.ensure(load_recipe("packages: [udev, vim]"), path, Store(tmp_path), lambda _: None, locked=True)
    with pytest.raises(StageError, match=r"x.lock is not to change, and --locked"):
        renewal.update(load_recipe(), path, Store(tmp_path), lambda _: None, locked=True)
    assert path.stat() == before
    monkeypatch.setenv(renewal.LOCKED, "maybe")
    with pytest.raises(StageError, match="is not a choice"):
        renewal.update(load_recipe(), path, Store(tmp_path), lambda _: None)


def test_an_update_tells_what_changed(
    load_recipe: Callable[..., Recipe], answers: list[object], tmp_path: Path
) -> None:
    """`doit update` reports new versions, new packages and those that went."""
    path = tmp_path / "x.lock"
    newer = dataclasses.replace(BASH, version="5.3", sha256="c" * 64)
    answers[:] = [(ADDUSER, BASH), (newer, dataclasses.replace(ADDUSER, name="vim"))]
    recipe, store = load_recipe(), Store(tmp_path)
    assert [*map(str, renewal.update(recipe, path, store, lambda _: None))] == ["+adduser 3.152", "+bash 5.2.37-2+b10"]
    assert [*map(str, renewal.update(recipe, path, store, lambda _: None))] == [
        "-adduser 3.152",
        "bash 5.2.37-2+b10 -> 5.3",
        "+vim 3.152",
    ]


def test_an_update_without_news_changes_nothing(
    load_recipe: Callable[..., Recipe], answers: list[object], tmp_path: Path
) -> None:
    """A later release with the same packages keeps the lock's date, so nothing is built again."""
    path = tmp_path / "x.lock"
    answers[:] = [(ADDUSER, BASH), (ADDUSER, BASH)]
    renewal.update(load_recipe(), path, Store(tmp_path), lambda _: None)
    before = path.read_bytes()
    assert renewal.update(load_recipe(), path, Store(tmp_path), lambda _: None) == []
    assert path.read_bytes() == before


def test_an_update_mends_a_damaged_lock(
    load_recipe: Callable[..., Recipe], answers: list[object], tmp_path: Path
) -> None:
    """A lock that cannot be read is replaced by `doit update`."""
    path = tmp_path / "x.lock"
    path.write_text("scrambled")
    assert answers
    renewal.update(load_recipe(), path, Store(tmp_path), lambda _: None)
    assert lockfile.read(path).packages == (ADDUSER, BASH)


def test_a_lock_that_cannot_be_written_is_said(load_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    """A recipe's folder that is missing or closed gives an error naming the lock file."""
    with pytest.raises(StageError, match=r"x\.lock cannot be written"):
        lockfile.write(tmp_path / "absent/x.lock", LockFile(request.request(load_recipe()), DATE, (BASH,)))
