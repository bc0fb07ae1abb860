"""Where a build's files are: below its own folder, each in a place of its own."""

from __future__ import annotations

from pathlib import Path

from bootsmith.tasks.build.plan import Plan
from bootsmith.tasks.planning.site import Layer, Site

SITE = Site("x", Path("/b/x"), Path("/x.lock"), 7)


def test_a_plan_tells_its_site() -> None:
    """Who has a plan finds its files, and those of a plan that was moved in the other folder."""
    plan = Plan(*SITE, Path("/x.yaml"), "", (), ())
    assert Site.of(plan) == SITE
    assert Site.of(plan.moved(Path("/past"))).kernel == Path("/past/kernel/vmlinuz")


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
