"""Which of our modules are a stage's code: all that it runs, and nothing beside."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from bootsmith.cache.digest.code import modules
from bootsmith.tasks.boot.registry import LOADERS
from bootsmith.tasks.build.identities import CONTEXT, RUNNER, entry_modules
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.recipe.loaders import own

from tests.support.checkout import CHECKOUT, copied
from tests.support.kernel_files import bzimage

DECLARED = sorted((CHECKOUT / "tasks/planning/stages").glob("*.py"))
RECIPE = {"bootsmith.tasks.recipe.cmdline", "bootsmith.tasks.recipe.loaders.boot_places"}
"""What of recipes those who run may know: how a kernel's command line is read, and where firmware looks."""
ABOVE = ("recipe", "machine", "writeback", "planning", "command")
COMMON = {"build.stage", "build.parameters", "errors", "cache.errors", "cache.display"}
"""Of nearly all stages' code: the contract, how parameters are read, and what a mistake is and how it is worded."""
PROCESS = """tools.process tools.isolation tools.environment tools.id_mapping tools.subordinate_ids
    tools.programs tools.tool tools.package_manager tools.os_release tools.children tools.lines"""
"""How host programs are run: of whoever has some run, beside build.tool_runner."""
TAR = "tree.tar tree.tar_numbers tree.sparse_member tree.acl"
INDEX = "cache.digest.index cache.files.sparse"
LAYERS = f"tree.layer tree.member_data {TAR} {INDEX}"
MERGED = f"{LAYERS} tree.merged"
FOREIGN = f"tree.foreign_tar tree.accounts {MERGED}"
INSIDE = f"tree.sandbox tree.changes tree.merged_tar tree.scratch tools.capacity {FOREIGN}"
DELTA = f"{MERGED} tree.delta"
HOST_FILES = "tree.host_files cache.files.walk"
CONTENT = f"disk.content disk.sizing tree.member_data {TAR}"
FILLING = f"{CONTENT} disk.sources disk.kernel_paths tree.layer {INDEX}"
EXT = f"disk.ext.library disk.ext.filesystem disk.ext.inode disk.ext.libext2fs {INDEX} tools.shared_libraries {PROCESS}"
OWNERS = "tree.ownership tools.subordinate_ids cache.digest.key cache.digest.attributes"
BTRFS = "disk.node_totals disk.btrfs.files disk.btrfs.map disk.btrfs.ondisk disk.btrfs.search"
XFS = "disk.node_totals disk.xfs.attributes disk.xfs.device disk.xfs.files disk.xfs.forks tree.acl"
EROFS = "disk.erofs_files tree.erofs_clusters tree.erofs_volume tree.image_bytes tree.lz4"
KERNEL = "tree.installed_kernel tree.init tree.linux_image tree.boot_formats tools.os_release"
FINGERPRINT = (
    "cache.digest.fingerprint cache.digest.index cache.digest.key cache.digest.attributes cache.files.walk "
    "cache.files.clock"
)
IMAGE = (
    "disk.formats.image disk.formats.origin disk.formats.blocks disk.formats.beside "
    "cache.files.sparse cache.digest.index"
)
VMDK = f"disk.formats.geometry {IMAGE}"
OVF = f"disk.formats.appliance disk.formats.vmdk {VMDK}"
UNPACKING = "tree.unpacking cache.files.zstandard"
CODE = {
    "boot.ldlinux": f"disk.filesystems disk.fat disk.splice tree.layer_changes {FILLING} {EXT}",
    "boot.loader_layer": f"boot.loader boot.menu boot.own boot.registry boot.pe boot.signing boot.enrolment boot.der "
    f"disk.bootcode {FILLING} recipe.loaders.boot_places recipe.cmdline",
    "boot.module_layer": f"boot.multiboot tree.additions tree.patterns tree.accounts tree.boot_formats tree.elf "
    f"{UNPACKING} {DELTA}",
    "boot.optical": "boot.efistub boot.grub boot.syslinux boot.loader boot.menu boot.pe boot.signing boot.der "
    f"boot.systemd disk.bootcode disk.fat disk.splice cache.files.sparse disk.iso9660 {FILLING} "
    "recipe.loaders.boot_places recipe.cmdline tools.os_release tree.live_root",
    "boot.own_kernel": f"boot.multiboot tree.elf {KERNEL} {UNPACKING} {MERGED}",
    "disk.cidata": f"disk.fat disk.splice disk.iso9660 tree.cloud_config tree.layer {INDEX} {CONTENT}",
    "disk.filesystems": f"disk.fat disk.splice tree.layer_changes {FILLING} {EXT}",
    "disk.formats.aws": f"disk.formats.vmdk {VMDK}",
    "disk.formats.box": f"disk.formats.archive disk.formats.ovf {OVF}",
    "disk.formats.gcp": f"disk.formats.archive {IMAGE}",
    "disk.formats.ova": f"disk.formats.archive disk.formats.ovf {OVF}",
    "disk.formats.ovf": OVF,
    "disk.formats.packed": "disk.formats.beside disk.formats.bmap disk.unused disk.signatures disk.ext_place "
    "disk.gpt disk.mbr disk.superblock disk.splice cache.files.sparse tree.packing",
    "disk.growth": "disk.ext_part disk.ext_place disk.growing disk.patch disk.gpt disk.mbr disk.superblock disk.splice "
    "cache.files.sparse",
    "disk.formats.vdi": f"disk.formats.geometry {IMAGE}",
    "disk.formats.vhd": f"disk.formats.geometry {IMAGE}",
    "disk.formats.vhdx": IMAGE,
    "disk.formats.vmdk": VMDK,
    "disk.luks.volume": "disk.luks.aes_xts disk.luks.header disk.luks.key_slot disk.unused disk.gpt disk.mbr "
    f"disk.ext_place disk.signatures disk.superblock cache.files.sparse tools.shared_libraries {PROCESS}",
    "disk.packed_filesystem": f"disk.erofs disk.squashfs disk.content disk.sources disk.kernel_paths tree.member_data "
    f"tree.merged_tar tree.unpacked_tree tree.sandbox tree.scratch tools.capacity {MERGED}",
    "disk.btrfs.volume": f"disk.btrfs.tree_blocks disk.btrfs.checksum disk.btrfs.filesystem disk.btrfs.inodes "
    f"disk.btrfs.ondisk disk.btrfs.space disk.ext.library tools.shared_libraries {FILLING} {PROCESS}",
    "disk.partition_table": f"disk.btrfs.ondisk disk.btrfs.space disk.layout disk.gpt disk.mbr disk.verity.form "
    f"{FILLING}",
    "disk.qemu_img": "disk.qcow2 disk.image_format tree.file_kinds disk.passphrase build.secret cache.files.lock "
    "disk.packed_qcow2 disk.packed_length disk.splice cache.files.sparse",
    "disk.raw_image": f"disk.bootcode disk.splice {INDEX} {CONTENT}",
    "disk.squashfs": MERGED,
    "disk.swap": "",
    "disk.verity.tree": "disk.verity.form",
    "disk.tree_disk": "tree.directory tree.archive tree.excerpt tree.image_archive tree.initrd_archive "
    f"{KERNEL} {UNPACKING} {HOST_FILES} {OWNERS} {FOREIGN} {CONTENT} {EXT}",
    "inspection.readback": "inspection.boot_entries inspection.checker_output inspection.disk_checks "
    "inspection.expectation inspection.setting_checks inspection.system_checks inspection.system_tree "
    "inspection.verdicts inspection.verification inspection.verity_checks inspection.volumes disk.verity.check "
    "disk.verity.form boot.pe disk.ext.attributes disk.ext.block_map "
    "disk.ext.files disk.ext.inode disk.ext_place disk.fat_files disk.gpt disk.mbr disk.node disk.partition_types "
    "disk.parts disk.raw_content disk.superblock recipe.cmdline tree.autologin tree.boot_formats tree.first_boot "
    "tree.kernel_settings tree.keymaps tree.locales tree.network tree.own_unit tree.resolver tree.root_growth "
    f"tree.sudo tree.timezones tree.units tree.accounts disk.sizing disk.content disk.packed_block "
    f"disk.squashfs_files cache.files.zstandard {EROFS} {BTRFS} {XFS} tree.volume_files tree.foreign_tar {DELTA}",
    "disk.tree_filesystem": "disk.erofs disk.squashfs tree.finished_tree tree.merged_tar tree.sandbox "
    "tree.scratch tree.unpacked_tree "
    f"tools.capacity {MERGED} {CONTENT} {EXT}",
    "packages.sbom": f"packages.lockfile cache.files.temporary tree.installed_packages tools.os_release {MERGED}",
    "packages.bootstrap": f"packages.debs packages.lockfile cache.files.temporary tree.scratch tools.capacity "
    f"tree.installed_identities {FOREIGN}",
    "packages.arch.bootstrap": "packages.arch.configuration packages.lockfile cache.files.temporary tree.outside "
    f"tree.sandbox tree.scratch tree.merged_tar tree.installed_identities tools.capacity {FOREIGN}",
    "packages.fedora.bootstrap": "packages.lockfile cache.files.temporary tree.outside tree.sandbox tree.scratch "
    f"tree.merged_tar tree.installed_identities tools.capacity {FOREIGN}",
    "packages.web_file": "",
    "packages.lock_parts": "packages.lockfile cache.files.temporary",
    "packages.tree_lock": "packages.lockfile packages.tree_status cache.files.temporary",
    "packages.tree_records": f"packages.tree_status tree.installed_kernel tree.init tools.os_release tree.linux_image "
    f"tree.boot_formats {MERGED}",
    "packages.package_layer": f"packages.debs packages.lockfile cache.files.temporary "
    f"tree.installed_identities {INSIDE}",
    "packages.package_files": f"packages.lockfile cache.files.temporary tree.patterns {LAYERS}",
    "tree.additions": f"tree.patterns tree.accounts {DELTA}",
    "tree.archive": f"tree.excerpt tree.image_archive tree.boot_formats {FOREIGN}",
    "tree.build_context": f"{HOST_FILES} {LAYERS}",
    "tree.container_build": f"tree.container_image tree.containerfile tree.scratch tools.capacity tree.saved_image "
    f"tree.merged_tar tree.archive tree.image_archive tree.boot_formats tree.excerpt {UNPACKING} {FOREIGN}",
    "inspection.disk_tree": f"build.secret cache.files.lock cache.files.temporary cache.files.zstandard disk.bootcode "
    f"disk.content disk.ext.attributes disk.ext.block_map disk.ext.files disk.ext.inode disk.fat_files "
    f"disk.gpt disk.image_content disk.image_format disk.inspect disk.mbr disk.node disk.node_files "
    f"disk.packed_block disk.partition_types disk.parts disk.passphrase disk.qcow2 disk.raw_content "
    f"disk.sizing disk.squashfs_files disk.superblock {EROFS} {BTRFS} {XFS} inspection.opening inspection.system_tree "
    f"inspection.volumes tools.bounds tools.catalogue tools.enclosure tools.host tools.readers "
    f"tree.file_kinds tree.volume_files {PROCESS} {FOREIGN}",
    "tree.erofs_image": "cache.files.zstandard tree.erofs_clusters tree.erofs_volume tree.image_bytes tree.lz4 "
    f"tree.volume_files {FOREIGN}",
    "disk.squashfs_tree": f"cache.files.zstandard disk.node disk.node_files disk.packed_block disk.squashfs_files "
    f"tree.volume_files {FOREIGN}",
    "tree.commands": f"{HOST_FILES} {INSIDE}",
    "tree.container_image": f"tree.saved_image tree.merged_tar tree.archive tree.image_archive tree.boot_formats "
    f"tree.excerpt {UNPACKING} {FOREIGN}",
    "tree.container_layer": f"tree.hosts {DELTA}",
    "tree.directory": f"tree.image_archive {LAYERS} {OWNERS} {HOST_FILES}",
    "tree.exported_file": "",
    "tree.initramfs": f"tree.scratch tree.hook_words tools.capacity {MERGED}",
    "tree.live_initramfs": f"tree.initramfs tree.live_root tree.scratch tree.hook_words tools.capacity {MERGED}",
    "tree.initrd_sources": f"tree.cpio tree.initrd_archive {KERNEL} {UNPACKING} {MERGED}",
    "tree.installed_kernel": f"tree.init tools.os_release tree.linux_image tree.boot_formats {MERGED}",
    "tree.root_initramfs": f"tree.initramfs tree.scratch tree.hook_words tools.capacity {MERGED}",
    "tree.manifest": f"tree.finished_tree tree.installed_packages {MERGED}",
    "tree.oci_archive": f"tree.finished_tree tree.merged_tar tree.packing {MERGED}",
    "tree.tree_archive": f"tree.finished_tree tree.merged_tar tree.packing {MERGED}",
    "tree.recipe_tree": f"tree.finished_tree tree.merged_tar {FOREIGN} {MERGED}",
    "tree.tree_directory": "tree.finished_tree tree.merged_tar tree.sandbox tree.scratch tree.unpacked_tree "
    f"tools.capacity tools.subordinate_ids {MERGED}",
    "tree.own_build": HOST_FILES,
    "tree.overlay_layer": f"tree.patterns tree.layer_patch {HOST_FILES} {DELTA}",
    "tree.system_layer": "build.secret tree.accounts tree.users tree.crypt tree.units tree.network "
    "tree.resolver tree.locales tree.timezones tree.keymaps tree.kernel_settings tree.first_boot tree.autologin "
    f"tree.root_growth tree.own_unit tree.sudo tree.ssh_host_keys tree.installed_identities tree.hosts {DELTA}",
    # what the stage `bootloader` loads beside boot.loader_layer
    "boot.direct": "",
    "boot.efistub": "boot.pe boot.systemd tools.os_release",
    "boot.grub_bios": f"boot.grub disk.bootcode {CONTENT} recipe.cmdline",
    "boot.grub_efi": "boot.grub recipe.cmdline",
    "boot.syslinux": "",
    "boot.systemd_boot": "boot.systemd",
}
"""The module that a stage runs, in `tasks` -> the others that are its code then, beside COMMON and how it is run.

An edit of any makes again all that it is code of, in every cache: one more wants a reason.
"""


def runs() -> list[str]:
    """Return every function that a stage can run, as "module:function"."""
    found = set()
    for path in DECLARED:
        source = re.sub(r"listings=\{[^}]*\}", "", path.read_text())  # who reads an input for people: no stage's code
        prefixes = re.findall(r'"(bootsmith\.tasks\.[a-z._0-9]+:)["{]', source)
        found.update(re.findall(r'"(bootsmith\.tasks\.[a-z._0-9]+:\w+)"', source))
        for prefix in prefixes:
            module = importlib.import_module(prefix.rstrip(":"))
            functions = [name for name in re.findall(r"\b[a-z_]+\b", source) if callable(vars(module).get(name))]
            own = [name for name in functions if vars(module)[name].__module__ == module.__name__]
            assert own, f"{path}: nothing of {prefix} is run"
            found.update(prefix + name for name in own)
    assert len(found) > 15
    return sorted(found)


RUN = sorted({each.partition(":")[0] for each in runs()})


def code(module: str) -> set[str]:
    """Return the modules that are a module's code."""
    return set(modules(module))


def short(names: Iterable[str]) -> set[str]:
    """Return modules as CODE has them."""
    return {name.removeprefix("bootsmith.").removeprefix("tasks.") for name in names} - COMMON


def rooms(module: str) -> set[str]:
    """Return the rooms of the house that a module's code comes from, but for its own file."""
    return {name.split(".")[2] for name in code(module) - {module} if name.startswith("bootsmith.tasks.")}


@pytest.mark.parametrize("module", [*RUN, *LOADERS.values()])
def test_a_stage_s_code_is_what_is_told_here(module: str) -> None:
    """What an edit of a module makes again can be read above, module by module (V10)."""
    (name,) = short([module])
    assert short(code(module)) - {name} == {*CODE[name].split()}


def test_how_stages_are_run_is_their_code() -> None:
    """The context of all; of those that run host programs, how these are run: no list of them, nothing of the cache."""
    plain = Stage("toy", "toys:run", {}, {})
    assert entry_modules(plain) == ("toys", CONTEXT)
    assert entry_modules(plain._replace(tools=("sh",), loads=("bells",))) == ("toys", "bells", CONTEXT, RUNNER)
    assert short(code(CONTEXT)) == {"build.context"}
    assert short(code(RUNNER)) == {"build.tool_runner", *PROCESS.split()}


@pytest.mark.parametrize("run", runs())
def test_what_a_stage_runs_is_there(run: str) -> None:
    """A name that only a build would look up is looked up here."""
    module, _, function = run.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("module", [*RUN, *LOADERS.values()])
def test_what_a_stage_runs_knows_no_recipe(module: str) -> None:
    """What shapes an output reaches it as an input or a parameter, which the key sees (V10)."""
    above = {name for name in code(module) if name.startswith(tuple(f"bootsmith.tasks.{each}" for each in ABOVE))}
    assert above <= RECIPE


@pytest.mark.parametrize("module", RUN)
def test_files_and_blocks_need_no_loader(module: str) -> None:
    """An edit of a bootloader makes neither the tree nor a filesystem again, but for what that loader itself writes."""
    wanted = {
        "bootsmith.tasks.boot.loader_layer": {
            *("loader_layer", "der", "enrolment", "loader", "menu", "own", "pe", "registry", "signing"),
        },
        "bootsmith.tasks.boot.optical": {  # of all that a CD may be started by: it is soon made
            *("optical", "efistub", "grub", "syslinux", "loader", "menu", "pe", "signing", "der", "systemd"),
        },
        "bootsmith.tasks.boot.ldlinux": {"ldlinux"},  # SYSLINUX's own stage of a FAT partition
        "bootsmith.tasks.boot.own_kernel": {"own_kernel", "multiboot"},  # kernels, not loaders: what their headers say
        "bootsmith.tasks.boot.module_layer": {"module_layer", "multiboot"},
        "bootsmith.tasks.inspection.readback": {"pe"},  # what is in a unified kernel image
    }
    found = {name.rpartition(".")[2] for name in code(module) if name.startswith("bootsmith.tasks.boot.")}
    assert found <= wanted.get(module, set())


@pytest.mark.parametrize("module", LOADERS.values())
def test_a_loader_needs_no_other(module: str) -> None:
    """An edit of one bootloader does not make another's files again."""
    assert not code(module) & {*LOADERS.values()} - {module}
    shared = {name.rpartition(".")[2] for name in code(module) if name.startswith("bootsmith.tasks.boot.")}
    assert shared <= {module.rpartition(".")[2], "grub", "systemd", "pe"}


@pytest.mark.parametrize("module", RUN)
def test_kinds_of_trees_and_disks_stand_alone(module: str) -> None:
    """A stage's code holds no other stage's, but for what it is told here that it calls."""
    calls = {
        "bootsmith.tasks.boot.ldlinux": {"bootsmith.tasks.disk.filesystems"},
        "bootsmith.tasks.disk.formats.aws": {"bootsmith.tasks.disk.formats.vmdk"},
        "bootsmith.tasks.disk.formats.box": {"bootsmith.tasks.disk.formats.ovf", "bootsmith.tasks.disk.formats.vmdk"},
        "bootsmith.tasks.disk.formats.ova": {"bootsmith.tasks.disk.formats.ovf", "bootsmith.tasks.disk.formats.vmdk"},
        "bootsmith.tasks.disk.formats.ovf": {"bootsmith.tasks.disk.formats.vmdk"},
        "bootsmith.tasks.disk.packed_filesystem": {"bootsmith.tasks.disk.squashfs"},
        "bootsmith.tasks.tree.root_initramfs": {"bootsmith.tasks.tree.initramfs"},
        "bootsmith.tasks.disk.tree_disk": {
            "bootsmith.tasks.tree.archive",
            "bootsmith.tasks.tree.directory",
            "bootsmith.tasks.tree.installed_kernel",
        },
        "bootsmith.tasks.disk.tree_filesystem": {"bootsmith.tasks.disk.squashfs"},
        "bootsmith.tasks.boot.module_layer": {"bootsmith.tasks.tree.additions"},
        "bootsmith.tasks.boot.own_kernel": {"bootsmith.tasks.tree.installed_kernel"},
        "bootsmith.tasks.packages.tree_records": {"bootsmith.tasks.tree.installed_kernel"},
        "bootsmith.tasks.tree.live_initramfs": {"bootsmith.tasks.tree.initramfs"},
        "bootsmith.tasks.tree.container_image": {"bootsmith.tasks.tree.archive"},
        "bootsmith.tasks.tree.container_build": {
            "bootsmith.tasks.tree.archive",
            "bootsmith.tasks.tree.container_image",
        },
        "bootsmith.tasks.tree.initrd_sources": {"bootsmith.tasks.tree.installed_kernel"},
    }
    assert code(module) & {*RUN} - {module} <= calls.get(module, set())


LOOKS = re.compile(r"\b(host\.(find|missing)|(process|identity|shared_libraries|identities|popen)\.\w+)\(")
FINDERS = {
    "tasks/disk/image_content.py",  # qemu-img, which whoever reads a disk declares, shut in with that disk
    "tasks/disk/ext/library.py",  # which library mke2fs, whose identity counts it, is linked with
    "tasks/disk/luks/volume.py",  # which libcrypto openssl is
}
"""Who of those that run stages look at the host by themselves, and what for."""


@pytest.mark.parametrize("module", [*RUN, *LOADERS.values()])
def test_host_programs_are_had_through_the_context(module: str) -> None:
    """What a stage runs, or hands on to be run, it declares: the context refuses all else (V10)."""
    ours = {name: Path(importlib.import_module(name).__file__ or "").resolve() for name in code(module)}
    rooms = tuple(f"bootsmith.tasks.{each}." for each in ("tree", "packages", "disk", "boot"))
    found = {
        str(path.relative_to(CHECKOUT))
        for name, path in ours.items()
        if name.startswith(rooms) and LOOKS.search(path.read_text())
    }
    assert found <= FINDERS


def test_an_own_loader_may_import_the_stage_s_code_alone() -> None:
    """What a loader's file may import are modules, each with a source that counts."""
    assert all(code(name) for name in own.OURS)


class Copy:
    """A project with bootsmith's own code in its folder, to be edited."""

    def __init__(self, top: Path) -> None:
        self.top = top
        copied(top / "code")
        (top / "tree").mkdir()
        (top / "tree/init").write_text("#!/bin/sh\n")
        (top / "tree/init").chmod(0o755)
        (top / "linux").write_bytes(bzimage())
        (top / "box.yaml").write_text(
            "source: {directory: tree}\nsystem: none\nboot: {loader: direct, kernel: linux, initrd: tree}\n"
            "outputs: [kernel, initramfs]\n"
        )
        (top / "dodo.py").write_text(
            'from bootsmith.tasks import image_tasks\nDOIT_CONFIG, task_bootsmith = image_tasks("box.yaml")\n'
        )

    def doit(self, *words: str) -> str:
        """Run `doit WORDS` by the code here; return what it printed."""
        env = {**os.environ, "PYTHONPATH": str(self.top / "code/src"), "BOOTSMITH_CACHE": str(self.top / "cache")}
        done = subprocess.run(
            [sys.executable, "-m", "doit", *words], cwd=self.top, env=env, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def built(self) -> list[str]:
        """Build; return the stages that were built or restored."""
        rows = [line.split() for line in self.doit("image").splitlines()]
        return sorted(row[1] for row in rows if row and row[0] in ("built", "restored"))

    def edit(self, module: str, old: str = "", new: str = "# edited\n") -> None:
        """Change a module's source: put a line before the first `old` line, or at the end."""
        path = self.top / "code" / module
        source = path.read_text()
        assert old in source
        path.write_text(source.replace(old, new + old, 1) if old else source + new)


def test_an_edit_of_code_makes_again_what_it_makes(tmp_path: Path) -> None:
    """A stage runs again when its own code changed, though the plan is remembered; not for a loader's (V10)."""
    copy = Copy(tmp_path)
    everything = ["convert/initramfs", "convert/kernel", "initramfs", "initramfs/tree", "kernel", "rootfs"]
    assert copy.built() == everything
    assert copy.built() == []
    copy.edit("tasks/tree/cpio.py")
    assert copy.built() == ["initramfs", "initramfs/tree"]
    copy.edit("tasks/tools/isolation.py")
    assert copy.built() == ["initramfs"]  # who has programs run
    copy.edit("tasks/tools/catalogue.py", "    # archives\n", '    Tool("jq", "reads JSON", packaged("jq")),\n')
    assert "jq" in copy.doit("tools")
    assert copy.built() == []
    for module in (
        *("boot/grub.py", "recipe/model/boot.py", "planning/stages/initrd.py", "packages/resolution.py"),
        "disk/ext/filesystem.py",
    ):
        copy.edit(f"tasks/{module}")
    assert copy.built() == []
