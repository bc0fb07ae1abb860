"""The stages `convert/cidata`: volumes for cloud-init."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk import cidata
from bootsmith.tasks.disk.cidata import CidataParams
from bootsmith.tasks.planning.stages import extraction
from bootsmith.tasks.recipe.completion import identifiers
from bootsmith.tasks.recipe.model.outputs import Cidata

if TYPE_CHECKING:
    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.recipe import Recipe


def stages(recipe: Recipe, site: Site) -> Iterator[Stage]:
    """Yield a stage for each such output; several are numbered."""
    system = recipe.system
    said = None if system == "none" else system.cloud_init
    files = {key: getattr(said, key) for key in cidata.FILES if said and getattr(said, key)}
    for number, output in enumerate((each for each in recipe.outputs if isinstance(each, Cidata)), 1):
        yield Stage(
            "convert/cidata" if number == 1 else f"convert/cidata-{number}",
            "bootsmith.tasks.disk.cidata:run",
            {key: extraction.path(file, recipe, site) for key, file in files.items()},
            {"image": site.output(output.file)},
            CidataParams(
                epoch=site.epoch,
                format=output.format,
                hostname=recipe.name if system == "none" else system.hostname,
                uuid=identifiers.volume_date(recipe.seed, "cidata", str(number)),
                serial=identifiers.serial(recipe.seed, "cidata", str(number)),
            ).to_json(),
            cidata.TOOLS[output.format],
            stored=False,  # sooner made than restored
            doc=f"what cloud-init reads: {output.file}",
        )
