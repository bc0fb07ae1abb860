"""The stage `bootloader`: the loaders' files and entries, as a layer whose top folders are partitions, and boot code.

Kernel and initrd are not in it, but for unified kernel images: the filesystems take them as they are, so that another
kernel command line costs no more than a few text files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bootsmith.tasks.boot import enrolment, own, registry, signing
from bootsmith.tasks.boot.menu import NO_KERNEL, Menu
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import sources
from bootsmith.tasks.disk.kernel_paths import Placement


@dataclass(frozen=True)
class LoaderParams(Params):
    """The disk as its loaders see it, see `Making`; a user's own loader is called by its role among the inputs.

    `host` says whether the host's files stand in for loader packages, `signed` whether EFI programs are, and `enroll`
    whether the firmware is offered the certificate.
    """

    epoch: int
    loaders: tuple[str, ...]
    menu: Menu
    esp: str
    active: str
    table: str
    room: tuple[str, int] | None
    mounts: Mapping[str, str]
    kernels: Placement
    kernels_uuid: str
    host: bool
    removable: str
    grub_modules: tuple[str, ...]
    signed: bool
    enroll: bool


def run(ctx: Context) -> None:
    """Write the loaders' layer, and the boot code of the one that has some."""
    from bootsmith.tasks.boot.loader import Making
    from bootsmith.tasks.tree.layer import LayerWriter

    params = LoaderParams.of(ctx)
    known = sources.read_facts(ctx)
    where = params.kernels.named(known)
    menu = params.menu.with_root_hash(sources.read_root_hash(ctx))
    shown = menu.completed(known, where.kernels, where.initrds)
    facts = known.get(shown.default_item.kernel_of, NO_KERNEL)
    signer = signing.Signer(ctx) if params.signed else None
    keys: dict[str, bytes] = {}
    if signer and params.enroll:
        offered = enrolment.variables(signer.certificate.whole)
        keys = {each.name: enrolment.signed(each, params.epoch, signer.detached) for each in offered}
    with LayerWriter(ctx.outputs["tar"], ctx.outputs["index"], params.epoch) as layer:
        making = Making(
            ctx=ctx, layer=layer, menu=shown, version=facts["version"], table=params.table, mounts=params.mounts,
            esp=params.esp, active=params.active, kernels=where.partition, kernels_uuid=params.kernels_uuid,
            loaders=params.loaders, facts=facts, removable=params.removable, room=params.room, from_host=params.host,
            grub_modules=params.grub_modules, signer=signer, keys=keys,
        )  # fmt: skip
        for name in params.loaders:
            if name in registry.LOADERS:
                registry.load(name).make(making)
            else:
                own.make(ctx.inputs[name], making)
