"""Stages run for real, and what they reached for: nothing that their keys do not know of, but for what is told here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from bootsmith.cache.digest.memo import Memo
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.planning import make
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.recipe.load import load

from tests.support import container_images, observed_access, tiny_kernel
from tests.support.host_tree import programs
from tests.support.kernel_files import cpio
from tests.support.single_stage import run_stage
from tests.support.tar_members import EPOCH, member, write_tar

TREE = """
source: {directory: tree}
layers:
  - overlay: over
  - files: {/etc/motd: {content: hello}, /etc/copied: linux}
  - directories: {/srv/data: {mode: 0750}}
  - links: {/etc/link: motd}
  - devices: {/dev/console: c 5 1}
  - remove: [/etc/gone]
system: {users: {root: {password: {file: password}}}, network: none}
boot: {loader: direct, kernel: linux, initrd: tree}
outputs: [kernel, initramfs: {compress: zstd}, tar, tgz, oci: {compress: zstd}, directory, ext4, squashfs, erofs,
  manifest, sbom]
"""
DISK = """
source: {directory: tree}
system: none
disk: {table: TABLE}
boot: {loader: LOADER, kernel: linux, initrd: initrd, packages: false, timeout: 2}
outputs: [raw, qcow2: {snapshot: first}FORMATS]
"""
FORMATS = ", vhd, vhdx, vdi, vmdk, vmdk: {file: s.vmdk, subformat: streamOptimized}, aws, ova, ovf, box, gcp"
PACKED = DISK.replace("TABLE", "mbr, size: 1G, partitions: {root: {mount: /, size: 16M}}").replace(
    "LOADER", "grub-bios"
)
CD = """
source: {directory: tree}
system: {network: none}
boot: {loader: direct, kernel: linux, initrd: initrd, timeout: 2}
outputs: [iso: {loader: [isolinux, grub-efi]}]
"""


INSIDE = """
source: {tar: tree.tar}
layers:
  - run: {command: cat $data/etc/issue >/of-tree/issue, inputs: {data: over}}
  - script: script
system: none
boot: {loader: direct, kernel: linux, initrd: tree}
outputs: [kernel]
"""


def with_programs(project: Path) -> None:
    """Add a tree in which commands run, as a tar, and a script."""
    tree = {
        "./bin": member("l", linkname="usr/bin"),
        "./of-tree/issue": b"box\n",
        "./init": member(data=b"#!/bin/sh\n", mode=0o755),
        "./lib": member("l", linkname="usr/lib"),
    }
    write_tar(project / "tree.tar", tree | programs("sh", "cat"))
    (project / "script").write_text("cat /of-tree/issue >/of-tree/motd\n")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a tree, a kernel and whatever else recipes here name."""
    for path, text in {
        "tree/init": "#!/bin/sh\n",
        "tree/etc/gone": "",
        "tree/sbin/init": "#!/bin/sh\n",
        "tree/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
        "tree/etc/group": "root:x:0:\n",
        "tree/etc/shadow": "root:*:19000:0:99999:7:::\n",
        "over/etc/issue": "box\n",
        "password": "secret\n",
    }.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "tree/init").chmod(0o755)
    (tmp_path / "tree/sbin/init").chmod(0o755)
    (tmp_path / "linux").write_bytes(tiny_kernel.kernel())
    (tmp_path / "initrd").write_bytes(cpio())
    return tmp_path


def stages(project: Path, text: str) -> tuple[Stage, ...]:
    """Return the stages of a recipe."""
    file = project / "box.yaml"
    file.write_text(text)
    return make.plan(load(file), Site("box", project / "build/box", project / "box.lock", EPOCH)).stages


IN_TREE = ("/of-tree/", "/run/bootsmith/")
"""Where files are that strace tells of as the tree has them, which what runs there sees as its root."""


def check(run: Iterable[Stage], folder: Path, *, strace: bool = False) -> set[str]:
    """Run stages, each by itself; fail where one reached for what it does not declare. Return their names."""
    memo = Memo(folder / "cache/memo")
    wrong: dict[str, list[str]] = {}
    names = set()
    for number, stage in enumerate(run):
        own = folder / f"run-{number}"
        seen = observed_access.run(stage, own, strace=strace)
        files = observed_access.undeclared_files(stage, seen, own, memo)
        files = {path for path in files if not path.startswith(IN_TREE)}
        undeclared = sorted(observed_access.undeclared_code(stage, seen) | files)
        if undeclared:
            wrong[stage.name] = undeclared
        names.add(stage.name)
    assert wrong == {}
    return names


def test_what_makes_trees(project: Path) -> None:
    """Layers, kernel and initrd are made of their inputs, by the code in their keys (V10)."""
    names = check(stages(project, TREE), project)
    assert {"rootfs", "kernel", "initramfs", "initramfs/tree", "layers/system", "convert/initramfs"} <= names


def test_what_runs_in_trees(project: Path) -> None:
    """Commands, scripts and packages change a tree by their inputs, and by the code in their keys (V10)."""
    with_programs(project)
    assert {"layers/1-run", "layers/2-script"} <= check(stages(project, INSIDE), project)


def test_what_makes_a_tree_of_a_container_image(project: Path) -> None:
    """Its layers are read by the code in the key, and nothing of the host is (V10)."""
    files = container_images.layout(
        [container_images.packed(project, {"init": member(data=b"#!/bin/sh\n", mode=0o755)})]
    )
    write_tar(project / "image", files)
    text = (
        "source: {oci: image}\nsystem: none\nboot: {loader: direct, kernel: linux, initrd: tree}\noutputs: [kernel]\n"
    )
    assert "rootfs" in check(stages(project, text), project)


@pytest.mark.soak(whole=1)
def test_what_programs_in_trees_read(project: Path) -> None:
    """Of the host, what runs in a tree reads nothing, nor do those that put it there (V10); told by strace."""
    with_programs(project)
    assert {"layers/1-run", "layers/2-script"} <= check(stages(project, INSIDE), project, strace=True)


@pytest.mark.parametrize(
    ("loader", "table"),
    [("systemd-boot", "gpt"), ("[grub-efi, grub-bios]", "gpt"), ("grub-bios", "mbr"), ("syslinux", "mbr")],
)
def test_what_makes_disks(project: Path, loader: str, table: str) -> None:
    """Loaders, filesystems, tables and formats are made of their inputs, by the code in their keys (V10)."""
    text = DISK.replace("LOADER", loader).replace("TABLE", table).replace("FORMATS", "")
    names = check(stages(project, text), project)
    assert {"bootloader", "partition", "populate/root", "populate/base", "assemble", "convert/qcow2"} <= names


def test_what_makes_other_filesystems(project: Path) -> None:
    """So are a btrfs and what is packed, and so is what reads them back (V10)."""
    partitions = "{root: {fs: btrfs, mount: /}, a: {fs: erofs, mount: /etc}, b: {fs: squashfs, mount: /sbin}}"
    text = DISK.replace("TABLE", f"mbr, partitions: {partitions}").replace("LOADER", "grub-bios")
    names = check(stages(project, text.replace(", qcow2: {snapshot: first}FORMATS", "")), project)
    assert {"populate/root", "populate/a", "populate/b", "readback/root", "readback"} <= names


def test_what_makes_formats(project: Path) -> None:
    """Images, archives and machines around a disk are made of it, by the code and the programs in their keys (V10)."""
    made = stages(project, PACKED.replace("FORMATS", FORMATS + ", raw: {compress: zstd}"))
    converters = [stage for stage in made if stage.name.startswith("convert/")]
    for stage in made:
        if stage not in converters:
            run_stage(stage, project / "before")
    assert len(check(converters, project)) == 12


def test_what_makes_cds(project: Path) -> None:
    """A live system is packed, and the CD that holds it made, of their inputs, by the code in their keys (V10)."""
    names = check(stages(project, CD), project)
    assert {"iso/root", "convert/iso"} <= names


@pytest.mark.soak(whole=1)
@pytest.mark.parametrize(
    "text",
    [
        TREE,
        CD,
        *(
            DISK.replace("LOADER", each).replace("FORMATS", "")
            for each in ("systemd-boot", "[grub-efi, grub-bios]", "syslinux")
        ),
    ],
    ids=["trees", "cd", "systemd-boot", "grub", "syslinux"],
)
def test_what_host_programs_read(project: Path, text: str) -> None:
    """No file of the host shapes an image but declared programs, and what those are made of (V10); told by strace."""
    table = "mbr" if "syslinux" in text else "gpt"
    assert check(stages(project, text.replace("TABLE", table)), project, strace=True)


def test_what_is_not_declared_is_found(project: Path) -> None:
    """A stage that reads the host, or loads code by a name made up as it runs, is told of: this test can fail."""
    stage = next(each for each in stages(project, TREE) if each.name == "initramfs/tree")
    told = observed_access.Access({"bootsmith.tasks.boot.grub"}, {"/etc/hostname", str(project / "run/x")})
    assert observed_access.undeclared_code(stage, told) == {"bootsmith.tasks.boot.grub"}
    assert observed_access.undeclared_files(stage, told, project / "run", Memo(project / "memo")) == {"/etc/hostname"}
