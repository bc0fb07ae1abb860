"""What a recipe must be as a whole, beyond what each of its keys says."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.recipe import tree_packages
from bootsmith.tasks.recipe.checks import boot, build, disk, kernel, machine, media, others, outputs, system
from bootsmith.tasks.recipe.keys.archive import ARCHIVE
from bootsmith.tasks.recipe.model.layers import Files, LayerSpec, Packages, Run, Script
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.model.source import Arch, Debian, Fedora, Ubuntu
from bootsmith.tasks.recipe.text.nodes import Place, Text
from bootsmith.tasks.recipe.text.problems import Finding, KeyPath, Problems, Wrong, suggest
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.shapes import NOWHERE

LAYERS = ("base", "container", "system", "modules", "loader")


def check(recipe: Recipe, place: Callable[[KeyPath], Place], problems: Problems) -> None:
    """Note what is wrong with a recipe as a whole; `place` finds where a key is written.

    A check is left out where one of the keys it reads is wrong already.
    """
    for reads, rule in _RULES:
        if problems.trusted(*reads):
            for path, what in dict.fromkeys(rule(recipe)):
                problems.add(place(path), path, what)


def _name(recipe: Recipe) -> Iterable[Finding]:
    try:
        words.NAME.parse(Text(recipe.name, plain=False, place=NOWHERE))
    except Wrong as wrong:
        yield ("name",), str(wrong)
    if recipe.system == "none":
        return
    try:
        words.HOST.parse(Text(recipe.system.hostname, plain=False, place=NOWHERE))
    except Wrong as wrong:
        yield ("system", "hostname"), f"the recipe's name is no host name: {wrong}, or write system.hostname"


def _kind(recipe: Recipe) -> str:
    """Return what a source of packages for apt is called."""
    return "ubuntu" if isinstance(recipe.source, Ubuntu) else "debian"


def _packages(recipe: Recipe) -> Iterable[Finding]:
    source = recipe.source
    if isinstance(source, Arch | Fedora) and recipe.arch != "amd64":
        name = "Arch" if isinstance(source, Arch) else "Fedora"
        yield ("arch",), f"{name} has no packages for {recipe.arch}; write amd64, or take another source"
    if not isinstance(source, Debian):
        return
    kind = _kind(recipe)
    if kind == "ubuntu" and recipe.arch != "amd64":
        yield ("source",), f"Ubuntu is built for amd64, and no more for {recipe.arch}; write arch: amd64"
    for name in source.packages:
        if name in source.exclude:
            yield ("source", kind, "exclude"), f"{name} is also in packages; remove it from one of them"


def _archive(recipe: Recipe) -> Iterable[Finding]:
    """Find an archive for packages on top of a tree, where the source says itself where packages come from."""
    if recipe.archive != ARCHIVE.blank and not tree_packages.wanted(recipe):
        if isinstance(recipe.source, Debian):
            yield ("archive",), f"its packages come from where source.{_kind(recipe)} says; write it there"
        else:
            yield ("archive",), "no packages come on top of this tree; remove it, or add a layer of packages"


def _layers(recipe: Recipe) -> Iterable[Finding]:
    seen: dict[str, int] = {}
    for number, layer in enumerate(recipe.layers):
        if layer.name in LAYERS or (layer.name == tree_packages.LAYER and tree_packages.adds_kernel(recipe)):
            yield (
                ("layers", number, "name"),
                f"bootsmith has a layer {layer.name} of its own; take another name",
            )
        if layer.name in seen:
            yield ("layers", number, "name"), f"two layers are called {layer.name}; give one another name"
        seen[layer.name] = number
        if isinstance(layer, Files):
            for path, each in layer.files.items():
                if (each.source is None) == (each.content is None):
                    what = "two sources" if each.source else "nothing to put here"
                    yield ("layers", number, "files", path), f"{what}; write exactly one of from: and content:"
        for where, what in _inside(layer, recipe):
            yield ("layers", number, *where), what


_NO_APT = "this source's tree has no apt to install them; write source: debian, or begin with another tree that has one"
_NO_PACKAGES: dict[type, str] = {
    Arch: "Arch's packages are named in source.arch.packages; write them there",
    Fedora: "Fedora's packages are named in source.fedora.packages; write them there",
}


def _inside(layer: LayerSpec, recipe: Recipe) -> Iterable[Finding]:
    """Find what is wrong with a layer that changes the tree from inside."""
    if isinstance(layer, Packages):
        if not (isinstance(recipe.source, Debian) or tree_packages.is_given(recipe)):
            yield ("packages",), _NO_PACKAGES.get(type(recipe.source), _NO_APT)
        if not (layer.install or layer.remove or layer.preseed):
            yield ("packages",), "nothing is installed or removed; name a package, or leave the layer out"
        for name in layer.install:
            if name in layer.remove:
                yield ("packages", "remove"), f"{name} is also to be installed; remove it from one of them"
            if isinstance(recipe.source, Debian) and name in recipe.source.exclude:
                yield ("packages",), f"{name} is excluded by source.{_kind(recipe)}.exclude; remove it from one of them"
    if isinstance(layer, Run | Script):
        for name in layer.inputs:
            if name in layer.env:
                kind = "run" if isinstance(layer, Run) else "script"
                yield (kind, "env", name), f"{name} is the variable of an input; take another name"


def _users(recipe: Recipe) -> Iterable[Finding]:
    numbers = {0: "root"}
    for name, user in recipe.system.users.items() if recipe.system != "none" else ():
        if user.uid is None:
            continue
        if name == "root" and user.uid != 0:
            yield ("system", "users", name, "uid"), f"root's number is 0, not {user.uid}; remove this line"
        elif numbers.setdefault(user.uid, name) != name:
            yield ("system", "users", name, "uid"), f"{user.uid} is {numbers[user.uid]}'s number; take another one"


def _services(recipe: Recipe) -> Iterable[Finding]:
    if recipe.system == "none":
        return
    services = recipe.system.services
    for word, units in (("disable", services.disable), ("mask", services.mask)):
        for unit in units:
            if unit in services.enable:
                yield ("system", "services", word), f"{unit} is also enabled; remove it from one of them"


def _entries(recipe: Recipe) -> Iterable[Finding]:
    boot = recipe.boot
    if not boot.entries:
        yield ("boot", "entries"), "there is nothing to boot; write at least one entry"
    elif boot.default not in boot.entries:
        yield ("boot", "default"), f"there is no entry {boot.default!r}; {suggest(boot.default, list(boot.entries))}"
    asked = recipe.test.entry
    if boot.entries and asked is not None and asked not in boot.entries:
        yield ("test", "entry"), f"there is no entry {asked!r}; {suggest(asked, list(boot.entries))}"


def _consoles(recipe: Recipe) -> Iterable[Finding]:
    consoles = recipe.boot.console
    for number, console in enumerate(consoles):
        if console in consoles[:number]:
            what = f"{console} stands here twice, and only the last of all is /dev/console"
            yield ("boot", "console", number), f"{what}; write the whole list anew"


def _machine(recipe: Recipe) -> Iterable[Finding]:
    return machine.findings(recipe.machine)


def _login(recipe: Recipe) -> Iterable[Finding]:
    login = recipe.test.login
    user = recipe.system.users.get(login.user) if login and recipe.system != "none" else None
    if login and user and not isinstance(user.password, Secret):
        path = ("test", "login", "user")
        if user.password == "locked":  # noqa: S105  # the state of having none
            yield path, f"{login.user}'s password is locked; write system.users.{login.user}.password"
        else:
            yield path, f"{login.user}'s password is empty; write the one to log in with in system.users"


_RULES: tuple[tuple[tuple[KeyPath, ...], Callable[[Recipe], Iterable[Finding]]], ...] = (
    ((("name",), ("system", "hostname")), _name),
    ((("source",),), _packages),
    ((("layers",),), _layers),
    ((("archive",), ("source",), ("layers",), ("boot",)), _archive),
    ((("system", "users"),), _users),
    ((("system", "services"),), _services),
    ((("boot", "entries"), ("boot", "default"), ("test", "entry")), _entries),
    ((("boot", "console"),), _consoles),
    ((("machine",),), _machine),
    ((("system", "users"), ("test", "login")), _login),
    *system.RULES,
    *disk.RULES,
    *boot.RULES,
    *kernel.RULES,
    *outputs.RULES,
    *media.RULES,
    *build.RULES,
    *others.RULES,
)
