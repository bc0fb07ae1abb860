"""A recipe's file to a frozen Recipe, or all its mistakes at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bootsmith.cache.display import shown
from bootsmith.tasks.recipe import other_recipes
from bootsmith.tasks.recipe.checks.all import check
from bootsmith.tasks.recipe.completion.all import complete
from bootsmith.tasks.recipe.inheritance import overrides
from bootsmith.tasks.recipe.inheritance.merge import lay
from bootsmith.tasks.recipe.inheritance.parents import Document, gather
from bootsmith.tasks.recipe.inheritance.variables import Variables, declare, predefined
from bootsmith.tasks.recipe.keys.all import BOOT, DISK, LOADER, RECIPE
from bootsmith.tasks.recipe.loaders import layouts, own
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.text.nodes import COMMAND_LINE, Items, Place, Raw, Table, Text, locate, node
from bootsmith.tasks.recipe.text.problems import Problems, suggest
from bootsmith.tasks.recipe.values.scalars import FAILED

NOTHING: Mapping[str, str] = MappingProxyType({})
TAKEN = ("recipe", "profile", "extends", "vars", "profiles", *RECIPE.keys)
"""Words of the command line that no variable can be called."""


def load(
    path: Path, *, overrides: Mapping[str, str] = NOTHING, profile: str | None = None, search: Path | None = None
) -> Recipe:
    """Return the recipe at `path`, with one of its profiles and the command line's NAME=VALUE words laid over it.

    `search` is where the names of parents are looked up besides the recipe's own folder. Nothing is written, and no
    secret is read. Raises RecipeError with every mistake found.
    """
    recipe, problems = examine(path, overrides=overrides, profile=profile, search=search)
    problems.raise_if_any()
    assert recipe is not None, "no recipe, and no reason"
    return recipe


def examine(
    path: Path,
    *,
    overrides: Mapping[str, str] = NOTHING,
    profile: str | None = None,
    search: Path | None = None,
    takers: tuple[Path, ...] = (),
) -> tuple[Recipe | None, Problems]:
    """Return the recipe as far as it can be read, and its mistakes; None where there is nothing to read.

    `takers` are the recipes for which this one is read, each of which takes of the next.
    """
    problems = Problems()
    path = Path.cwd() / path
    documents = gather(path, search, problems)
    if not documents:
        return None, problems
    profiles = _profiles(documents)
    if profile is not None and profile not in profiles:
        place = Place(COMMAND_LINE, 0, 0, Path.cwd())
        problems.add(place, ("profile",), f"no profile {profile!r} in {path.name}; {suggest(profile, profiles)}")
    recipe = _settled(path, documents, profile, overrides, problems, search, takers)
    for other in profiles:
        if other != profile:
            _try_profile(documents, other, problems)
    return recipe, problems


def imagine(raw: Mapping[str, Raw], path: Path) -> Recipe:
    """Return the recipe that says `raw`, though no file does; `path` is what it is about. Raises RecipeError."""
    problems = Problems()
    body = _table(node(raw, Place(COMMAND_LINE, 0, 0, Path.cwd())))
    recipe = _settled(path, [Document(path, body, Table({}, body.place), {})], None, NOTHING, problems)
    problems.raise_if_any()
    return recipe


def _settled(  # noqa: PLR0917  as they are found
    path: Path,
    documents: Sequence[Document],
    profile: str | None,
    words: Mapping[str, str],
    problems: Problems,
    search: Path | None = None,
    takers: tuple[Path, ...] = (),
) -> Recipe:
    """Return the recipe that documents describe, its mistakes noted."""
    tree = _compose(documents, profile, words, problems)
    values = RECIPE.read(tree, (), problems)
    loader_files = [Path(name) for name in values["boot"]["loader"] if own.is_own(name)]
    files = tuple(dict.fromkeys([path, *(document.path for document in documents), *loader_files]))
    recipe = complete(values, path, files, profile, problems.notes)
    recipe = _with_others(recipe, tree, search, takers, problems)
    check(recipe, lambda key: locate(tree, key), problems)
    return recipe


def _with_others(
    recipe: Recipe, tree: Table, search: Path | None, takers: tuple[Path, ...], problems: Problems
) -> Recipe:
    """Return a recipe with those whose trees or outputs it takes, each read as it is by itself."""
    line = (*takers, recipe.file)
    others: dict[Path, Recipe] = {}
    read: set[Path] = set()
    for key, file in other_recipes.named(recipe):
        if file in read or not problems.trusted(key):
            continue
        read.add(file)
        identities = [each.resolve() for each in line]
        if file.resolve() in identities:
            circle = [*line[identities.index(file.resolve()) :], file]
            what = f"recipes in a circle: {' takes of '.join(map(shown, circle))}; take one of these out"
            problems.add(locate(tree, key), key, what)
            continue
        other, theirs = examine(file, search=search, takers=line)
        if len(theirs):
            problems.adopt(theirs)
            what = f"{shown(file)} lacks {', '.join(theirs.missing)}" if theirs.only_missing else "it has mistakes"
            problems.add(locate(tree, key), key, f"{what}; mend {shown(file)} first")
        elif other is not None:
            others[file] = other
    files = dict.fromkeys([*recipe.files, *(file for other in others.values() for file in other.files)])
    return dataclasses.replace(recipe, others=others, files=tuple(files)) if others else recipe


def _profiles(documents: Iterable[Document]) -> list[str]:
    found: dict[str, bool] = {}
    for document in documents:
        found |= {name: partial is not None for name, partial in document.profiles.items()}
    return [name for name, kept in found.items() if kept]


def _try_profile(documents: Sequence[Document], profile: str, problems: Problems) -> None:
    """Note what is wrong with a profile that was not asked for: each of its keys, not the recipe it would make."""
    unreported = Problems()
    RECIPE.read(_compose(documents, profile, NOTHING, unreported), (), unreported)
    problems.adopt(unreported)


def _compose(documents: Sequence[Document], profile: str | None, words: Mapping[str, str], problems: Problems) -> Table:
    """Return everything that is said about a recipe as one mapping: parents, itself, profile, command line."""
    path, start = documents[-1].path, documents[-1].body.place
    partials = [partial for each in documents if profile and (partial := each.profiles.get(profile))]
    tree = Table({}, start)
    for body in (*(each.body for each in documents), *(_without_vars(partial) for partial in partials)):
        tree = _table(lay(RECIPE, tree, body, (), problems))
    theirs = [found for each in partials if isinstance(found := each.get("vars"), Table)]
    declared = declare([*(each.vars for each in documents), *theirs], TAKEN, problems)
    shell = Path.cwd()
    given = overrides.given(words, [*declared], shell)
    tree = _with_layout(tree, Variables(declared, given, predefined(tree, path.stem), Problems()), words)
    edits = overrides.edits(words, [*declared], tree, shell, problems)
    tree = _table(lay(RECIPE, tree, edits, (), problems))
    variables = Variables(declared, given, predefined(tree, path.stem), problems)
    variables.settle()
    tree = _table(variables.expand(tree))
    if overrides.OUTPUT not in words:
        return tree
    file = variables.expand(overrides.literal(words[overrides.OUTPUT], shell))
    return overrides.with_output(tree, file, problems)


def _without_vars(partial: Table) -> Table:
    return Table({key: each for key, each in partial.entries.items() if key != "vars"}, partial.place)


def _with_layout(tree: Table, variables: Variables, words: Mapping[str, str]) -> Table:
    """Return the recipe with the loader's usual partitions below it, so that they too can be changed by name."""
    if tree.get("disk", "partitions") is not None or "disk.partitions" in words:
        return tree
    unreported = Problems()
    read = [LOADER.read(each, (), unreported) for each in _said(tree, variables, words, "boot", "loader")]
    names = [name for name in read if name is not FAILED] or [*BOOT.keys["loader"].value]
    table = next((each.text for each in _said(tree, variables, words, "disk", "table")), layouts.usual_table(names))
    initrd = next((each.text for each in _said(tree, variables, words, "boot", "initrd")), "auto")
    usual = layouts.usual_layout(names, table, initrd)
    below = node({"disk": {"partitions": usual}}, locate(tree, ("boot", "loader")))
    return _table(lay(RECIPE, below, tree, (), Problems()))


def _said(tree: Table, variables: Variables, words: Mapping[str, str], section: str, key: str) -> Iterator[Text]:
    """Yield the words that the recipe, or before it the command line, says for a key: one, a list's, or none."""
    asked = tree.get(section, key)
    word = words.get(f"{section}.{key}")
    if word is not None:
        kind = BOOT.keys[key].type if section == "boot" else DISK.keys[key].type
        asked = overrides.said(kind, word, Path.cwd(), (), Problems())
    found = variables.expand(asked) if asked is not None else None
    for each in found.items if isinstance(found, Items) else (found,):
        if isinstance(each, Text) and not each.null:
            yield each


def _table(tree: Any) -> Table:
    assert isinstance(tree, Table), "a recipe is a mapping"
    return tree
