"""The stage `bootloader`: the loaders' files and entries, as a layer whose top folders are partitions, and boot code.

Kernel and initrd are not in it, but for unified kernel images: the filesystems take them as they are, so that another
kernel command line costs no more than a few text files.
"""

from __future__ import annotations

from typing import Any, cast

from bootsmith.tasks.boot import enrolment, menu, own, registry, signing
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import kernel_paths, sources


def run(ctx: Context) -> None:
    """Write the loaders' layer, and the boot code of the one that has some."""
    from bootsmith.tasks.boot.loader import Making
    from bootsmith.tasks.tree.layer import LayerWriter

    params = cast("dict[str, Any]", ctx.params)
    known = sources.read_facts(ctx)
    where = kernel_paths.Placement(**params["kernels"]).named(known)
    shown = menu.from_param(params["menu"]).completed(known, where.kernels, where.initrds)
    facts = known.get(shown.default_item.kernel_of, menu.NO_KERNEL)
    signer = signing.Signer(ctx) if params["signed"] else None
    keys: dict[str, bytes] = {}
    if signer and params["enroll"]:
        offered = enrolment.variables(signer.certificate.whole)
        keys = {each.name: enrolment.signed(each, params["epoch"], signer.detached) for each in offered}
    with LayerWriter(ctx.outputs["tar"], ctx.outputs["index"], params["epoch"]) as layer:
        making = Making(
            ctx=ctx, layer=layer, menu=shown, version=facts["version"], table=params["table"], mounts=params["mounts"],
            esp=params["esp"], active=params["active"], kernels=where.partition, kernels_uuid=params["kernels_uuid"],
            loaders=tuple(params["loaders"]), facts=facts, removable=params["removable"], signer=signer, keys=keys,
        )  # fmt: skip
        for name in params["loaders"]:
            if name in registry.LOADERS:
                registry.load(name).make(making)
            else:
                own.make(ctx.inputs[name], making)
