"""`./doitw image` tells what is fresh before doit is loaded: never other than doit's own run, and nothing else."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.cache.files.lock import FileLock
from bootsmith.tasks.command import remembered_dodo

from tests.support.agreement import agree
from tests.support.kernel_files import bzimage, stand_in
from tests.support.project_changes import SCENARIOS, STATE, copy
from tests.support.toy_project import ToyProject


@pytest.fixture
def built(original: ToyProject, tmp_path: Path) -> ToyProject:
    """A copy of that project."""
    return copy(original, tmp_path / "copy")


@pytest.mark.parametrize("words", [("raw",), ("rootfs", "image"), ("layers",), ("convert/qcow2",), ("image", "image")])
def test_names_of_tasks_are_understood(built: ToyProject, words: tuple[str, ...]) -> None:
    """Groups, stages, several of them: the lines are those of doit's run."""
    assert agree(built, *words)
    SCENARIOS["input edited"](built)
    assert not agree(built, *words)


def test_what_the_words_do_not_need_may_be_stale(built: ToyProject) -> None:
    """An edit that a named stage does not see leaves it fresh."""
    SCENARIOS["file added to a tree"](built)
    assert agree(built, "rootfs")
    assert not agree(built, "raw")


OWN = """\
source: {directory: tree}
layers: [devices: {/dev/console: c 5 1}]
boot: {loader: direct, kernel: vmlinuz, initrd: tree}
outputs: [kernel, initramfs]
"""


def touch_the_plans(project: ToyProject) -> None:
    for path in (project.top / "cache/plans").iterdir():
        path.write_bytes(path.read_bytes().replace(b"tree", b"eert"))


EDITS: dict[str, tuple[Callable[[ToyProject], object], bool]] = {
    "nothing": (lambda _: None, True),
    "a comment in the recipe": (lambda p: (p.top / "recipes/own.yaml").write_text(f"# note\n{OWN}"), False),
    "another recipe": (lambda p: (p.top / "recipes/own.yaml").write_text(OWN.replace("5 1", "5 2")), False),
    "a mistake in the recipe": (lambda p: (p.top / "recipes/own.yaml").write_text(f"{OWN}x: 1\n"), False),
    "no recipe": (lambda p: (p.top / "recipes/own.yaml").unlink(), False),
    "an edited file": (lambda p: (p.top / "recipes/tree/init").write_bytes(stand_in("other words")), False),
    "an added file": (lambda p: (p.top / "recipes/tree/new").touch(), False),
    "another kernel": (lambda p: (p.top / "recipes/vmlinuz").write_bytes(bzimage() + b"x"), False),
    "no plans": (lambda p: shutil.rmtree(p.top / "cache/plans"), False),
    "plans that are none": (touch_the_plans, False),
    "no output": (lambda p: (p.top / "build/own/own.initramfs").unlink(), False),
}  # fmt: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> ToyProject:
    """A project with a recipe of its own, built: the real planning and stages, of files that are there."""
    top = tmp_path_factory.mktemp("own")
    (top / "recipes/tree").mkdir(parents=True)
    (top / "recipes/tree/init").write_bytes(stand_in("hello"))
    (top / "recipes/tree/init").chmod(0o755)
    (top / "recipes/tree/sbin").mkdir()
    (top / "recipes/tree/sbin/init").touch(0o755)
    (top / "recipes/vmlinuz").write_bytes(bzimage())
    (top / "recipes/own.yaml").write_text(OWN)
    (top / "dodo.py").write_text(
        'from bootsmith.tasks import image_tasks\nDOIT_CONFIG, task_bootsmith = image_tasks("recipes/own.yaml")\n'
    )
    project = ToyProject(top)
    project.cache = top / "cache"
    assert project.doit("image").returncode == 0
    return project


@pytest.mark.parametrize("edit", EDITS)
def test_a_recipe_is_planned_by_doits_run(own: ToyProject, tmp_path: Path, edit: str) -> None:
    """A remembered plan is taken only for the very same files; whatever changes it, doit's run plans anew."""
    project = copy(own, tmp_path / "copy")
    project.doit("image")  # elsewhere is another plan
    change, fresh = EDITS[edit]
    change(project)
    if fresh:
        assert agree(project)
    else:
        assert project.before_doit() is None
        said = project.doit()
        assert (said.returncode == 0) == (edit not in {"a mistake in the recipe", "no recipe"})
        assert agree(project) == (said.returncode == 0)


@pytest.mark.parametrize("edit", [each for each in EDITS if "recipe" in each or "plans" in each])
def test_a_recipe_is_planned_without_doit(own: ToyProject, tmp_path: Path, edit: str) -> None:
    """An edited recipe is planned, built, or refused with its mistakes, as by doit's run."""
    ends = []
    for way in ("doit", "without"):
        project = copy(own, tmp_path / way / "copy")
        project.doit("image")
        EDITS[edit][0](project)
        done = project.doit("image") if way == "doit" else project.without_doit("image")
        text = (done.stdout + done.stderr).replace(str(project.top), "TOP")
        ends.append((done.returncode, sorted(re.sub(r" +\d+\.\d s", " N s", text).splitlines())))
        assert agree(project) == (done.returncode == 0)  # what is planned so is remembered
    assert ends[0] == ends[1]


def same(project: ToyProject, *words: str) -> None:
    """Run both ways; what is said and the exit status must be equal, and doit must have run, then and ever after."""
    assert project.before_doit(*words) is None
    said = []
    for entry in ("doit", "bootsmith.tasks.command.start"):
        project.entry = entry
        done = project.doit(*words)
        assert "halted" not in done.stderr
        out, err = (re.sub(r"(?m)__main__\.py|\bdoitw\b|^  -m\b", "doit", text) for text in (done.stdout, done.stderr))
        said.append((done.returncode, sorted(line.strip() for line in out.splitlines()), err))
    assert said[0] == said[1]
    assert project.before_doit(*words) is None


@pytest.mark.parametrize(
    "words",
    [
        ("-n", "1"), ("image", "-a"), ("option=one",), ("list",), ("info", "rootfs"), ("*",), ("imgae",),
        ("image:toy",), ("tools",), ("explain",), ("build/toy/base",), ("help",),
        ("image", "--nothing"), ("run", "image"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_other_command_lines_are_doits(built: ToyProject, words: tuple[str, ...]) -> None:
    """Options, variables, commands, patterns, targets and mistakes: all as ever."""
    if "-a" in words or words == ("tools",):
        assert built.before_doit(*words) is None
    else:
        same(built, *words)


MAKES_THE_SOURCE = """
def task_source():
    return {"actions": ["echo made > source"], "targets": [__file__.rpartition("/")[0] + "/source"]}
"""
DODOS = {
    "a task that makes an input": MAKES_THE_SOURCE,
    "a task that depends on ours": 'def task_mine(): return {"actions": ["true"], "task_dep": ["image"]}\n',
    "tasks by a generator": 'def task_mine():\n    yield {"name": "one", "actions": ["true"]}\n',
    "a task called as one of ours": 'def task_image(): return {"actions": ["true"]}\n',
    "a task called as a command of ours": 'def task_show(): return {"actions": ["true"]}\n',
    "a task called as a command of doit": 'def task_list(): return {"actions": ["true"]}\n',
    "another name for a task": 'def task_mine(): return {"basename": "image", "actions": ["true"]}\n',
    "a task of nothing": "def task_mine(): return None\n",
    "a task that is wrong": 'def task_mine(): return {"actions": "true"}\n',
    "a task that fails": "def task_mine(): raise ValueError(1)\n",
    "a task that comes later": (
        "from doit import create_after\n"
        '@create_after(executed="image")\ndef task_mine(): return {"actions": ["true"]}\n'
    ),
    "an object that makes tasks": (
        'class Made:\n    def create_doit_tasks(self): return {"actions": ["true"], "basename": "made"}\n'
        "made = Made()\n"
    ),
    "other defaults": 'DOIT_CONFIG["default_tasks"].append("show")\n',
    "another configuration": 'DOIT_CONFIG = {**DOIT_CONFIG, "verbosity": 0}\n',
    "no configuration": "del DOIT_CONFIG\n",
    "a word of doit's": 'from doit import get_var\nassert get_var("x", "kept") == "kept"\n',
    "a place of doit's": "import doit\nassert doit.get_initial_workdir()\n",
    "a mistake": "1 / 0\n",
    "no Python": "def\n",
    "an end of its own": "raise SystemExit('no more')\n",
    "another's tasks too": '_, task_other = image_tasks("toy.yaml")\n',
}


@pytest.mark.parametrize("what", DODOS)
def test_a_dodo_that_does_more_is_doits(built: ToyProject, what: str) -> None:
    """Whatever else a dodo.py says that could change what a run means, doit reads; what is said is the same."""
    dodo = built.top / "dodo.py"
    dodo.write_text(dodo.read_text() + "\n" + DODOS[what])
    if "makes" in what or what in {"other defaults", "no configuration"}:
        assert built.before_doit() is None
        built.doit()
        assert built.before_doit() is None
    elif what == "an end of its own":
        ends = [built.doit()]
        built.entry = "bootsmith.tasks.command.start"
        ends.append(built.doit())
        assert [(end.returncode, end.stdout, end.stderr) for end in ends] == [(1, "", "no more\n")] * 2
    else:
        same(built)


PLAIN = {
    "nothing": "",
    "a task of its own": 'def task_mine(): return {"actions": [lambda: None], "verbosity": 2, "pos_arg": "words"}\n',
    "other names": "task_force = 7\nhelper = print\n",
    "what a dodo.py has": (Path(__file__).parents[2] / "dodo.py")
    .read_text()
    .replace("recipes/minimal.yaml", "toy.yaml"),
}


@pytest.mark.parametrize("what", PLAIN)
def test_a_dodo_with_tasks_that_stand_alone_is_plain(built: ToyProject, what: str) -> None:
    """Tasks that neither make nor need anything change nothing: fresh is told before doit."""
    dodo = built.top / "dodo.py"
    dodo.write_text(PLAIN[what] if "image_tasks" in PLAIN[what] else dodo.read_text() + "\n" + PLAIN[what])
    assert built.image() == []  # by doit, which has to read it once
    assert agree(built)
    SCENARIOS["input edited"](built)
    assert not agree(built)


def test_the_dodo_is_read_once(built: ToyProject) -> None:
    """What a dodo.py does when it is read, it does once, fresh or not."""
    dodo = built.top / "dodo.py"
    dodo.write_text(dodo.read_text() + '\nopen("read", "a").write("x")\n')
    built.entry = "bootsmith.tasks.command.start"
    built.image()
    SCENARIOS["input edited"](built)
    assert built.image()
    assert (built.top / "read").read_text() == "xx"


@pytest.mark.parametrize("file", ["doit.cfg", "pyproject.toml"])
def test_settings_for_doit_are_doits(built: ToyProject, file: str) -> None:
    """A configuration file that says something to doit is read by doit."""
    (built.top / file).write_text(
        "[tool.doit]\nverbosity = 0\n" if file.endswith("toml") else "[GLOBAL]\nverbosity=0\n"
    )
    same(built)


@pytest.mark.parametrize("name", remembered_dodo.CONFIGURING)
def test_variables_for_doit_are_doits(built: ToyProject, name: str) -> None:
    """So is an environment that says which dodo.py is meant."""
    built.variables[name] = "dodo.py" if name == "DOIT_FILE" else "1"
    same(built)


Change = Callable[[ToyProject], object]


def install(project: ToyProject) -> None:
    """Put something beside the modules of a folder where Python looks for them."""
    (project.top / "site/new").mkdir()


def edit(project: ToyProject) -> None:
    """Write a comment into dodo.py."""
    dodo = project.top / "dodo.py"
    dodo.write_text(f"# a note\n{dodo.read_text()}")


OTHERS: dict[str, tuple[Change, bool]] = {
    "dodo.py": (edit, True),
    "pyproject.toml": (lambda project: (project.top / "pyproject.toml").write_text("[tool.x]\n"), True),
    "what is installed": (install, True),
    "what was remembered": (lambda project: (project.top / "build/.dodo.json").write_text("{}"), True),
    "nothing remembered": (lambda project: (project.top / "build/.dodo.json").unlink(), True),
    "a doit.cfg": (lambda project: (project.top / "doit.cfg").touch(), False),
    "a package called dodo": (lambda project: (project.top / "dodo").mkdir(), False),
    "a module called as one that dodo.py imports": (lambda project: (project.top / "datetime").mkdir(), False),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_a_dodo_means_is_asked_again_when_anything_changed(built: ToyProject, what: str) -> None:
    """An edit of what it follows from is doit's to read, once; what could be taken for it, ever after."""
    (built.top / "site").mkdir()
    built.variables["PYTHONPATH"] = f"{built.environment()['PYTHONPATH']}:{built.top / 'site'}"
    dodo = built.top / "dodo.py"
    dodo.write_text(f"import datetime\n{dodo.read_text()}")
    assert built.image() == []
    assert built.before_doit() is not None
    change, plain = OTHERS[what]
    change(built)
    assert built.before_doit() is None
    assert built.image() == []
    assert (built.before_doit() is not None) == plain


def test_another_dodo_in_its_place_is_read(built: ToyProject) -> None:
    """A package called dodo, which Python takes instead of dodo.py, is doit's to read."""
    (built.top / "dodo").mkdir()
    (built.top / "dodo/__init__.py").write_text('def task_mine(): return {"actions": ["echo mine"]}\n')
    same(built)


def test_doitw_remembers_too(built: ToyProject) -> None:
    """Whichever way doit was come to, the next start need not read dodo.py."""
    (built.top / "build/.dodo.json").unlink()
    built.entry = "bootsmith.tasks.command.start"
    assert built.image() == []
    assert agree(built)


def test_a_dodo_edited_as_it_starts_is_the_new_one(built: ToyProject) -> None:
    """A dodo.py that names another recipe by the time doit reads it builds that one, and does not hold the first."""
    (built.top / "other.yaml").write_text("two\n")
    SCENARIOS["input edited"](built)
    lock = FileLock(built.top / STATE / "lock")
    lock.acquire()
    built.entry = "bootsmith.tasks.command.start"
    waiting = built.start("image")
    assert waiting.stdout is not None
    said = waiting.stdout.readline()
    dodo = built.top / "dodo.py"
    dodo.write_text(dodo.read_text().replace("toy.yaml", "other.yaml"))
    lock.release()
    rest, errors = waiting.communicate(timeout=60)
    assert said.startswith("waiting for ")
    assert waiting.returncode == 0, errors
    assert "build/other/disk.raw" in rest
    assert "build/toy" not in rest


def test_it_waits_for_another_build_once(built: ToyProject) -> None:
    """Who builds here is waited for and named once, though doit takes over afterwards; then the edit is built."""
    SCENARIOS["input edited"](built)
    lock = FileLock(built.top / STATE / "lock")
    lock.acquire()
    built.entry = "bootsmith.tasks.command.start"
    waiting = built.start("image")
    assert waiting.stdout is not None
    said = waiting.stdout.readline()
    lock.release()
    rest, errors = waiting.communicate(timeout=60)
    assert said.startswith("waiting for ")
    assert "waiting" not in rest + errors
    assert "built    rootfs" in rest
    assert waiting.returncode == 0


def test_others_are_told_what_was_typed(built: ToyProject) -> None:
    """Who waits for it reads `doitw image`."""
    built.entry = "bootsmith.tasks.command.start"
    built.image()
    assert (built.top / STATE / "lock").read_text().endswith(": doitw image\n")
