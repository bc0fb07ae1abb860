"""The parameters of each stage: declared once, beside what reads them, and all that a plan has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bootsmith.tasks.boot.ldlinux import LdlinuxParams
from bootsmith.tasks.boot.loader_layer import LoaderParams
from bootsmith.tasks.boot.module_layer import ModulesParams
from bootsmith.tasks.boot.optical import OpticalParams
from bootsmith.tasks.boot.own_kernel import KernelParams
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk.btrfs.volume import BtrfsParams
from bootsmith.tasks.disk.cidata import CidataParams
from bootsmith.tasks.disk.filesystems import FilesystemParams
from bootsmith.tasks.disk.formats.appliance import ApplianceParams
from bootsmith.tasks.disk.formats.aws import AwsParams
from bootsmith.tasks.disk.formats.image import ImageParams
from bootsmith.tasks.disk.formats.packed import PackedParams
from bootsmith.tasks.disk.growth import GrowthParams
from bootsmith.tasks.disk.luks.volume import LuksParams
from bootsmith.tasks.disk.packed_filesystem import PackedErofsParams, PackedFilesystemParams
from bootsmith.tasks.disk.partition_table import TableParams
from bootsmith.tasks.disk.qemu_img import Qcow2Params
from bootsmith.tasks.disk.raw_image import DiskParams
from bootsmith.tasks.disk.squashfs import SquashfsParams
from bootsmith.tasks.disk.swap import SwapParams
from bootsmith.tasks.disk.tree_disk import DirectoryDiskParams, TarDiskParams
from bootsmith.tasks.disk.tree_filesystem import TreeErofsParams, TreeExtParams, TreeSquashfsParams
from bootsmith.tasks.disk.verity.tree import HashTreeParams
from bootsmith.tasks.inspection.disk_tree import DiskTreeParams
from bootsmith.tasks.inspection.expectation import Expected
from bootsmith.tasks.inspection.readback import CheckParams
from bootsmith.tasks.packages.arch.bootstrap import ArchParams
from bootsmith.tasks.packages.bootstrap import DebianParams
from bootsmith.tasks.packages.fedora.bootstrap import FedoraParams
from bootsmith.tasks.packages.package_files import ExtractionParams
from bootsmith.tasks.packages.package_layer import PackagesParams
from bootsmith.tasks.packages.sbom import SbomParams
from bootsmith.tasks.packages.tree_lock import TreeLockParams
from bootsmith.tasks.packages.web_file import WebFileParams
from bootsmith.tasks.planning import make
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import unpartitioned
from bootsmith.tasks.tree import additions
from bootsmith.tasks.tree.archive import TarParams
from bootsmith.tasks.tree.build_context import BuildContextParams
from bootsmith.tasks.tree.commands import CommandParams
from bootsmith.tasks.tree.container_build import ContainerBuildParams
from bootsmith.tasks.tree.container_image import ContainerImageParams
from bootsmith.tasks.tree.container_layer import ContainerParams
from bootsmith.tasks.tree.directory import DirectoryParams, EmptyParams
from bootsmith.tasks.tree.finished_tree import TreeParams
from bootsmith.tasks.tree.initramfs import InitramfsParams, ViewParams
from bootsmith.tasks.tree.initrd_sources import CompressionParams
from bootsmith.tasks.tree.installed_kernel import InstalledParams
from bootsmith.tasks.tree.manifest import ManifestParams
from bootsmith.tasks.tree.oci_archive import OciParams
from bootsmith.tasks.tree.overlay_layer import OverlayParams
from bootsmith.tasks.tree.own_build import BuildParams
from bootsmith.tasks.tree.root_initramfs import RootParams
from bootsmith.tasks.tree.system_layer import SystemParams
from bootsmith.tasks.tree.tree_archive import TreeArchiveParams

from tests.planning.stages.test_code import runs
from tests.support.checkout import CHECKOUT
from tests.support.recipe_folder import LARGE, SOURCE, RecipeFolder

PARAMS: dict[str, type[Params]] = {
    "boot.ldlinux:run": LdlinuxParams,
    "boot.loader_layer:run": LoaderParams,
    "boot.module_layer:run": ModulesParams,
    "boot.optical:run": OpticalParams,
    "boot.own_kernel:run": KernelParams,
    "disk.btrfs.volume:run": BtrfsParams,
    "disk.cidata:run": CidataParams,
    "disk.filesystems:run_ext": FilesystemParams,
    "disk.filesystems:run_fat": FilesystemParams,
    "disk.filesystems:run_root": FilesystemParams,
    "disk.formats.aws:run": AwsParams,
    "disk.formats.box:run": ApplianceParams,
    "disk.formats.gcp:run": ImageParams,
    "disk.formats.ova:run": ApplianceParams,
    "disk.formats.ovf:run": ApplianceParams,
    "disk.formats.packed:run": PackedParams,
    "disk.formats.vdi:run": ImageParams,
    "disk.formats.vhd:run": ImageParams,
    "disk.formats.vhdx:run": ImageParams,
    "disk.formats.vmdk:run": ImageParams,
    "disk.growth:run": GrowthParams,
    "disk.luks.volume:run": LuksParams,
    "disk.packed_filesystem:run_erofs": PackedErofsParams,
    "disk.packed_filesystem:run_squashfs": PackedFilesystemParams,
    "disk.partition_table:run": TableParams,
    "disk.qemu_img:run_qcow2": Qcow2Params,
    "disk.raw_image:run": DiskParams,
    "disk.squashfs:run": SquashfsParams,
    "disk.swap:run": SwapParams,
    "disk.verity.tree:run": HashTreeParams,
    "disk.tree_disk:pack_directory": DirectoryDiskParams,
    "disk.tree_disk:unpack_tar": TarDiskParams,
    "inspection.disk_tree:take": DiskTreeParams,
    "disk.tree_filesystem:run_erofs": TreeErofsParams,
    "disk.tree_filesystem:run_ext": TreeExtParams,
    "disk.tree_filesystem:run_squashfs": TreeSquashfsParams,
    "inspection.readback:check": CheckParams,
    "inspection.readback:run": Expected,
    "packages.arch.bootstrap:run": ArchParams,
    "packages.bootstrap:run": DebianParams,
    "packages.fedora.bootstrap:run": FedoraParams,
    "packages.package_files:run": ExtractionParams,
    "packages.package_layer:run": PackagesParams,
    "packages.sbom:run": SbomParams,
    "packages.tree_lock:run": TreeLockParams,
    "packages.web_file:run": WebFileParams,
    "tree.additions:add_devices": additions.DevicesParams,
    "tree.additions:add_files": additions.FilesParams,
    "tree.additions:add_links": additions.LinksParams,
    "tree.additions:make_directories": additions.DirectoriesParams,
    "tree.additions:remove": additions.RemovalParams,
    "tree.archive:take": TarParams,
    "tree.build_context:run": BuildContextParams,
    "tree.commands:run": CommandParams,
    "tree.container_build:run": ContainerBuildParams,
    "tree.container_image:take": ContainerImageParams,
    "tree.container_layer:run": ContainerParams,
    "tree.directory:make_empty": EmptyParams,
    "tree.directory:pack": DirectoryParams,
    "tree.initramfs:run": InitramfsParams,
    "tree.initramfs:view": ViewParams,
    "tree.initrd_sources:compress": CompressionParams,
    "tree.installed_kernel:run": InstalledParams,
    "tree.live_initramfs:run": InitramfsParams,
    "tree.root_initramfs:run": RootParams,
    "tree.manifest:run": ManifestParams,
    "tree.oci_archive:run": OciParams,
    "tree.overlay_layer:run": OverlayParams,
    "tree.own_build:run": BuildParams,
    "tree.system_layer:run": SystemParams,
    "tree.recipe_tree:take": TreeParams,
    "tree.tree_archive:run": TreeArchiveParams,
    "tree.tree_directory:run": TreeParams,
}
"""What a stage runs, in `tasks`, and what its parameters are; what is not here has none."""
_INITRDS = {f"tree.initrd_sources:{each}" for each in ("find", "pack", "take")}
NONE = {
    "packages.lock_parts:run",
    "inspection.readback:check_tree",
    "packages.tree_records:run",
    "tree.exported_file:run",
    "disk.squashfs_tree:take",
    "tree.erofs_image:take",
    *_INITRDS,
}

OWN = """
source: {directory: {path: tree, owner: keep}}
layers:
  - {devices: {/dev/console: c 5 1}}
system: none
disk: {table: TABLE, size: 4G}
boot: {loader: LOADER, kernel: {package: pk, path: /boot/k}, initrd: {package: pk, path: /boot/i}, packages: false}
outputs: [raw, qcow2: {file: b.qcow2, backing: base.qcow2, compress: none}, qcow2: {snapshot: first},
  vhd: {size: 4G}, vhdx, vdi,
  vmdk, azure, gcp, aws, ova, ovf, box, raw: {compress: gzip}]
"""
OF_IMAGE = "source: {KIND: k}\nsystem: none\nboot: {loader: direct, kernel: k, initrd: tree}\noutputs: [kernel]\n"
RECIPES = {
    "large": LARGE,
    "cds": SOURCE + "outputs: [iso, iso: {file: b.iso, loader: isolinux}, cidata]\n",
    "gpt": OWN.replace("LOADER", "[efistub, systemd-boot]").replace("TABLE", "gpt"),
    "mbr": OWN.replace("LOADER", "syslinux").replace("TABLE", "mbr"),
    "tar": "source: {tar: {file: tree.tar, subdir: /mnt, strip: 1}}\nsystem: none\n"
    "boot: {loader: direct, kernel: k, initrd: tree}\noutputs: [kernel, initramfs: {compress: zstd}]\n",
    "given": "source: {tar: tree.tar}\nlayers: [packages: [jq]]\nboot: {kernel: install}\n",
    "image": "source: {oci: tree.tar}\nsystem: none\n"
    "boot: {loader: direct, kernel: k, initrd: tree}\noutputs: [kernel]\n",
    "container": "source: {container: {file: k, target: a, args: {A: b}, images: {c: k}, network: true}}\n"
    "system: none\nboot: {loader: direct, kernel: k, initrd: tree}\noutputs: [kernel]\n",
    "arch": "source: {arch: {mirror: 'file:///m', keyring: k}}\nsystem: none\n"
    "boot: {loader: direct, kernel: k, initrd: tree}\noutputs: [kernel]\n",
    "fedora": "source: {fedora: {release: 42, packages: [a], mirror: 'file:///m', keyring: k}}\nsystem: none\n"
    "boot: {loader: direct, kernel: k, initrd: tree}\noutputs: [kernel]\n",
    **{kind: OF_IMAGE.replace("KIND", kind) for kind in ("erofs", "squashfs", "disk")},
    "mach": "arch: i386\nsource: none\nsystem: none\ndisk: {partitions: {root: {fs: ext2, mount: /}}}\n"
    "boot: {loader: grub-bios, protocol: multiboot, kernel: {first: [k], as: /k}, modules: [{file: k, as: /m}]}\n",
    "built": "build: {b: {run: make, inputs: [k], output: o, env: {A: b}, scratch: [s]}}\nsource: none\nsystem: none\n"
    "layers: [files: {/init: {from: {build: b}, mode: 0755}}]\n"
    "boot: {loader: direct, kernel: k, initrd: tree}\noutputs: [kernel]\n",
    "trees": SOURCE + "boot: {loader: grub-efi, kernel: {file: k, as: /boot/k}}\n"
    "outputs: [tar, tgz, oci: {layers: each}, directory, ext4, ext4: {file: b, size: 4M}, squashfs,"
    " erofs, manifest, sbom]\n",
    "inside": "source: {debian: {suite: trixie}}\nsystem: none\n"
    "layers: [packages: {install: [jq], preseed: [a a/b string c]},"
    " run: {command: true, inputs: {k: k}, env: {A: b}, network: true}, script: k]\n"
    "boot: {loader: direct, kernel: k, initrd: tree}\noutputs: [kernel]\n",
    "packed": SOURCE
    + "disk: {partitions: {esp: {}, root: {mount: /, fs: squashfs}, data: {mount: /srv, fs: erofs}}}\n",
    "btrfs": SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: btrfs}}}\n",
    "verity": SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: squashfs, verity: true}}}\n",
    "swap": SOURCE + "disk: {partitions: {esp: {}, root: {mount: /}, swap: {fs: swap, size: 1M}}}\n",
    "encrypted": SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, encrypt: {passphrase: {env: X}}}}}\n",
    "web": f"source: none\nlayers: [files: {{/a: {{from: {{url: 'file:///a', sha256: {'0' * 64!r}}}}}}}]\n"
    "system: none\nboot: {kernel: none}\noutputs: [tar]\n",
    "other": "source: {recipe: empty.yaml}\nsystem: none\nboot: {kernel: none}\noutputs: [tar]\n",
    "empty": "source: none\nlayers: [files: {/init: {content: x, mode: 0755}}]\nsystem: none\n"
    "boot: {loader: direct, kernel: k, initrd: tree}\noutputs: [kernel, initramfs]\n",
}


def stages(folder: Path) -> list[Stage]:
    """Return the stages of recipes that have every kind, and of a tree and a tar that no recipe made."""
    site = Site("x", folder / "build/x", folder / "x.lock", 1)
    recipes = RecipeFolder(folder)
    recipes.write_files()
    (folder / "recipes/tree").mkdir()
    for name in ("base.qcow2", "tree.tar", "k"):
        (folder / "recipes" / name).touch()
    recipes.write("empty", RECIPES["empty"])
    found: list[Stage] = []
    for text in RECIPES.values():
        recipe = recipes.load(text)
        others = {file: Site("empty", site.other("empty"), site.lock, 1) for file in recipe.others}
        found += make.plan(recipe, site._replace(others=others)).stages
    found.append(unpartitioned.of_directory(folder / "recipes/tree", site, kernel=False))
    found.append(unpartitioned.of_tar(folder / "recipes/tree.tar", site, kernel=False))
    return found


def test_parameters_are_read_as_they_were_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in a key by way of parameters can be read in one place, the class, and nothing else is in it."""
    monkeypatch.chdir(tmp_path)
    seen = set()
    for stage in stages(tmp_path):
        run = stage.run.removeprefix("bootsmith.tasks.")
        seen.add(run)
        if run in PARAMS:
            assert PARAMS[run].from_json(stage.params).to_json() == stage.params, stage.name
        else:
            assert stage.params == {}, stage.name
    assert seen - NONE == {*PARAMS}


def test_every_stage_is_told_of() -> None:
    """Whatever a stage can run has parameters, or is known to have none."""
    assert {run.removeprefix("bootsmith.tasks.") for run in runs()} == {*PARAMS, *NONE}


@pytest.mark.parametrize("room", ["tree", "disk", "boot", "packages", "inspection"])
def test_parameters_are_had_by_their_class(room: str) -> None:
    """Who runs reads no parameter by its name alone: what that is, and whether it is there, the class has checked."""
    files = sorted((CHECKOUT / "tasks" / room).rglob("*.py"))
    assert files
    assert [str(each) for each in files if re.search(r"\b(ctx|context|stage)\.params\b", each.read_text())] == []
