"""One's own kernel beside the distribution's: both entries of a disk booted, and what an edit costs. L6, V8, A9."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from bootsmith.tasks.recipe.loaders.layouts import usual_layout, usual_table

from tests.support.small_guest import SmallProject

OWN = {"kernel": "../build/mine/bzImage", "initrd": "../build/mine/initrd.img"}
KERNELS = {"first": "6.1.", "mine": "6.12."}
"""The entries, and of which release their kernels are."""


def recipe(names: tuple[str, ...], **test: object) -> dict[str, object]:
    """Return the small recipe on a disk of these loaders, with an entry that has a kernel and an initrd of its own."""
    table = usual_table(names)
    return {
        "extends": "small",
        "disk": {"table": table, "partitions": {"esp": None, **usual_layout(names, table)}},
        "boot": {"loader": list(names), "entries": {"second": None, "mine": {"title": "Mine", **OWN}}},
        "test": test,
    }


@dataclass(frozen=True)
class Boot:
    """A disk by its loaders, what starts it, and the entry."""

    names: tuple[str, ...]
    firmware: str
    entry: str

    def __str__(self) -> str:
        return "-".join((*self.names, self.firmware, self.entry))

    @property
    def is_usual(self) -> bool:
        """Whether the boot matrix starts the like."""
        return self.entry == "first" and self.names != ("systemd-boot",)


LONG = [pytest.mark.soak(whole=1)]
BOTH = ("grub-efi", "grub-bios")
BOOTS = [
    *(Boot(("systemd-boot",), "uefi", entry) for entry in KERNELS),
    *(Boot(("systemd-boot", "efistub"), "uefi", entry) for entry in KERNELS),
    *(Boot(BOTH, "bios", entry) for entry in KERNELS),
    Boot(BOTH, "uefi", "mine"),
    *(Boot(("syslinux",), "bios", entry) for entry in KERNELS),
    *(Boot(("direct",), "direct", entry) for entry in KERNELS),
]


@pytest.fixture(name="small", scope="module")
def fixture_small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallProject]:
    """A project with the small recipe, and a kernel and an initrd in a build folder."""
    project = SmallProject.make(tmp_path_factory.mktemp("entries") / "project")
    project.doit("image:mine")
    yield project
    shutil.rmtree(project.top)


def write(small: SmallProject, name: str, content: Mapping[str, object]) -> None:
    (small.top / f"recipes/{name}.yaml").write_text(yaml.safe_dump(content))


@pytest.mark.boot
@pytest.mark.xdist_group("entries")
@pytest.mark.parametrize("boot", [pytest.param(each, marks=LONG * each.is_usual) for each in BOOTS], ids=str)
def test_both_entries_boot(small: SmallProject, boot: Boot) -> None:
    """The distribution's kernel and one's own, on one disk: each boots its own initrd, proved by a nonce."""
    name = "-".join(boot.names)
    write(small, name, recipe(boot.names))
    said = small.doit(f"qemu-test:{name}", "--accel", "tcg", "--entry", boot.entry, "--firmware", boot.firmware)
    assert "nonce seen" in said
    log = (small.top / f"build/{name}/test/serial.log").read_text(errors="replace")
    assert re.search(rf"Linux version {re.escape(KERNELS[boot.entry])}", log)
    assert (f"mine runs on Linux {KERNELS['mine']}" in log) == (boot.entry == "mine")
    result = json.loads((small.top / f"build/{name}/test/result.json").read_text())
    assert (result["verdict"], result["firmware"]) == ("passed", boot.firmware)


def ran(small: SmallProject, *words: str) -> set[str]:
    """Run `doit WORDS`; return the stages that were built or restored."""
    rows = [line.split() for line in small.doit(*words).splitlines()]
    return {row[1].partition(":")[0] for row in rows if row and row[0] in ("built", "restored")}


@pytest.mark.boot
@pytest.mark.xdist_group("entries")
class TestEdits:
    """What is edited of an entry, and what is made anew by that."""

    @pytest.fixture
    def own(self, small: SmallProject) -> Path:
        """A folder with a kernel and an initrd of one's own, to edit."""
        folder = small.top / "own"
        folder.mkdir(exist_ok=True)
        for name in ("bzImage", "initrd.img"):
            shutil.copyfile(small.top / "build/mine" / name, folder / name)
        return folder

    @staticmethod
    def made(name: str, loader: str, **entry: str) -> dict[str, object]:
        """Return the recipe with the files of that folder."""
        found = recipe((loader,))
        found["name"] = name
        mine = {"title": "Mine", "kernel": "../own/bzImage", "initrd": "../own/initrd.img", **entry}
        found["boot"] = {"loader": loader, "entries": {"second": None, "mine": mine}}
        return found

    def test_a_new_kernel_costs_the_partition_that_holds_it(self, small: SmallProject, own: Path) -> None:
        """V8, V9: kernels on the ESP leave the root alone, and loaders too while the version stays; it is foretold."""
        write(small, "esp", self.made("esp", "systemd-boot"))
        small.doit("image:esp")
        assert ran(small, "image:esp") == set()
        kernel = own / "bzImage"
        kernel.write_bytes(kernel.read_bytes() + b"another build")
        told = json.loads(small.doit("explain:esp", "--json"))
        assert {each["stage"] for each in told["stages"] if each["verdict"] == "build"} == {"kernel/mine"}
        after = {"partition", "populate/esp", "readback/esp", "assemble", "readback"}
        assert ran(small, "image:esp") == {"kernel/mine", *after}
        with (own / "initrd.img").open("ab") as file:
            file.write(bytes(512))
        assert ran(small, "image:esp") == {"initramfs/mine", *after}
        write(small, "esp", self.made("esp", "systemd-boot", cmdline="quiet"))
        assert ran(small, "image:esp") == {"bootloader", "populate/esp", "readback/esp", "assemble", "readback"}

    def test_in_the_tree_it_costs_the_root_filesystem(self, small: SmallProject, own: Path) -> None:
        """With kernels in /boot of the root filesystem, that is what holds them; nothing else is made."""
        write(small, "tree", self.made("tree", "grub-bios"))
        small.doit("image:tree")
        kernel = own / "bzImage"
        kernel.write_bytes(kernel.read_bytes() + b"another build")
        assert ran(small, "image:tree") == {"kernel/mine", "partition", "populate/root", "assemble", "readback"}

    def test_a_kernel_that_went_away_is_named(self, small: SmallProject, own: Path) -> None:
        """V7: an input that is missing is an error with its name, and the image stays what it was."""
        write(small, "gone", self.made("gone", "systemd-boot"))
        small.doit("image:gone")
        image = small.top / "build/gone/gone.raw"
        before = (image.stat().st_ino, image.stat().st_mtime_ns)
        (own / "bzImage").unlink()
        with pytest.raises(AssertionError, match=r"own/bzImage"):
            small.doit("image:gone")
        assert (image.stat().st_ino, image.stat().st_mtime_ns) == before

    def test_a_kernel_that_is_none_stops_before_anything_is_built(self, small: SmallProject, own: Path) -> None:
        """V14, W7: told by its content, with the entry's key, and nothing is written."""
        (own / "bzImage").write_bytes(b"#!/bin/sh\n")
        write(small, "wrong", self.made("wrong", "systemd-boot"))
        with pytest.raises(
            AssertionError, match=r"boot\.entries\.mine\.kernel: own/bzImage cannot be the kernel: it is"
        ):
            small.doit("image:wrong")
        assert not (small.top / "recipes/wrong.lock").exists()
        assert not (small.top / "build/wrong").exists()

    @pytest.mark.parametrize("loader", ["systemd-boot", "direct"])
    def test_an_entry_is_run_directly(self, small: SmallProject, own: Path, loader: str) -> None:
        """`run-direct --entry` takes the entry's kernel, initrd and words; a past build's too."""
        name = f"run-{loader}"
        write(small, name, self.made(name, loader, cmdline="mine=1"))
        small.doit(f"image:{name}")
        said = small.doit(f"run-direct:{name}", "--print", "--entry", "mine")
        assert f"build/{name}/entries/mine/vmlinuz" in said
        assert f"build/{name}/entries/mine/initrd.img" in said
        assert "mine=1" in said
        said = small.doit(f"run-direct:{name}", "--print")
        assert f"build/{name}/kernel/vmlinuz" in said
        assert "mine=1" not in said
        with pytest.raises(AssertionError, match=r"there is no entry 'mien'\n  There are: first, mine\."):
            small.doit(f"run-direct:{name}", "--print", "--entry", "mien")
        first = json.loads(small.doit(f"log:{name}", "--json"))["builds"][-1]["id"]
        before = (own / "bzImage").read_bytes()
        (own / "bzImage").write_bytes(before + b"another build")
        small.doit(f"image:{name}")
        said = small.doit(f"at={first}", f"run-direct:{name}", "--print", "--entry", "mine")
        (kernel,) = re.findall(r"\S+/at/\S+/entries/mine/vmlinuz", said)
        assert Path(kernel.strip("'")).read_bytes() == before
