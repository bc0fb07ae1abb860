"""Where the files are that a recipe takes; the stages `files/...`: one for each file out of a package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.packages import request, web_file
from bootsmith.tasks.packages.package_files import ExtractionParams
from bootsmith.tasks.packages.web_file import WebFileParams
from bootsmith.tasks.recipe import other_recipes
from bootsmith.tasks.recipe.model.files import BuiltFile, PackageFile, RecipeOutput, WebFile
from bootsmith.tasks.recipe.values.files import packaged, taken

if TYPE_CHECKING:
    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.files import File
    from bootsmith.tasks.recipe.model.recipe import Recipe


def stages(recipe: Recipe, site: Site) -> list[Stage]:
    """Return a stage for each file that a recipe takes out of a package, in the order they stand in it."""
    return [
        Stage(
            f"files/{_slug(file, recipe)}",
            "bootsmith.tasks.packages.package_files:run",
            {"lock": site.lock},
            {"file": path(file, recipe, site)},
            ExtractionParams(file.key, file.path).to_json(),
            ("dpkg-deb",),
            listings={"lock": "bootsmith.tasks.packages.lockfile:versions"},
            hints=request.hints(recipe),
            fetcher=request.FETCHER,
            doc=f"{file.path} of the package {file.package}",
        )
        for file in _all(recipe)
    ] + [
        Stage(
            f"files/{_web_slug(file)}",
            "bootsmith.tasks.packages.web_file:run",
            {},
            {"file": path(file, recipe, site)},
            WebFileParams(file.sha256).to_json(),
            hints={web_file.URL: file.url},
            fetcher=web_file.FETCHER,
            stored=False,  # the store has it as it was fetched
            doc=f"{file.name}, from the web",
        )
        for file in {_web_slug(each): each for each in taken(recipe, WebFile)}.values()
    ]


def path(file: File, recipe: Recipe, site: Site) -> Path:
    """Return where a file that the recipe takes is: where it says, or where its stage puts it."""
    if isinstance(file, RecipeOutput):
        return site.others[file.recipe].output(other_recipes.output(recipe.others[file.recipe], file.output).file)
    if isinstance(file, WebFile):
        return site.build / "files" / _web_slug(file)
    if isinstance(file, BuiltFile):
        return site.built(file.build, recipe.build[file.build].output)
    return site.build / "files" / _slug(file, recipe) if isinstance(file, PackageFile) else file


def _all(recipe: Recipe) -> list[PackageFile]:
    return list(dict.fromkeys(packaged(recipe)))


def _web_slug(file: WebFile) -> str:
    """Return a file's name below `files/`: by its content too, for many are called alike."""
    return f"{file.name[-100:]}_{file.sha256[:12]}"


def _slug(file: PackageFile, recipe: Recipe) -> str:
    """Return a file's name below `files/`: its package's, numbered where several come out of one."""
    alike = [each for each in _all(recipe) if each.package == file.package]
    number = alike.index(file) + 1
    return file.package if number == 1 else f"{file.package}_{number}"  # a sign that no package's name holds
