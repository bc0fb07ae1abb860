"""Where a build's files are: below its own folder, each in a place of its own."""

from __future__ import annotations

import inspect
from pathlib import Path

from bootsmith.tasks.build.plan import Plan
from bootsmith.tasks.planning.site import Layer, Site
from bootsmith.tasks.recipe.checks.outputs import STAGES

SITE = Site("x", Path("/b/x"), Path("/x.lock"), 7)


def test_a_plan_tells_its_site() -> None:
    """Who has a plan finds its files, and those of a plan that was moved in the other folder."""
    plan = Plan(*SITE[:4], Path("/x.yaml"), "", (), ())
    assert Site.of(plan) == SITE
    assert Site.of(plan.moved(Path("/past"))).kernel == Path("/past/kernel/vmlinuz")


def test_no_output_takes_the_name_of_a_folder() -> None:
    """Whatever is kept in a build's folder, no output may be called so."""
    first, kept = set(), (SITE.build, SITE.lock)
    for name, what in vars(Site).items():
        if name.startswith("_") or name in ("output", "of", "builds"):
            continue
        if isinstance(what, property):
            found = getattr(SITE, name)
        elif inspect.isfunction(what):
            found = what(SITE, *["x"] * (len(inspect.signature(what).parameters) - 1))
        else:
            continue
        paths = (
            found.values()
            if isinstance(found, dict)
            else (found.tar, found.index)
            if isinstance(found, Layer)
            else (found,)
        )
        first |= {path.relative_to(SITE.build).parts[0] for path in paths if path not in kept}
    assert len(first) > 10
    assert first <= {*STAGES}


def test_no_two_files_meet() -> None:
    """Every file of a build has a path of its own, whatever names a recipe's parts have, and lies in its folder."""
    names = ("base", "modules", "root", "esp", "content")
    parts: list[Path | Layer] = [SITE.base, SITE.loader, SITE.view, SITE.table, SITE.layout, *SITE.boot_code.values()]
    for name in names:
        parts += [SITE.layer(name), SITE.content(name), SITE.geometry(name)]
        parts += [SITE.base_image(name), SITE.partition_image(name)]
    for entry in ("", *names):
        parts += [SITE.kernel_for(entry), SITE.kernel_facts_for(entry), SITE.initrd_for(entry)]
    found = [path for each in parts for path in ([each.tar, each.index] if isinstance(each, Layer) else [each])]
    assert len({*found}) == len(found)
    assert all(path.is_relative_to(SITE.build) for path in found)
