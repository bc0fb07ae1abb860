"""Resolving: real apt on a small signed archive."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from bootsmith.cache.store.store import Store
from bootsmith.tasks.errors import BootsmithError, RecipeError, StageError, ToolFailed, ToolMissing
from bootsmith.tasks.packages import downloads, lists, lockfile, mirrors, renewal, resolution
from bootsmith.tasks.packages.apt import Apt, Repository
from bootsmith.tasks.packages.lockfile import LockFile
from bootsmith.tasks.packages.mirrors import Mirrors
from bootsmith.tasks.recipe.model.files import PackageFile
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.model.source import Debian, Nothing
from bootsmith.tasks.tools import host

from tests.support.debian_archive import Archive
from tests.support.recipe_folder import RecipeFolder

LoadRecipe = Callable[..., Recipe]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "mirror")


@pytest.fixture
def load_recipe(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadRecipe:
    """Return what loads a recipe whose packages come from the archive, given more keys of its source."""
    monkeypatch.chdir(tmp_path)
    recipes = RecipeFolder(tmp_path)

    def load_recipe(more: str = "", layers: str = "") -> Recipe:
        keys = {
            "suite": "trixie",
            "mirror": f"file://{archive.main}",
            "keyring": str(archive.keyring),
            **dict(line.split(": ", 1) for line in more.splitlines()),
        }
        lines = "".join(f"    {key}: {value}\n" for key, value in keys.items())
        return recipes.load(f"source:\n  debian:\n{lines}{layers}")

    return load_recipe


def locked(recipe: Recipe, cache: Path, found: Mirrors | None = None) -> LockFile:
    source = recipe.source
    assert isinstance(source, Debian)
    extras = [each.uri for each in source.repositories]
    found = found or mirrors.find(source.mirror, extras, etc=cache / "no-apt-here", settings={})
    return resolution.resolve(recipe, found, cache, lambda _: None)


def versions(lock: LockFile) -> dict[str, str]:
    return {package.name: package.version for package in lock.packages}


def test_a_recipe_comes_to_its_closure(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """Essential and required packages, apt, the loader's, what is asked for and what that needs, no recommendations."""
    lock = locked(load_recipe("packages: [tool]"), tmp_path / "cache")
    assert versions(lock) == {
        "apt": "3.0",
        "base-files": "13",
        "lib": "1.1",
        "libapt": "3.0",
        "systemd-boot-efi": "257",
        "tool": "1:1.0+b1",
        "tzdata": "2025b-0",
    }
    assert [p.name for p in lock.packages if not p.asked] == ["lib", "libapt"]
    roles = {p.name: p.role for p in lock.packages}
    assert (roles["tool"], roles["tzdata"], roles["lib"]) == ("main", "updates", "security")


def test_a_package_is_told_by_its_content(load_recipe: LoadRecipe, archive: Archive, tmp_path: Path) -> None:
    """Size, SHA-256 and place below the mirror are the archive's own; no URL is in the lock."""
    lock = locked(load_recipe("packages: [tool]"), tmp_path / "cache")
    tool = next(p for p in lock.packages if p.name == "tool")
    assert tool.filename == "pool/main/t/tool/tool_1.0+b1_amd64.deb"
    assert tool.size == (archive.main / tool.filename).stat().st_size
    assert len(tool.sha256) == 64
    assert str(archive.main) not in repr(lock)


def test_the_date_is_the_newest_releases(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """The lock is dated by the newest of the releases it was made from, not by this machine's clock."""
    assert locked(load_recipe(), tmp_path / "cache").date == 1_755_331_200  # trixie-updates: 16 August 2025, 08:00


@pytest.mark.parametrize(
    ("more", "has", "lacks"),
    [
        ("packages: [tool]\nrecommends: true", "extra", "rival"),
        ("packages: [tool]\nrecommends: true\nexclude: [extra]", "tool", "extra"),
        ("variant: important", "editor", "pager"),
        ("variant: standard", "pager", "extra"),
        ("packages: [smtp]", "mailer", "tool"),
    ],
)
def test_what_is_asked_for_is_what_comes(
    more: str, has: str, lacks: str, load_recipe: LoadRecipe, tmp_path: Path
) -> None:
    """Recommendations, exclusions, variants and names that another package provides do what they say."""
    found = versions(locked(load_recipe(more), tmp_path / "cache"))
    assert has in found
    assert lacks not in found


def test_without_security_updates(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """With `security: false` the security archive is not asked."""
    found = versions(locked(load_recipe("packages: [tool]\nsecurity: false"), tmp_path / "cache"))
    assert found["lib"] == "1.0"


def test_a_loader_that_the_suite_lacks_is_left_out(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """A suite without the loader's package is no error: the host's loader is taken then."""
    recipe = load_recipe("packages: [tool]")
    grub = dataclasses.replace(recipe, boot=dataclasses.replace(recipe.boot, loader=("grub-efi",)))
    assert set(versions(locked(grub, tmp_path / "cache"))).isdisjoint({"grub-efi-amd64-bin", "systemd-boot-efi"})


def test_a_suite_without_updates_is_fine(load_recipe: LoadRecipe, archive: Archive, tmp_path: Path) -> None:
    """Where there is no `-updates` suite, the rest is taken."""
    (archive.main / "dists/trixie-updates").rename(archive.main / "dists/gone")
    assert versions(locked(load_recipe(), tmp_path / "cache"))["tzdata"] == "2025a-1"


def test_the_security_archive_is_looked_for_in_turn(load_recipe: LoadRecipe, archive: Archive, tmp_path: Path) -> None:
    """Where the first candidate is none, the next one is asked."""
    main = f"file://{archive.main}"
    found = Mirrors(
        {"main": (main,), "updates": (main,), "security": ("file:///nowhere", f"file://{archive.security}")}
    )
    assert versions(locked(load_recipe("packages: [lib]"), tmp_path / "cache", found))["lib"] == "1.1"


def in_layers(lock: LockFile) -> dict[str, tuple[dict[str, str], tuple[str, ...]]]:
    return {
        name: ({package.name: package.version for package in layer.packages}, layer.removed)
        for name, layer in lock.layers.items()
    }


def test_layers_are_resolved_on_top_of_each_other(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """A layer comes to what the tree below has not: what it depends on, and what it takes away with what it removes."""
    layers = (
        "layers: [packages: [tool], {name: mail, packages: {install: [mailer, lib]}},"
        " packages: {install: [rival], remove: [lib]}]\n"
    )
    lock = locked(load_recipe("packages: [extra]", layers), tmp_path / "cache")
    assert {"tool", "lib", "mailer", "rival"}.isdisjoint(versions(lock))
    assert in_layers(lock) == {
        "1-packages": ({"tool": "1:1.0+b1", "lib": "1.1"}, ()),
        "mail": ({"mailer": "1"}, ()),
        "3-packages": ({"rival": "1"}, ("lib", "tool")),
    }
    asked = {package.name: package.asked for package in lock.layers["1-packages"].packages}
    assert asked == {"tool": True, "lib": False}
    assert lock.request["layer3"] == "3-packages +rival -lib"


@pytest.mark.parametrize(
    ("layer", "what"),
    [
        ("[toool]", "layers.packages: trixie (main) has no package toool; did you mean tool?"),
        ("{remove: [tool]}", "layers.packages.remove: the tree has no package tool to remove; leave it out"),
    ],
)
def test_a_layers_mistakes_are_told_where_they_stand(
    layer: str, what: str, load_recipe: LoadRecipe, tmp_path: Path
) -> None:
    """A package that is nowhere, and one that is not there to be removed."""
    with pytest.raises(RecipeError, match=re.escape(what)):
        locked(load_recipe("", f"layers: [packages: {layer}]\n"), tmp_path / "cache")


def test_packages_of_a_layer_that_exclude_each_other_are_told(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """Of which layer, with what apt says."""
    with pytest.raises(ToolFailed, match="the packages of the layer x cannot be installed together"):
        locked(load_recipe("", "layers: [{name: x, packages: [broken]}]\n"), tmp_path / "cache")


def test_a_layer_more_leaves_the_rest_as_it_was(load_recipe: LoadRecipe, archive: Archive, tmp_path: Path) -> None:
    """C8: one package more in a layer keeps what the tree begins with and the lock's date, though mirrors went on.

    What no mirror has any more is read from the store. An update takes all of it anew.
    """
    store, path = Store(tmp_path / "store"), tmp_path / "recipes/x.lock"
    first = renewal.ensure(load_recipe("packages: [lib]"), path, store, lambda _: None)
    lib = next(package for package in first.packages if package.name == "lib")
    store.put_sha256(archive.security / lib.filename, lib.sha256)
    archive.advance()
    shutil.rmtree(store.root / "apt")
    layers = "layers: [{name: one, packages: [tool]}]\n"
    second = renewal.ensure(load_recipe("packages: [lib]", layers), path, store, lambda _: None)
    assert (second.packages, second.date) == (first.packages, first.date)
    assert in_layers(second) == {"one": ({"tool": "1:1.0+b1"}, ())}
    third = renewal.ensure(
        load_recipe("packages: [lib]", layers.replace("]}]", "]}, packages: [mailer]]")), path, store, lambda _: None
    )
    assert third.layers["one"] == second.layers["one"]
    assert in_layers(third)["2-packages"] == ({"mailer": "1"}, ())
    renewal.update(load_recipe("packages: [lib]", layers), path, store, lambda _: None)
    assert versions(lockfile.read(path))["lib"] == "1.2"


def test_a_layer_is_resolved_by_the_lists_of_the_rest(
    load_recipe: LoadRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No mirror is asked for its lists again, unless what those of last time name is there no more."""
    store, path, told = Store(tmp_path / "store"), tmp_path / "recipes/x.lock", list[str]()
    renewal.ensure(load_recipe(), path, store, lambda _: None)
    lock = renewal.ensure(load_recipe("", "layers: [packages: [mailer]]\n"), path, store, told.append)
    assert in_layers(lock) == {"1-packages": ({"mailer": "1"}, ())}
    assert not [line for line in told if "package lists" in line]
    answers = iter([True, False])
    monkeypatch.setattr(downloads, "gone", lambda files, *_: list(files) if next(answers) else [])
    lock = renewal.ensure(load_recipe("", "layers: [packages: [lib]]\n"), path, store, told.append)
    assert in_layers(lock) == {"1-packages": ({"lib": "1.1"}, ())}
    assert [line for line in told if "package lists" in line] == ["reading the package lists of trixie"]


def test_one_package_is_brought_up_to_date(load_recipe: LoadRecipe, archive: Archive, tmp_path: Path) -> None:
    """`update --package` moves that one, in the tree or a layer, with what it needs; all else stays, and the date."""
    store, path = Store(tmp_path / "store"), tmp_path / "recipes/x.lock"
    recipe = load_recipe("packages: [tool]", "layers: [{name: one, packages: [mailer]}]\n")
    with pytest.raises(StageError, match=r"there is no x.lock that fits yet"):
        renewal.update(recipe, path, store, lambda _: None, ["lib"])
    first = renewal.ensure(recipe, path, store, lambda _: None)
    for package in first.of_tree:
        role = archive.security if package.role == "security" else archive.main
        if (role / package.filename).exists():
            store.put_sha256(role / package.filename, package.sha256)
    archive.advance()
    assert renewal.update(recipe, path, store, lambda _: None, ["mailer", "tool"]) == []
    with pytest.raises(StageError, match="has no package lob") as refused:
        renewal.update(recipe, path, store, lambda _: None, ["lob"])
    assert refused.value.hint == "Did you mean lib?"
    (change,) = renewal.update(recipe, path, store, lambda _: None, ["lib"])
    assert str(change) == "lib 1.1 -> 1.2"
    second = lockfile.read(path)
    assert (second.date, second.request, second.layers) == (first.date, first.request, first.layers)
    assert [p.asked for p in second.packages] == [p.asked for p in first.packages]


def test_a_package_does_not_leave_behind_what_depends_on_it(
    load_recipe: LoadRecipe, archive: Archive, tmp_path: Path
) -> None:
    """What a layer has of one version alone goes with that one: refused before the lock is written, with what to do."""
    store, path = Store(tmp_path / "store"), tmp_path / "recipes/x.lock"
    recipe = load_recipe("packages: [lib, editor]", "layers: [packages: [mailer], {name: dev, packages: [lib-dev]}]\n")
    first = renewal.ensure(recipe, path, store, lambda _: None)
    lib = next(package for package in first.packages if package.name == "lib")
    store.put_sha256(archive.security / lib.filename, lib.sha256)
    written = path.read_bytes()
    archive.advance()
    with pytest.raises(ToolFailed, match="the packages of the layer dev do not go with the newest lib") as refused:
        renewal.update(recipe, path, store, lambda _: None, ["lib"])
    assert refused.value.hint == "Resolve all packages: `doit update`."
    assert "lib-dev : Depends: lib (= 1.1)" in refused.value.tail
    assert path.read_bytes() == written
    (change,) = renewal.update(recipe, path, store, lambda _: None, ["editor"])
    assert str(change) == "editor 1 -> 2"


def test_what_is_excluded_stays_out_of_a_single_update(
    load_recipe: LoadRecipe, archive: Archive, tmp_path: Path
) -> None:
    """Though the newest version of a package recommends it."""
    store, path = Store(tmp_path / "store"), tmp_path / "recipes/x.lock"
    recipe = load_recipe("packages: [editor]\nrecommends: true\nexclude: [extra]")
    renewal.ensure(recipe, path, store, lambda _: None)
    archive.advance()
    assert [str(each) for each in renewal.update(recipe, path, store, lambda _: None, ["editor"])] == ["editor 1 -> 2"]


def test_newer_versions_are_found_again(load_recipe: LoadRecipe, archive: Archive, tmp_path: Path) -> None:
    """Resolving again takes what the mirror has now, though the lists are kept between runs."""
    recipe = load_recipe("packages: [lib]")
    assert versions(locked(recipe, tmp_path / "cache"))["lib"] == "1.1"
    archive.advance()
    lock = locked(recipe, tmp_path / "cache")
    assert versions(lock)["lib"] == "1.2"
    assert lock.date == 1_756_537_200


def test_two_resolutions_are_equal(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """Another cache and another order of the recipe's packages give the same lock."""
    one = locked(load_recipe("packages: [tool, editor]"), tmp_path / "one")
    other = locked(load_recipe("packages: [editor, tool]"), tmp_path / "other")
    assert one == other


def refusal(recipe: Recipe, cache: Path, found: Mirrors | None = None) -> BootsmithError:
    with pytest.raises(BootsmithError) as caught:
        locked(recipe, cache, found)
    return caught.value


def test_unknown_packages_are_refused_all_at_once(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """Each unknown name is placed in the recipe, with the nearest that exists; what is excluded counts too."""
    error = refusal(load_recipe("packages: [tol, lib,  edditor]\nexclude: [zzz]"), tmp_path / "cache")
    assert isinstance(error, RecipeError)
    assert error.problems == [
        "recipes/x.yaml:6:16: source.debian.packages: trixie (main) has no package tol; did you mean tool?",
        "recipes/x.yaml:6:27: source.debian.packages: trixie (main) has no package edditor; did you mean editor?",
        (
            "recipes/x.yaml:7:15: source.debian.exclude: trixie (main) has no package zzz; "
            "add the component or repository that has it, or leave it out"
        ),
    ]


@pytest.mark.parametrize(("packages", "says"), [("[broken]", "nowhere"), ("[tool, rival]", "Conflicts")])
def test_packages_that_do_not_go_together(packages: str, says: str, load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """A dependency that nobody provides, or a conflict, is told in apt's own words."""
    error = refusal(load_recipe(f"packages: {packages}"), tmp_path / "cache")
    assert isinstance(error, ToolFailed)
    assert says in error.tail


def test_an_unknown_suite_is_the_recipes_mistake(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """A suite the mirror does not have is placed in the recipe, with the nearest that exists."""
    error = refusal(load_recipe("suite: trixi"), tmp_path / "cache")
    assert isinstance(error, RecipeError)
    assert "recipes/x.yaml:3:12: source.debian.suite:" in str(error)
    assert "did you mean trixie?" in str(error)


def test_no_security_archive_is_no_silence(load_recipe: LoadRecipe, archive: Archive, tmp_path: Path) -> None:
    """Without a security archive nothing is built unless the recipe says so: the hint names the key."""
    archive.security.rename(tmp_path / "moved")
    error = refusal(load_recipe(), tmp_path / "cache")
    assert "no security archive of trixie was found" in error.message
    assert "source.debian.security" in error.hint


def test_no_network_is_said(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """A mirror that cannot be reached is told from one that lacks the suite."""
    closed = ("http://127.0.0.1:9/debian",)
    found = Mirrors({"main": closed, "updates": closed, "security": closed}, {"Acquire::Retries": "0"})
    error = refusal(load_recipe(), tmp_path / "cache", found)
    assert isinstance(error, StageError)
    assert "cannot be reached" in error.message
    assert "source.debian.mirror" in error.hint


def test_lists_signed_by_nobody_known_are_refused(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """Package lists count only when a key of the keyring signed them."""
    stranger = tmp_path / "stranger.gpg"
    stranger.write_bytes(host.find("debian-archive-keyring").read_bytes())
    error = refusal(load_recipe(f"keyring: {stranger}"), tmp_path / "cache")
    assert "not signed by a key in the keyring" in error.message
    assert "source.debian.keyring" in error.hint


def test_changed_lists_are_refused(load_recipe: LoadRecipe, archive: Archive, tmp_path: Path) -> None:
    """A package list that is not the signed one stops everything."""
    lists = archive.main / "dists/trixie/main/binary-amd64/Packages"
    lists.write_bytes(lists.read_bytes().replace(b"Version: 13", b"Version: 31"))
    assert isinstance(refusal(load_recipe(), tmp_path / "cache"), StageError)


def test_outdated_lists_are_refused(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """Lists past their date are refused, so nobody can be kept on old packages; a host may allow it for its mirror."""
    error = refusal(load_recipe("suite: bookworm\nsecurity: false"), tmp_path / "cache")
    assert "out of date" in error.message


def test_a_missing_keyring_is_named(load_recipe: LoadRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the distribution's keys the error names their package and the recipe's key."""
    find = host.find

    def without_keyring(name: str) -> Path:
        if name == "debian-archive-keyring":
            raise ToolMissing(f"{name} is not installed", "Install it.")
        return find(name)

    monkeypatch.setattr(host, "find", without_keyring)
    error = refusal(load_recipe("keyring: null"), tmp_path / "cache")
    assert isinstance(error, ToolMissing)
    assert "source.debian.keyring" in error.hint


def test_further_repositories_are_asked(load_recipe: LoadRecipe, archive: Archive, tmp_path: Path) -> None:
    """A repository of the recipe's own brings packages, under a role of its own and its own key."""
    extra = f"[{{uri: 'file://{archive.security}', suite: trixie-security, key: {archive.keyring}}}]"
    lock = locked(load_recipe(f"packages: [lib]\nsecurity: false\nrepositories: {extra}"), tmp_path / "cache")
    (lib,) = (p for p in lock.packages if p.name == "lib")
    assert (lib.version, lib.role) == ("1.1", "extra1")


def test_the_hosts_apt_is_not_read(load_recipe: LoadRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration the environment names for apt changes nothing."""
    hostile = tmp_path / "apt.conf"
    hostile.write_text('APT::Install-Recommends "true";\nAPT::Default-Release "sid";\n')
    monkeypatch.setenv("APT_CONFIG", str(hostile))
    assert "extra" not in versions(locked(load_recipe("packages: [tool]"), tmp_path / "cache"))


# -- single files


def test_a_file_s_packages_stand_apart(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """A file's own package is locked beside the tree's, the newest of all repositories; the tree stays as it was."""
    recipe = load_recipe("packages: [tool]")
    more = dataclasses.replace(recipe.boot, initrd=PackageFile("lib", "/x", "trixie", "amd64"))
    lock = locked(dataclasses.replace(recipe, boot=more), tmp_path / "cache")
    assert [(p.name, p.version, p.role) for p in lock.files["lib/trixie/amd64"]] == [("lib", "1.1", "security")]
    assert lock.packages == locked(recipe, tmp_path / "other").packages
    assert lock.request["files"] == "lib/trixie/amd64"


def test_a_file_of_no_package_there_is(load_recipe: LoadRecipe, tmp_path: Path) -> None:
    """The mistake is placed in the recipe, with the nearest name."""
    recipe = load_recipe("packages: [tool]")
    more = dataclasses.replace(recipe.boot, initrd=PackageFile("tol", "/x", "trixie", "amd64"))
    error = refusal(dataclasses.replace(recipe, boot=more), tmp_path / "cache")
    assert isinstance(error, RecipeError)
    assert "package: trixie has no package tol for amd64; did you mean tool?" in str(error)


@pytest.mark.parametrize(
    ("depends", "exact"),
    [
        ("", []),
        ("a (= 1)", ["a=1"]),
        ("a (= 1:2.0-3+b1), b (>= 2), c", ["a=1:2.0-3+b1"]),
        ("a (= 1) | b (= 1)", []),
        ("x | a (= 1), b:any (= 2)", ["b=2"]),
        (
            "libc6 (>= 2.36), linux-image-6.12+deb13-cloud-amd64 (= 6.12-1)",
            ["linux-image-6.12+deb13-cloud-amd64=6.12-1"],
        ),
    ],
)
def test_what_a_package_depends_on_exactly(depends: str, exact: list[str]) -> None:
    """One version of one package, without a choice: what a metapackage stands for."""
    assert resolution.exactly(depends) == exact


def test_what_the_lists_name_and_no_mirror_has_is_refused(
    load_recipe: LoadRecipe, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release past its time loses files that its lists still name: `update` says so, with what to do."""
    recipe = load_recipe("packages: [tool]")
    found = mirrors.find(f"file://{archive.main}", etc=tmp_path / "none", settings={})
    monkeypatch.setattr(mirrors, "find", lambda *_, **__: found)
    store, path = Store(tmp_path / "cache"), tmp_path / "x.lock"
    renewal.update(recipe, path, store, lambda _: None)
    before = path.read_bytes()
    (gone,) = Path(f"{archive.main}-security").rglob("lib_1.1*.deb")
    gone.unlink()
    with pytest.raises(StageError, match=r"lib 1\.1.*: in the package lists of .*-security, and not there") as caught:
        renewal.update(recipe, path, store, lambda _: None)
    assert "source.debian.security: false" in caught.value.hint
    assert path.read_bytes() == before
    said = renewal.update(load_recipe("packages: [tool]\nsecurity: false"), path, store, lambda _: None)
    assert "lib 1.1 -> 1.0" in [*map(str, said)]


class Torn:
    """A mirror that is amid an update for the first so many looks at it, and a clock that only counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, looks: int, role: str = "security") -> None:
        self.slept: list[int] = []
        self.looks = looks
        update = Apt.update

        def torn(apt: Apt, repositories: Sequence[Repository]) -> str:
            for each in repositories:
                if each.role == role and self.looks:
                    self.looks -= 1
                    return f"E: Failed to fetch {each.printed}/dists/{each.suite}/x  Mirror sync in progress?"
            return update(apt, repositories)

        monkeypatch.setattr(Apt, "update", torn)
        monkeypatch.setattr(lists, "sleep", self.slept.append)


@pytest.mark.parametrize("role", ["main", "security"])
def test_a_mirror_amid_an_update_is_waited_for(
    role: str, load_recipe: LoadRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer each time, and said; what comes of it is what would have come at once."""
    torn, said = Torn(monkeypatch, 3, role), []
    recipe = load_recipe("packages: [tool]")
    found = mirrors.find(recipe.source.mirror, etc=tmp_path / "none", settings={})  # type: ignore[union-attr]
    lock = resolution.resolve(recipe, found, tmp_path / "cache", said.append)
    assert torn.slept == [10, 20, 40]
    assert {package.name: package.role for package in lock.packages}["lib"] == "security"
    suite = "trixie" if role == "main" else "trixie-security"
    assert f"the mirror of {suite} is amid an update: trying again in 40 s" in said


@pytest.mark.parametrize("alone", [False, True])
def test_a_mirror_that_stays_amid_an_update_is_refused(
    alone: bool, load_recipe: LoadRecipe, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No lock is made without security updates, of a tree as little as of a single file: it would stay so."""
    torn, recipe = Torn(monkeypatch, 99), load_recipe("packages: [tool]")
    keyring, real = archive.keyring, host.find
    monkeypatch.setattr(host, "find", lambda name: keyring if name == "debian-archive-keyring" else real(name))
    found = mirrors.find(f"file://{archive.main}", etc=tmp_path / "none", settings={})
    if alone:
        boot = dataclasses.replace(recipe.boot, initrd=PackageFile("lib", "/x", "trixie", "amd64"))
        recipe = dataclasses.replace(recipe, source=Nothing(), boot=boot)
    with pytest.raises(StageError, match="trixie-security is amid an update, and was so for 270 seconds") as caught:
        resolution.resolve(recipe, found, tmp_path / "cache", lambda _: None)
    assert torn.slept == [*lists.PAUSES]
    assert ("source.debian.security: false" in caught.value.hint) == (not alone)


def test_a_recipe_may_do_without_security_updates(
    load_recipe: LoadRecipe, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tree, and the files that it takes out of other releases."""
    torn, recipe = Torn(monkeypatch, 99), load_recipe("packages: [tool]\nsecurity: false")
    keyring, real = archive.keyring, host.find
    monkeypatch.setattr(host, "find", lambda name: keyring if name == "debian-archive-keyring" else real(name))
    file = PackageFile("lib", "/x", "trixie", "i386")
    recipe = dataclasses.replace(recipe, boot=dataclasses.replace(recipe.boot, initrd=file))
    assert [release.security for release in lists.releases(recipe)] == [False, False]
    alone = dataclasses.replace(recipe, boot=dataclasses.replace(recipe.boot, initrd="auto"))
    assert versions(locked(alone, tmp_path / "cache"))["lib"] == "1.0"
    assert torn.slept == []
