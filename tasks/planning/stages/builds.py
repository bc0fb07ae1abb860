"""The stages `build/...`: files made by commands of the recipe's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.planning import spread
from bootsmith.tasks.recipe.model.files import BuiltFile
from bootsmith.tasks.recipe.values.files import taken
from bootsmith.tasks.tree import own_build
from bootsmith.tasks.tree.own_build import BuildParams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.build import Build
    from bootsmith.tasks.recipe.model.recipe import Recipe


def stages(recipe: Recipe, site: Site) -> Iterator[Stage]:
    """Yield a stage for each build that the recipe takes a file of."""
    wanted = {each.build for each in taken(recipe, BuiltFile)}
    for name, build in recipe.build.items():
        if name in wanted:
            yield _stage(name, build, site)


def _stage(name: str, build: Build, site: Site) -> Stage:
    words = ("/bin/sh", "-eu", "-c", build.run) if isinstance(build.run, str) else build.run
    paths, links = _read(build, site)
    return Stage(
        f"build/{name}",
        "bootsmith.tasks.tree.own_build:run",
        {f"{own_build.INPUT}{inside}": path for inside, path in paths.items()},
        {"file": site.built(name, build.output)},
        BuildParams(
            epoch=site.epoch,
            name=name,
            command=words,
            output=build.output,
            env=build.env,
            scratch=build.scratch,
            network=build.network,
            executable=tuple(inside for inside, path in paths.items() if _is_executable(path)),
            links=links,
        ).to_json(),
        (*own_build.TOOLS, *(each for each in build.tools if each not in own_build.TOOLS)),
        hints={own_build.SCRATCH: str(site.scratch(name))},
        doc=f"{build.output}, made by the build {name}",
    )


def _read(build: Build, site: Site) -> tuple[dict[str, Path], dict[str, str]]:
    """Return what a build reads by its place in the copy, and the targets of links: without the project's builds."""
    paths: dict[str, Path] = {}
    links: dict[str, str] = {}
    for inside, path in inputs(build):
        if not spread.holds(path, site.builds):
            paths[inside] = path
            continue
        above = "" if inside == "." else f"{inside}/"
        found = spread.spread(path, site.builds)
        paths |= {f"{above}{each}": there for each, there in found.paths.items()}
        links |= {f"{above}{each}": target for each, target in found.links.items()}
    return paths, links


def _is_executable(path: Path) -> bool:
    """Tell whether a file may be run, which its fingerprint does not tell."""
    return path.is_file() and bool(path.stat().st_mode & 0o111)


def inputs(build: Build) -> list[tuple[str, Path]]:
    """Return what a build reads, each with its place in the copy; what lies in another of them, that one brings."""
    found: dict[str, Path] = {}
    for path in build.inputs:
        for each in sorted(build.matched(path)) if build.is_pattern(path) else [path]:
            found.setdefault(build.place(each), each)
    if "." in found:
        return [(".", found["."])]
    inside = sorted(found)
    return [
        (each, found[each])
        for each in inside
        if not any(each.startswith(f"{above}/") and found[above].is_dir() for above in inside if above != each)
    ]
