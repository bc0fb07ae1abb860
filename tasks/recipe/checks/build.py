"""What builds must be: what they read stands where they run, and what takes their files names one that is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from bootsmith.cache.display import shown
from bootsmith.tasks.recipe.model.files import BuiltFile
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.text.problems import Finding, KeyPath, suggest
from bootsmith.tasks.recipe.values.files import located

_SECTIONS = ("layers", "system", "boot", "outputs", "disk")


def _inputs(recipe: Recipe) -> Iterable[Finding]:
    for name, build in recipe.build.items():
        top = os.path.normpath(str(build.dir))
        for number, path in enumerate(build.inputs):
            inside = build.place(path)
            where: KeyPath = ("build", name, "inputs", number)
            if inside == ".." or inside.startswith("../"):
                there, here = shown(Path(os.path.normpath(path))), shown(Path(top))
                what = f"{there} is not in {here}, where the command runs"
                yield where, f"{what}; let build.{name}.dir name a folder that holds both"
            elif build.is_pattern(path):
                if next(build.matched(path), None) is None:
                    yield where, f"{shown(inside)} matches nothing in {shown(Path(top))}; mend it, or leave it out"
            elif not path.exists():
                yield where, f"{shown(path)} does not exist; create it, or leave it out"
        for folder in build.scratch:
            if build.output == folder or build.output.startswith(f"{folder}/"):
                what = f"{build.output} lies in {folder}, which is kept: an old one could be taken for a new one"
                yield ("build", name, "output"), f"{what}; let the command copy it out of there"


def _names(recipe: Recipe) -> Iterable[Finding]:
    of_boot = {
        file for _, file in located((recipe.boot.kernel, recipe.boot.initrd, recipe.boot.modules), BuiltFile, ())
    }
    for section in _SECTIONS:
        for path, file in located(getattr(recipe, section), BuiltFile, (section,)):
            if path[:2] == ("boot", "entries") and file in of_boot:
                continue  # an entry has it of `boot` itself
            if file.build not in recipe.build:
                known = list(recipe.build)
                todo = suggest(file.build, known) if known else "write it below build:"
                yield path, f"there is no build {file.build!r}; {todo}"


RULES: tuple[tuple[tuple[KeyPath, ...], Callable[[Recipe], Iterable[Finding]]], ...] = (
    ((("build",),), _inputs),
    ((("build",), *((section,) for section in _SECTIONS)), _names),
)
