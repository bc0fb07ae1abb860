"""A recipe as the reader of recipes would give it, for tests of what comes after."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from bootsmith.tasks.recipe import model
from bootsmith.tasks.recipe.model import Recipe

DEBIAN = model.Debian(
    suite="trixie",
    variant="minbase",
    components=("main",),
    packages=(),
    exclude=(),
    recommends=False,
    docs=False,
    security=True,
    mirror=None,
    keyring=None,
    repositories=(),
)
SYSTEM = model.System(
    hostname="specimen",
    hosts={},
    users={},
    services=model.Services((), (), ()),
    network="auto",
    machine_id="empty",
    ssh_host_keys="first-boot",
    fstab="uuid",
)
USER = model.User(password="locked", ssh_keys=(), uid=None, groups=(), shell=None, home=None)


def partition(name: str, fs: str, mount: str | None, **changes: object) -> model.Partition:
    """Return a partition with UUIDs made of its name."""
    mark = f"{sum(name.encode()):08x}"
    plain = model.Partition(
        name=name,
        fs=fs,  # type: ignore[arg-type]
        mount=mount,
        size="auto",
        extra=0,
        start=None,
        type="esp" if fs == "vfat" else "root",
        label=name,
        gpt_name=name,
        uuid=f"{mark[:4]}-{mark[4:]}".upper() if fs == "vfat" else f"{mark}-0000-4000-8000-000000000000",
        partuuid=f"{mark}-1111-4000-8000-000000000000",
        attributes=(),
        options="defaults",
        fsck_pass=1 if mount == "/" else 0 if fs == "vfat" else 2,
        mkfs=(),
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def recipe(
    file: Path = Path("/recipes/specimen.yaml"),
    *,
    source: Mapping[str, object] = {},
    layers: tuple[model.LayerSpec, ...] = (),
    system: Mapping[str, object] = {},
    partitions: tuple[model.Partition, ...] = (partition("esp", "vfat", "/boot/efi"), partition("root", "ext4", "/")),
    boot: Mapping[str, object] = {},
) -> Recipe:
    """Return a recipe with every default but what is given."""
    return Recipe(
        file=file,
        files=(file,),
        profile=None,
        name=file.stem,
        description="",
        version="0",
        arch="amd64",
        seed=file.stem,
        epoch=None,
        source=dataclasses.replace(DEBIAN, **source),  # type: ignore[arg-type]
        layers=layers,
        system=dataclasses.replace(SYSTEM, **system),  # type: ignore[arg-type]
        disk=model.Disk("gpt", "auto", 512, "0" * 8, {each.name: each for each in partitions}),
        boot=dataclasses.replace(
            model.Boot(
                loader="systemd-boot",
                root="partuuid",
                cmdline="",
                console=("tty0", "ttyS0"),
                entries={"default": model.BootEntry("default", None, "")},
                default="default",
                timeout=0,
                place="esp",
                packages=True,
            ),
            **boot,  # type: ignore[arg-type]
        ),
        outputs=(model.Raw(f"{file.stem}.raw"),),
        machine=model.Machine(
            firmware="auto",
            type="q35",
            cpu="best",
            cpus=2,
            memory=1 << 30,
            accel="auto",
            display="none",
            gpu="none",
            serial="stdio",
            drive="virtio",
            cache="writeback",
            nic="virtio",
            forward=(),
            monitor=False,
            gdb=False,
            qemu=(),
            keep=False,
            login="auto",
        ),
        test=model.Test(("auto",), ("login:",), (), 300, 90, None, (), True),
    )
