"""A tree of Fedora's packages: resolved and installed for real, out of a small signed mirror. A8."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from bootsmith.cache.store.location import default_root
from bootsmith.cache.store.store import Store
from bootsmith.tasks.errors import BootsmithError, RecipeError, StageError, ToolFailed
from bootsmith.tasks.packages import lockfile, renewal
from bootsmith.tasks.packages.fedora import resolution
from bootsmith.tasks.packages.lockfile import LockFile
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs
from bootsmith.tasks.tree.merged import Tree

from tests.support.openpgp_key import OpenPgpKey, openpgp_key
from tests.support.ordinary_rootfs import build_as_ordinary_user
from tests.support.recipe_folder import RecipeFolder
from tests.support.rpm_repository import BUILT, RpmRepository
from tests.support.single_stage import run_stage


@pytest.fixture(scope="module")
def keys() -> Iterator[list[OpenPgpKey]]:
    with openpgp_key() as one, openpgp_key() as other:
        yield [one, other]


@pytest.fixture(scope="module")
def mirror(keys: list[OpenPgpKey], tmp_path_factory: pytest.TempPathFactory) -> RpmRepository:
    """A mirror that no test changes for the others."""
    return RpmRepository(tmp_path_factory.mktemp("fedora") / "mirror", keys[0])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecipeFolder:
    monkeypatch.chdir(tmp_path)
    return RecipeFolder(tmp_path)


def source(mirror: RpmRepository, packages: str = "[tool]", more: str = "") -> str:
    return (
        f"source:\n  fedora:\n    release: 42\n    packages: {packages}\n    mirror: file://{mirror.top}\n"
        f"    keyring: {mirror.keyring}\n{more}"
    )


def lock(folder: RecipeFolder, text: str) -> LockFile:
    path = folder.folder / "recipes/x.lock"
    return renewal.ensure(folder.load(text), path, Store(default_root()), lambda _: None)


def build(folder: RecipeFolder, text: str, name: str) -> tuple[Tree, list[str], Site]:
    locked = lock(folder, text)
    site = Site("x", folder.folder / name, folder.folder / "recipes/x.lock", locked.date)
    told = run_stage(rootfs.stage(folder.load(text), site), folder.folder / f"{name}.scratch")
    return Tree([site.base.index], [site.base.tar]), told, site


def test_a_tree_is_installed(folder: RecipeFolder, mirror: RpmRepository) -> None:
    """The lock names each package; the tree has them with all they ran, and nothing of one machine. A8, C11."""
    tree, told, site = build(folder, source(mirror, "[tool, kernel-core, broken]"), "one")
    found = lockfile.read(site.lock)
    assert [(each.name, each.version, each.role, each.asked) for each in found.packages] == [
        ("broken", "1-1", "main", True),
        ("filesystem", "1-1", "main", False),
        ("kernel-core", "1-1", "main", True),
        ("lib", "1:2-1", "updates", False),
        ("shell", "1-1", "main", False),
        ("tool", "1-1", "main", True),
    ]
    assert found.date == BUILT
    assert tree.text("usr/lib/modules/6.12/vmlinuz") == "MZ kernel"
    assert tree.text("usr/lib64/libtool.so") == "2"
    assert (tree.text("etc/tool-state"), tree.text("etc/tool-view")) == ("installed 1\n", "yes\n")
    assert tree.text("etc/by-lua") == "yes\n"
    assert tree.text("etc/machine-id") == ""
    entries = {path: tree.entries[path][1] for path in ("usr/bin/tool", "etc/tool.conf", "root", "proc")}
    assert {path: (each.mode, each.gid) for path, each in entries.items()} == {
        "usr/bin/tool": (0o4755, 0), "etc/tool.conf": (0o640, 99), "root": (0o550, 0), "proc": (0o555, 0),
    }  # fmt: skip
    assert sorted(tree.names("usr/lib/sysimage/rpm")) == ["rpmdb.sqlite"]
    assert told == ["rpm: %post(broken-1-1.x86_64) scriptlet failed, exit status 3"]


def test_an_ordinary_user_gets_the_same_bytes(folder: RecipeFolder, mirror: RpmRepository, tmp_path: Path) -> None:
    """Root and an ordinary user, in different folders under different umasks, make the same tree, bit for bit. V11."""
    _, _, site = build(folder, source(mirror), "one")
    top = tmp_path.with_name(f"{tmp_path.name}-other")
    done = build_as_ordinary_user(top, tmp_path / "recipes", mirror.top.parent)
    assert done.returncode == 0, done.stderr
    assert (top / "one/rootfs/base.tar").read_bytes() == site.base.tar.read_bytes()
    shutil.rmtree(top)


def test_it_is_built_once_more_to_the_same_bytes(folder: RecipeFolder, mirror: RpmRepository) -> None:
    """With the packages in the store and no mirror any more, another folder comes to the same bytes. V11."""
    text = source(mirror)
    _, _, one = build(folder, text, "one")
    hidden = mirror.top.rename(mirror.top.with_name("hidden"))
    try:
        _, _, other = build(folder, text, "other")
    finally:
        hidden.rename(mirror.top)
    assert one.base.tar.read_bytes() == other.base.tar.read_bytes()


@pytest.mark.parametrize(
    ("packages", "more", "wanted"),
    [
        ("[toll]", "", r"x\.yaml:4:16: source\.fedora\.packages: Fedora 42 has no package toll; did you mean tool\?"),
        ("[tool]", "    repositories: [{uri: 'file:///no', key: k}]\n", "file:///no has no repodata/repomd.xml"),
    ],
)
def test_what_cannot_be_had_is_told(
    folder: RecipeFolder, mirror: RpmRepository, packages: str, more: str, wanted: str
) -> None:
    """A package or a repository that is not there is a mistake in the recipe. A8."""
    (folder.folder / "recipes").mkdir(exist_ok=True)
    (folder.folder / "recipes/k").touch()
    with pytest.raises(BootsmithError, match=wanted):
        lock(folder, source(mirror, packages, more))


@pytest.mark.parametrize(
    ("packages", "more", "wanted"),
    [
        ("[unmet]", "", "nothing provides nowhere needed by unmet"),
        ("[tool]", "    updates: false\n", "nothing provides lib >= 2 needed by tool"),
    ],
)
def test_what_does_not_go_together_is_told(
    folder: RecipeFolder, mirror: RpmRepository, packages: str, more: str, wanted: str
) -> None:
    """Why packages cannot be installed dnf says itself. A8."""
    with pytest.raises(ToolFailed, match="cannot be installed together") as failed:
        lock(folder, source(mirror, packages, more))
    assert wanted in failed.value.tail


def test_a_release_that_is_not_there_is_told(folder: RecipeFolder, mirror: RpmRepository) -> None:
    """A mirror without the release is a mistake in the recipe. A8."""
    with pytest.raises(RecipeError, match=r"x\.yaml:3:14: source\.fedora\.release: file:.* has no repodata"):
        lock(folder, source(mirror).replace("42", "41"))


def test_what_is_not_signed_is_refused(
    folder: RecipeFolder, mirror: RpmRepository, keys: list[OpenPgpKey], tmp_path: Path
) -> None:
    """No lock has a package that is signed by nobody, or by a key of another repository. A8."""
    (tmp_path / "stranger.asc").write_bytes(keys[1].armored)
    text = source(mirror).replace(str(mirror.keyring), str(tmp_path / "stranger.asc"))
    with pytest.raises(StageError, match=r"not signed by a key of their repository: .*tool 1-1, lib 1:2-1"):
        lock(folder, text)
    (tmp_path / "stranger.asc").write_bytes(b"nothing")
    with pytest.raises(StageError, match=r"stranger\.asc holds no keys"):
        lock(folder, text)
    assert not (tmp_path / "recipes/x.lock").exists()


def test_a_package_is_what_the_lists_say(
    folder: RecipeFolder, mirror: RpmRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists are signed by nobody: no old package, of a good signature, passes for a newer one. A8."""
    real = resolution.Package

    def newer(name: str, version: str, *more: object) -> lockfile.Package:
        return real(name, "9-1" if name == "tool" else version, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(resolution, "Package", newer)
    with pytest.raises(StageError, match="others than the lists of their repository say: tool 9-1 x86_64 is tool 1-1 "):
        lock(folder, source(mirror))
    assert not (folder.folder / "recipes/x.lock").exists()


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("<repomd", "<!DOCTYPE x [<!ENTITY a 'b'>]><repomd", "it declares a document type"),
        ("</repomd>", "", "repomd.xml is damaged"),
        ('type="filelists"', 'type="other"', "it has no filelists"),
        ('href="repodata/', 'href="../', "its primary has no place"),
        ('<checksum type="sha256">', '<checksum type="sha256">0', "its primary has no place or no SHA-256"),
    ],
)
def test_damaged_lists_are_told(folder: RecipeFolder, mirror: RpmRepository, old: str, new: str, wanted: str) -> None:
    """What a repository says of itself is believed only where it can be. A8."""
    repomd = mirror.top / "updates/42/Everything/x86_64/repodata/repomd.xml"
    text = repomd.read_text()
    start = text.index("<?xml")
    assert old in text
    repomd.write_text(text[:start] + text[start:].replace(old, new))
    try:
        with pytest.raises(StageError, match=wanted):
            lock(folder, source(mirror))
    finally:
        repomd.write_text(text)


def test_another_list_than_was_named_is_refused(folder: RecipeFolder, mirror: RpmRepository) -> None:
    """A list is what repomd.xml says by its SHA-256, or nothing is resolved by it. A8."""
    primary = next((mirror.top / "updates").rglob("*primary.xml*"))
    data = primary.read_bytes()
    primary.write_bytes(data + b"x")
    try:
        with pytest.raises(StageError, match=r"has another content than repomd\.xml says"):
            lock(folder, source(mirror))
    finally:
        primary.write_bytes(data)
