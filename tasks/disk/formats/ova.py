"""OVA: an OVF in one tar, the description first, then the manifest, as the specification wants them, then the disk."""

from __future__ import annotations

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.formats import archive, ovf
from bootsmith.tasks.disk.formats.appliance import ApplianceParams


def run(ctx: Context) -> None:
    """Make a stage's archive."""
    params = ApplianceParams.of(ctx)
    files = [ctx.work / f"{params.name}{ending}" for ending in (".ovf", "-disk1.vmdk", ".mf")]
    ovf.make(ctx, params, *files)
    description, disk, manifest = files
    members = [(each.name, each) for each in (description, manifest, disk)]
    archive.write(members, ctx.outputs["image"], params.image.epoch)
