"""Which of our modules are a stage's code: all that it runs, and nothing beside."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bootsmith.cache.digest.code import modules
from bootsmith.tasks.boot.registry import LOADERS
from bootsmith.tasks.recipe.loaders import own

from tests.support.checkout import CHECKOUT, copied
from tests.support.kernel_files import bzimage

DECLARED = sorted((CHECKOUT / "tasks/planning/stages").glob("*.py"))
RECIPE = {"bootsmith.tasks.recipe.cmdline", "bootsmith.tasks.recipe.loaders.boot_places"}
"""What of recipes those who run may know: how a kernel's command line is read, and where firmware looks."""
ABOVE = (
    *("recipe", "stages", "plan", "builder", "engine", "session", "selection", "commands", "actions", "identities"),
    *("explain", "history", "revival", "freshness", "machine"),
)


def runs() -> list[str]:
    """Return every function that a stage can run, as "module:function"."""
    found = set()
    for path in DECLARED:
        source = re.sub(r"listings=\{[^}]*\}", "", path.read_text())  # who reads an input for people: no stage's code
        prefixes = re.findall(r'"(bootsmith\.tasks\.[a-z._0-9]+:)"', source)
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


def rooms(module: str) -> set[str]:
    """Return the rooms of the house that a module's code comes from, but for its own file."""
    return {name.split(".")[2] for name in code(module) - {module} if name.startswith("bootsmith.tasks.")}


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
        "bootsmith.tasks.boot.ldlinux": {"ldlinux"},  # SYSLINUX's own stage of a FAT partition
        "bootsmith.tasks.boot.own_kernel": {"own_kernel", "multiboot"},  # kernels, not loaders: what their headers say
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
        "bootsmith.tasks.disk.tree_disk": {
            "bootsmith.tasks.tree.archive",
            "bootsmith.tasks.tree.directory",
            "bootsmith.tasks.tree.installed_kernel",
            "bootsmith.tasks.tree.additions",
        },
        "bootsmith.tasks.tree.installed_kernel": {"bootsmith.tasks.tree.additions"},  # reads the tree that layers make
        "bootsmith.tasks.boot.own_kernel": {"bootsmith.tasks.tree.additions", "bootsmith.tasks.tree.installed_kernel"},
        "bootsmith.tasks.tree.initrd_sources": {
            "bootsmith.tasks.tree.additions",
            "bootsmith.tasks.tree.installed_kernel",
        },
        "bootsmith.tasks.tree.system_layer": {"bootsmith.tasks.tree.additions"},
    }
    assert code(module) & {*RUN} - {module} <= calls.get(module, set())


LOOKS = re.compile(r"\b(host\.(find|missing)|(process|identity|shared_libraries|identities|popen)\.\w+)\(")
FINDERS = {
    "tasks/packages/mirrors.py",  # apt-config, by whose settings the host reaches mirrors; what comes is checked
    "tasks/disk/ext/filesystem.py",  # which library mke2fs, whose identity counts it, is linked with
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
            "outputs: [initramfs]\n"
        )
        (top / "dodo.py").write_text(
            'from bootsmith.tasks import image_tasks\nDOIT_CONFIG, task_bootsmith = image_tasks("box.yaml")\n'
        )

    def built(self) -> list[str]:
        """Build; return the stages that were built or restored."""
        env = {**os.environ, "PYTHONPATH": str(self.top / "code/src"), "BOOTSMITH_CACHE": str(self.top / "cache")}
        done = subprocess.run(
            [sys.executable, "-m", "doit", "image"], cwd=self.top, env=env, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        rows = [line.split() for line in done.stdout.splitlines()]
        return sorted(row[1] for row in rows if row and row[0] in ("built", "restored"))

    def edit(self, module: str) -> None:
        """Change a module's source, not what it does."""
        with (self.top / "code" / module).open("a") as source:
            source.write("# edited\n")


def test_an_edit_of_code_makes_again_what_it_makes(tmp_path: Path) -> None:
    """A stage runs again when its own code changed, though the plan is remembered; not for a loader's (V10)."""
    copy = Copy(tmp_path)
    assert copy.built() == ["convert/initramfs", "initramfs", "initramfs/tree", "rootfs"]
    assert copy.built() == []
    copy.edit("tasks/tree/cpio.py")
    assert copy.built() == ["initramfs", "initramfs/tree"]
    for module in (
        *("boot/grub.py", "recipe/model.py", "planning/stages/initrd.py", "packages/resolution.py"),
        "disk/ext/filesystem.py",
    ):
        copy.edit(f"tasks/{module}")
    assert copy.built() == []
