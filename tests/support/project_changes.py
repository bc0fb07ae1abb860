"""What can happen to a toy project between two runs: edits, losses, damages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from bootsmith.cache.store import record as records

from tests.support.toy_project import ToyProject


def write(name: str, text: str) -> Callable[[ToyProject], object]:
    return lambda project: (project.top / name).write_text(text)


def remove(name: str) -> Callable[[ToyProject], object]:
    return lambda project: (project.top / name).unlink()


def copy(original: ToyProject, top: Path) -> ToyProject:
    """Return a copy of a project, with a cache of its own: keys and records hold no paths."""
    shutil.copytree(original.top, top, symlinks=True)
    project = ToyProject(top)
    project.cache = top / "cache"
    return project


def lose(*names: str) -> Callable[[ToyProject], object]:
    def act(project: ToyProject) -> None:
        for name in names:
            shutil.rmtree(project.top / name, ignore_errors=True)

    return act


def same_size_and_time(project: ToyProject) -> None:
    source = project.top / "source"
    before = source.stat()
    source.write_text(source.read_text().replace("first", "FIRST").replace("FIRST", "fisrt"))
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))


def damage(name: str) -> Callable[[ToyProject], object]:
    def act(project: ToyProject) -> None:
        path = project.top / "build/toy" / name
        before = path.stat()
        path.write_bytes(b"x" * before.st_size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return act


def in_the_way(project: ToyProject) -> None:
    path = project.top / "build/toy/base"
    path.unlink()
    path.mkdir()


def edit_code(project: ToyProject) -> None:
    project.forks = False
    code = project.top / "toystages.py"
    code.write_text(code.read_text().replace(".upper()", ".title()"))


def forget(*names: str) -> Callable[[ToyProject], object]:
    return lambda project: [project.doit("forget", name) for name in names]


def both(*acts: Callable[[ToyProject], object]) -> Callable[[ToyProject], object]:
    return lambda project: [act(project) for act in acts]


STORED = ("cache/blobs", "cache/indexes", "cache/chunks")
SCENARIOS: dict[str, Callable[[ToyProject], object]] = {
    "nothing": lambda _: None,
    "input touched": lambda project: os.utime(project.top / "source", (1, 1)),
    "input edited": write("source", "something new\n"),
    "input reverted": write("source", "another\n"),
    "input edited, early cut-off": write("source", "first line\nnew second line\n"),
    "input edited, same size and time": same_size_and_time,
    "input mode, which a file's key has not": lambda project: (project.top / "source").chmod(0o755),
    "input missing": remove("source"),
    "input empty": write("source", "\n"),
    "file added to a tree": write("tree/new", ""),
    "file in a tree edited, early cut-off": write("tree/a", "b"),
    "file in a tree deleted": remove("tree/a"),
    "file in a tree renamed": lambda project: (project.top / "tree/a").rename(project.top / "tree/b"),
    "file in a tree chmodded": lambda project: (project.top / "tree/a").chmod(0o600),
    "file in a tree became a link": both(remove("tree/a"), lambda project: (project.top / "tree/a").symlink_to("b")),
    "tree missing": lose("tree"),
    "option changed in the recipe": write("toy.yaml", "two\n"),
    "secret changed": write("password", "hunter3!\n"),
    "secret changed, same length": write("password", "hunter3\n"),
    "secret missing": remove("password"),
    "tool changed": write("bin/toytool", "#!/bin/sh\necho toy 1.2\n"),
    "tool missing": remove("bin/toytool"),
    "code changed": edit_code,
    "first output deleted": remove("build/toy/base"),
    "stored output deleted": remove("build/toy/upper"),
    "output that is not stored deleted": remove("build/toy/disk.raw"),
    "last output deleted": remove("build/toy/disk.qcow2"),
    "output damaged": damage("upper"),
    "disk damaged": damage("disk.raw"),
    "output truncated": write("build/toy/base", ""),
    "output in the way": in_the_way,
    "record lost": remove("build/toy/.bootsmith/records/rootfs.json"),
    "record damaged": write("build/toy/.bootsmith/records/assemble.json", "{}"),
    "all records lost": lose("build/toy/.bootsmith"),
    "build directory lost": lose("build"),
    "store lost": lose("cache"),
    "both lost": lose("cache", "build"),
    "results lost, then damage": both(lose("cache/results"), damage("base")),
    "results without blobs": both(lose(*STORED), lose("build")),
    "results without blobs, input reverted": both(lose(*STORED), write("source", "another\n")),
    "forgotten": forget("rootfs"),
    "forgotten in the middle": forget("layers"),
    "forgotten, and edited above": both(forget("layers/upper"), write("source", "new again\n")),
    "forgotten, and restored above": both(forget("layers/upper"), write("source", "another\n")),
    "all forgotten": forget("image"),
    "cleaned": lambda project: project.doit("clean"),
    "database lost": remove("build/.doit.json"),
    "two edits": both(write("source", "x\n"), write("tree/y", "y")),
    "an edit and a revert": both(write("source", "another\n"), write("tree/y", "y")),
    "an edit and a damaged output": both(write("tree/y", "y"), damage("base")),
    "a reverted input and a changed tool": both(write("source", "another\n"), write("bin/toytool", "#!/bin/sh\n:\n")),
}  # fmt: skip


STATE = "build/toy/.bootsmith"


def old_boot(project: ToyProject) -> None:
    path = project.top / STATE / "records/rootfs.json"
    found = records.read(path)
    assert found is not None
    records.write(path, found._replace(boot_id="an earlier boot"))


def old_boot_and_damage(project: ToyProject) -> None:
    old_boot(project)
    SCENARIOS["output damaged"](project)


def interrupt(project: ToyProject) -> None:
    fifo = project.top / "runs.fifo"
    os.mkfifo(fifo)
    (project.top / "source").write_text("an edit\n")
    doit = project.start("image")
    assert fifo.read_text() == "started\n"  # opening it waits for the tool
    fifo.unlink()
    doit.kill()
    doit.communicate()


def interrupt_and_revert(project: ToyProject) -> None:
    interrupt(project)
    (project.top / "source").write_text("first line\nsecond line\n")


def other_code(project: ToyProject) -> None:
    """Change a module that only a function of the stage's module imports."""
    code = project.top / "toystages.py"
    code.write_text(code.read_text() + "\ndef unused():\n    import bootsmith.tasks.nowhere\n")


STATES: dict[str, tuple[Callable[[ToyProject], object], bool]] = {
    "the records of an earlier boot": (old_boot, True),
    "the records of an earlier boot, and damage": (old_boot_and_damage, False),
    "a build killed in the midst": (interrupt, False),
    "a build killed in the midst, its edit taken back": (interrupt_and_revert, False),
    "no lock": (lambda project: (project.top / STATE / "lock").unlink(), True),
    "no memo": (lambda project: (project.top / "cache/memo").unlink(), True),
    "a memo of nothing": (lambda project: (project.top / "cache/memo").write_bytes(b"no memo"), True),
    "no identities of tools": (lambda project: (project.top / "cache/tools").unlink(), True),
    "a database of nothing": (lambda project: (project.top / "build/.doit.json").write_text("{"), True),
    "a broken recipe": (lambda project: (project.top / "toy.yaml").write_text("broken\n"), False),
    "a module that imports another": (other_code, False),
}
"""What else can have happened, and whether all is fresh then."""
