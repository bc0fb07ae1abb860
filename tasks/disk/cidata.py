"""The output `cidata`: a volume by which cloud-init's NoCloud is told what a machine is to be.

It is known by its label. There is always a meta-data, without which cloud-init takes no notice; its instance-id follows
from what is told: other contents are another instance, for which everything is done anew.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import content, fat, iso9660
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import cloud_config

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES: Final = {"user_data": "user-data", "meta_data": "meta-data", "network_config": "network-config"}
"""What a recipe calls each, and what it is called there."""
TOOLS: Final = {"iso": iso9660.TOOLS, "vfat": ("mkfs.vfat", "mcopy", "mmd")}
_LABEL: Final = "cidata"
_SIZE: Final = 4 << 20


@dataclass(frozen=True)
class CidataParams(Params):
    """Which filesystem, and by what the volume is known beside its label; the name that the machine is to have."""

    epoch: int
    format: str
    hostname: str
    uuid: str
    serial: str


def run(ctx: Context) -> None:
    """Judge the files, complete them, and write the volume. Raises StageError."""
    params = CidataParams.of(ctx)
    given = {}
    for key, file in ctx.inputs.items():
        with file.open("rb") as opened:
            given[key] = opened.read(cloud_config.LARGEST + 1)
        why = cloud_config.refusal(key, given[key])
        if why:
            raise StageError(f"system.cloud_init.{key}: {file} {why}")
    files = {}
    for key, data in complete(given, params.hostname).items():
        files[FILES[key]] = ctx.work / FILES[key]
        files[FILES[key]].write_bytes(data)
    if params.format == "iso":
        iso9660.write(ctx, ctx.outputs["image"], files, label=_LABEL, uuid=params.uuid, epoch=params.epoch)
    else:
        _write_fat(ctx, params, files)


def complete(given: Mapping[str, bytes], hostname: str) -> dict[str, bytes]:
    """Return all files of the volume: user-data empty where none is given, the instance named where nobody does.

    Raises StageError where the instance cannot be named.
    """
    digest = hashlib.sha256()
    for key in (*FILES, "hostname"):
        data = hostname.encode() if key == "hostname" else given.get(key, b"")
        digest.update(len(data).to_bytes(8, "big") + data)
    instance = f"instance-id: iid-{digest.hexdigest()[:32]}\n"
    meta = given.get("meta_data", f"local-hostname: {hostname}\n".encode()).decode()
    if not cloud_config.has_instance_id(meta):
        if meta.lstrip().startswith("{"):
            raise StageError(
                "system.cloud_init.meta_data names no instance",
                'Add "instance-id" to it; to lines of YAML bootsmith adds one.',
            )
        meta = instance + meta.removeprefix("---\n")
    return {"user_data": b"#cloud-config\n", **given, "meta_data": meta.encode()}


def _write_fat(ctx: Context, params: CidataParams, files: Mapping[str, Path]) -> None:
    from bootsmith.tasks.tree.layer import LayerWriter, read_index

    tar, index = ctx.work / "cidata.tar", ctx.work / "cidata.index"
    with LayerWriter(tar, index, params.epoch) as writer:
        for name, file in files.items():
            writer.add_file(name, file)
    tree: content.Tree = {entry.path: (0, entry) for entry in read_index(index)}
    content.make_directories(tree, [""], params.epoch)
    size = sum(file.stat().st_size for file in files.values())
    image = ctx.outputs["image"]
    fat.make_small(ctx, image, max(_SIZE, 2 * size), serial=params.serial, label=_LABEL.upper())
    fat.fill(ctx, image, _LABEL, tree, [tar])
