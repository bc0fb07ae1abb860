"""Resolving: which packages a recipe comes to, by what a distribution's package lists say and apt makes of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from bootsmith.cache.display import nearest
from bootsmith.tasks.errors import RecipeError, StageError, ToolFailed
from bootsmith.tasks.packages import kernel_package, lists, request
from bootsmith.tasks.packages.apt import Apt
from bootsmith.tasks.packages.installed import Installed
from bootsmith.tasks.packages.known import Known
from bootsmith.tasks.packages.lists import Release
from bootsmith.tasks.packages.loader_packages import packages
from bootsmith.tasks.packages.lockfile import LayerPackages, LockFile, Package
from bootsmith.tasks.packages.mirrors import Mirrors
from bootsmith.tasks.packages.request import mistake
from bootsmith.tasks.recipe import tree_packages
from bootsmith.tasks.recipe.model.files import PackageFile
from bootsmith.tasks.recipe.model.layers import Packages
from bootsmith.tasks.recipe.model.source import Debian

if TYPE_CHECKING:
    from bootsmith.tasks.packages.tree_status import TreeStatus
    from bootsmith.tasks.recipe.model.recipe import Recipe

_PRIORITIES: Final = {
    "minbase": ("required",),
    "required": ("required",),
    "important": ("required", "important"),
    "standard": ("required", "important", "standard"),
}


COMPONENTS: Final[Mapping[str, tuple[str, ...]]] = {"debian": ("main",), "ubuntu": ("main", "universe")}
"""The distributions whose packages can be put on top of a tree, and what of their archives is asked."""
_ALL: Final = "Resolve all packages: `doit update`."


def _no_control(package: Package) -> bytes:
    raise StageError(f"no mirror lists {package.name} {package.version} any more", "Run `doit update`.")


def resolve(
    recipe: Recipe,
    mirrors: Mirrors,
    cache: Path,
    say: Callable[[str], None],
    control: Callable[[Package], bytes] = _no_control,
) -> LockFile:
    """Return the packages a recipe comes to today. Raises RecipeError, StageError, ToolMissing.

    `control` gives the control file of a package that no mirror lists any more.
    """
    packages: tuple[Package, ...] = ()
    added: dict[str, str] = {}
    files: dict[str, tuple[Package, ...]] = {}
    layers: dict[str, LayerPackages] = {}
    dates = []
    for release in lists.releases(recipe):
        with lists.held(recipe, release, mirrors, cache, say) as (apt, repositories):
            say(f"resolving the packages of {recipe.name}")
            known = Known(apt, repositories)
            apt.take_for_installed("")  # what layers had below them last time is none of it
            if release.source:
                packages = _tree(recipe, release, apt, known)
                if kernel_package.is_asked(recipe) and not kernel_package.is_among(packages):
                    added[kernel_package.FACT] = _kernel(recipe, release, known, kernel_package.name(recipe))
                    packages = _tree(recipe, release, apt, known, [*added.values()])
                tree, asked = Installed(apt, packages, control), request.request(recipe)
                layers = _layers(recipe, request.layers(recipe), asked, release.source, tree, known)
            for file in release.files:
                files[file.key] = _file(recipe, file, apt, known)
            dates.append(lists.date(apt.folder / "lists"))
    return LockFile(request.request(recipe) | added, max(dates), packages, files, layers)


def resolve_layers(  # noqa: PLR0917  as resolve, on top of what is kept
    recipe: Recipe,
    kept: LockFile,
    mirrors: Mirrors,
    cache: Path,
    say: Callable[[str], None],
    control: Callable[[Package], bytes],
    *,
    refresh: bool,
) -> LockFile:
    """Return a lock with other layers of packages: all that the tree begins with stays as it is, and so does its date.

    So do layers below the first one that changed. Without `refresh` the package lists of last time are taken, if there
    are any. Raises RecipeError, StageError, ToolMissing.
    """
    release = next(each for each in lists.releases(recipe) if each.source)
    assert release.source is not None, "only such a tree has layers of packages"
    with lists.held(recipe, release, mirrors, cache, say, refresh=refresh) as (apt, repositories):
        say(f"resolving the layers of {recipe.name}")
        known = Known(apt, repositories)
        tree, asked = Installed(apt, kept.packages, control), request.request(recipe)
        layers = _layers(recipe, request.layers(recipe), asked, release.source, tree, known, kept)
    added = {key: value for key, value in kept.request.items() if key == kernel_package.FACT}
    return LockFile(request.request(recipe) | added, kept.date, kept.packages, kept.files, layers)


def resolve_on_tree(  # noqa: PLR0917  as resolve, on top of what is kept
    recipe: Recipe,
    status: TreeStatus,
    kept: LockFile | None,
    mirrors: Mirrors,
    cache: Path,
    say: Callable[[str], None],
    control: Callable[[Package], bytes],
    *,
    refresh: bool,
) -> tuple[dict[str, str], dict[str, LayerPackages]]:
    """Return what layers of packages come to on a tree that says itself what it has, and what the lock says of it.

    Layers of `kept`, which was resolved on the same tree, stay below the first one that changed; `refresh` is as for
    `resolve_layers`. Raises RecipeError, StageError, ToolMissing.
    """
    release = _release_of(recipe, status)
    debian = release.source
    assert debian is not None, "of this release the layers are made"
    asked, specs, added = request.on_tree(recipe), request.layers_on_tree(recipe), dict[str, str]()
    with lists.held(recipe, release, mirrors, cache, say, refresh=refresh) as (apt, repositories):
        say(f"resolving the packages on top of the tree of {recipe.name}")
        known = Known(apt, repositories)
        if tree_packages.adds_kernel(recipe) and not status.kernel:
            kernel = _kernel(recipe, release, known, kernel_package.of(status.distribution, recipe.arch))
            added[kernel_package.FACT] = kernel
            specs[0] = dataclasses.replace(specs[0], install=(kernel, *kernel_package.MAKERS))
        tree = Installed(apt, (), control, status.packages)
        layers = _layers(recipe, specs, asked, debian, tree, known, kept)
    return {**asked, "distribution": status.distribution, "suite": debian.suite, **added}, layers


def _release_of(recipe: Recipe, status: TreeStatus) -> Release:
    """Return the release of a tree as its own distribution has it."""
    said = recipe.archive
    debian = Debian(
        suite=said.suite or status.suite,
        variant="minbase",
        components=said.components or COMPONENTS[status.distribution],
        packages=(),
        exclude=(),
        recommends=said.recommends,
        docs=said.docs,
        security=said.security,
        mirror=said.mirror,
        keyring=said.keyring,
        repositories=said.repositories,
    )
    return Release(debian.suite, recipe.arch, debian, (), said.security, request.ARCHIVE, status.distribution)


def resolve_packages(  # noqa: PLR0917  as resolve, of some packages
    recipe: Recipe,
    kept: LockFile,
    names: Sequence[str],
    mirrors: Mirrors,
    cache: Path,
    say: Callable[[str], None],
    control: Callable[[Package], bytes],
    status: TreeStatus | None = None,
) -> LockFile:
    """Return a lock with the newest versions of some of its packages, and of what these need then; all else stays.

    apt is told that what the lock has is installed, and what a tree has by its `status`, and asked for these alone.
    What lies above something that moved, and does not go with it, is refused. Raises RecipeError, StageError,
    ToolMissing.
    """
    release = next((each for each in lists.releases(recipe) if each.source), None)
    release = _release_of(recipe, status) if status else release
    had = {package.name for package in kept.of_tree}
    for name in names:
        if release is None or name not in had:
            near = nearest(name, sorted(had))
            hint = f"Did you mean {near}?" if near else "Name one that the lock file lists."
            raise StageError(f"the tree of {recipe.name} has no package {name}", hint)
    assert release is not None, "such a tree has packages"
    assert release.source is not None, "of this release the tree is made"
    with lists.held(recipe, release, mirrors, cache, say) as (apt, repositories):
        say(f"resolving {', '.join(names)}")
        known = Known(apt, repositories)
        tree = Installed(apt, kept.packages, control, status.packages if status else {})
        base = _moved(LayerPackages(kept.packages, ()), names, release.source, tree, known)
        layers, moved = {}, base.packages != kept.packages
        for name, layer in kept.layers.items():
            tree.change(layer)
            layers[name] = _moved(layer, names, release.source, tree, known)
            tree.change(layers[name])
            moved = moved or layers[name] != layer
            if moved:
                _check_whole(tree, name, names)
    return LockFile(kept.request, kept.date, base.packages, kept.files, layers)


def _moved(layer: LayerPackages, names: Sequence[str], debian: Debian, tree: Installed, known: Known) -> LayerPackages:
    """Return what a layer, or the base, comes to when its own packages of some `names` are the newest."""
    own = {package.name: package for package in layer.packages}
    wanted = [name for name in names if name in own]
    if not wanted:
        return layer
    kept_out = [f"{name}-" for name in sorted({*debian.exclude, *layer.removed}) if name not in tree]
    tree.tell()
    try:
        chosen, removed = _chosen(debian, tree.apt, [*wanted, *kept_out], f"the newest {', '.join(wanted)}")
    except ToolFailed as error:
        what = f"the newest {', '.join(wanted)} cannot be installed, all else staying as it is"
        raise ToolFailed(what, _ALL, tail=error.tail, status=error.status) from error
    if gone := [name for name in removed if name in tree]:
        raise StageError(f"the newest {', '.join(wanted)} would remove {', '.join(gone)}", _ALL)
    for about in _stanzas(tree.apt.text("apt-cache", "show", *chosen)) if chosen else ():
        if chosen[f"{about['Package']}={about['Version']}"] == about["SHA256"]:
            name = about["Package"]
            own[name] = known.package(about, asked=own[name].asked if name in own else False)
            tree.packages[name] = own[name]
    return LayerPackages(tuple(own[name] for name in sorted(own)), layer.removed)


def _check_whole(tree: Installed, layer: str, names: Sequence[str]) -> None:
    """Refuse a tree in which a package lacks what it depends on, or conflicts with another. Raises ToolFailed."""
    tree.tell()
    done = tree.apt.run("apt-get", "-q", "-o", "Debug::NoLocking=true", "check")
    if done.status:
        said = (done.stdout + done.stderr).decode(errors="replace")
        shown = re.sub(r"(?s).*?(The following packages have unmet|E: )", r"\1", said, count=1).strip()
        what = f"the packages of the layer {layer} do not go with the newest {', '.join(names)}"
        raise ToolFailed(what, _ALL, tail=shown)


def _layers(  # noqa: PLR0917  all that decides
    recipe: Recipe,
    specs: Sequence[Packages],
    asked: Mapping[str, str],
    debian: Debian,
    tree: Installed,
    known: Known,
    kept: LockFile | None = None,
) -> dict[str, LayerPackages]:
    """Return what each layer of packages comes to, on top of those below it."""
    found: dict[str, LayerPackages] = {}
    for number, layer in enumerate(specs, 1):
        fact = f"layer{number}"
        if kept and kept.request.get(fact) == asked[fact] and layer.name in kept.layers:
            found[layer.name] = kept.layers[layer.name]
        else:
            kept = None
            found[layer.name] = _layer(recipe, layer, debian, tree, known)
        tree.change(found[layer.name])
    return found


def _layer(recipe: Recipe, layer: Packages, debian: Debian, tree: Installed, known: Known) -> LayerPackages:
    key = "layers.packages"
    for name in layer.remove:
        if name not in tree:
            raise mistake(recipe, name, f"{key}.remove", f"the tree has no package {name} to remove; leave it out")
    if not (layer.install or layer.remove):
        return LayerPackages((), ())
    words = [*layer.install, *(f"{name}-" for name in layer.remove)]
    words += [f"{name}-" for name in debian.exclude if name not in tree]
    tree.tell()
    try:
        chosen, removed = _chosen(debian, tree.apt, words, f"the packages of the layer {layer.name}")
    except ToolFailed as error:
        if problems := [*_strange(recipe, layer.install, known, key, debian)]:
            raise RecipeError(problems) from error
        raise
    packages = {}
    for about in _stanzas(tree.apt.text("apt-cache", "show", *chosen)) if chosen else ():
        if chosen[f"{about['Package']}={about['Version']}"] == about["SHA256"]:
            packages[about["Package"]] = known.package(about, asked=about["Package"] in layer.install)
    return LayerPackages(tuple(packages[name] for name in sorted(packages)), tuple(sorted(removed)))


def _tree(recipe: Recipe, release: Release, apt: Apt, known: Known, further: Sequence[str] = ()) -> tuple[Package, ...]:
    """Return the packages of the recipe's tree, with those that `further` names."""
    debian = release.source
    assert debian is not None, "of this release the tree is made"
    _check_names(recipe, debian, known)
    loader = [name for name in packages(recipe) if name in known.names]
    asked = ["apt", *debian.packages, *loader, *further]
    patterns = ["?essential", *(f"?priority({each})" for each in _PRIORITIES[debian.variant])]
    words = [*patterns, *asked, *(f"{name}-" for name in debian.exclude)]
    chosen, _ = _chosen(debian, apt, words, f"the packages of {recipe.name}")
    unique = {}
    for about in _stanzas(apt.text("apt-cache", "show", *chosen)):
        if chosen[f"{about['Package']}={about['Version']}"] != about["SHA256"]:
            continue  # another repository has other bytes by the same name
        important = about.get("Essential") == "yes" or about.get("Priority") in _PRIORITIES[debian.variant]
        unique[about["Package"]] = known.package(about, asked=important or about["Package"] in asked)
    return tuple(unique[name] for name in sorted(unique))


def _kernel(recipe: Recipe, release: Release, known: Known, name: str) -> str:
    """Return the distribution's kernel package, which must be there."""
    if name not in known.names:
        where = f"{release.key}.packages" if release.key != request.ARCHIVE else "a layer of packages"
        what = f"{release.suite} has no package {name}; name a kernel in {where}, or one of your own"
        raise mistake(recipe, "install", "boot.kernel", what)
    return name


def _file(recipe: Recipe, file: PackageFile, apt: Apt, known: Known) -> tuple[Package, ...]:
    """Return the packages a file may come out of: its own, then what that depends on exactly, nearest first."""
    if file.package not in known.names:
        alike = _alike(file.package, known)
        todo = f"did you mean {alike}?" if alike else "name another package, or with suite: another release"
        what = f"{file.suite} has no package {file.package} for {file.arch}; {todo}"
        raise mistake(recipe, file.package, "package", what)
    found: dict[str, Package] = {}
    waiting = [file.package]
    while waiting:
        word = waiting.pop(0)
        name = word.partition("=")[0]
        if name in found or name not in known.names:
            continue
        done = apt.run("apt-cache", "--no-all-versions", "show", word)
        for about in [*_stanzas(done.stdout.decode(errors="replace"))][:1]:
            found[name] = known.package(about, asked=name == file.package)
            waiting += exactly(about.get("Depends", ""))
    return tuple(found.values())


def exactly(depends: str) -> list[str]:
    """Return of a package's dependencies those on one version alone, as NAME=VERSION."""
    found = re.findall(r"(?:^|,)\s*([^\s,|(:]+)(?::\w+)?\s*\(=\s*([^\s)]+)\)\s*(?=,|$)", depends)
    return [f"{name}={version}" for name, version in found]


def _chosen(debian: Debian, apt: Apt, asked: Sequence[str], what: str) -> tuple[dict[str, str], list[str]]:
    """Return the packages that apt would install, "NAME=VERSION" -> SHA-256, and the names of those it would remove."""
    options = ["-q", "-y", "-o", f"APT::Install-Recommends={'true' if debian.recommends else 'false'}"]
    done = apt.run("apt-get", *options, "--print-uris", "install", *asked)
    if done.status:
        said = (done.stdout + done.stderr).decode(errors="replace")
        shown = re.sub(r"(?s).*?(The following packages have unmet|E: )", r"\1", said, count=1).strip()
        raise ToolFailed(
            f"{what} cannot be installed together",
            "Change what is to be installed or excluded, or add the repository that has what is missing.",
            tail=shown,
        )
    found = {}
    for file, sha256 in re.findall(
        r"^'\S+' (\S+) \d+ SHA256:(\w+)$", done.stdout.decode(errors="replace"), re.MULTILINE
    ):
        name, version, _ = unquote(file).split("_")
        found[f"{name}={version}"] = sha256
    removed = re.findall(r"^The following packages will be REMOVED:\n((?: .+\n)*)", done.stdout.decode(), re.MULTILINE)
    return found, [name.rstrip("*").partition(":")[0] for listed in removed for name in listed.split()]


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    for stanza in text.split("\n\n"):
        fields = dict(re.findall(r"^(\S+): (.*)$", stanza, re.MULTILINE))
        if fields:
            yield fields


def _check_names(recipe: Recipe, debian: Debian, known: Known) -> None:
    """Refuse packages that are in no repository, all at once."""
    problems = [
        *_strange(recipe, debian.packages, known, f"{request.section(recipe)}.packages", debian),
        *_strange(recipe, debian.exclude, known, f"{request.section(recipe)}.exclude", debian),
    ]
    if problems:
        raise RecipeError(problems)


def _strange(recipe: Recipe, asked: Sequence[str], known: Known, key: str, debian: Debian) -> Iterator[str]:
    """Yield what is wrong with names of packages: that no repository has them."""
    for name in asked:
        if name in known.names or name in known.provided:
            continue
        alike = _alike(name, known)
        todo = f"did you mean {alike}?" if alike else "add the component or repository that has it, or leave it out"
        what = f"{debian.suite} ({' '.join(debian.components)}) has no package {name}; {todo}"
        yield from mistake(recipe, name, key, what).problems


def _alike(name: str, known: Known) -> str | None:
    """Return the package that was probably meant."""
    return nearest(name, (each for each in known.names if each[:1] == name[:1] and abs(len(each) - len(name)) <= 3))
