"""What is said of a command line before there is a plan: help, versions, where dodo.py is, words that are none."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from bootsmith import __version__

from tests.support.toy_project import ENTRIES, ToyProject

DOITW = ENTRIES["doitw"]


@pytest.fixture
def unplannable(project: ToyProject) -> ToyProject:
    """A toy project whose every plan fails: what is said there is said before one is made."""
    plan = project.top / "toyplan.py"
    plan.write_text(plan.read_text().replace("top, stem =", "1 / 0; top, stem ="))
    return project


@pytest.mark.parametrize("word", ["setup", "setup/a", "setup:toy", "imgae", "image setup"])
def test_a_word_that_is_no_task_is_said_at_once(unplannable: ToyProject, word: str) -> None:
    """Whatever the plan would be: packages may be resolved for one, which takes long and needs the network."""
    done = unplannable.doit(*word.split())
    assert done.returncode == 3
    assert f"ERROR: {word.rsplit(maxsplit=1)[-1].partition(':')[0]} is not a task\n" in done.stderr


def test_a_stage_that_is_none_is_said_before_the_lock_is_made(project: ToyProject) -> None:
    """Which stages there are follows from the recipe alone."""
    plan = project.top / "toyplan.py"
    text = plan.read_text().replace("return products.complete(", "plan = products.complete(")
    resolved = "    reads and reads(plan)\n    (top / 'resolved').touch()\n    return plan\n"
    text = text.replace("def recall", f"{resolved}\ndef recall").replace(
        "return make(session, file, None)", "return None"
    )
    plan.write_text(text)
    done = project.doit("layers/uper")
    assert (done.returncode, (project.top / "resolved").exists()) == (3, False), done.stderr
    assert "layers/uper is not a task\n  Did you mean layers/upper" in done.stderr
    assert project.doit("layers/upper").returncode == 0
    assert (project.top / "resolved").exists()


def test_help_about_nothing_is_a_mistake(project: ToyProject) -> None:
    """doit would tell of itself, as if all were well."""
    for word, said in (("imgae", "Did you mean image?"), ("lisst", "Did you mean list"), ("xyz", "`doit list` shows")):
        done = project.doit("help", word)
        assert (done.returncode, done.stdout) == (3, "")
        assert f"{word} is neither a task nor a command\n  {said}" in done.stderr


def test_help_about_a_command_or_a_group_asks_no_recipe(project: ToyProject) -> None:
    """About a single stage it does, and tells what is wrong with it."""
    told = {word: project.doit("help", word).stdout for word in ("image", "layers", "run-uefi")}
    (project.top / "toy.yaml").write_text("broken")
    assert {word: project.doit("help", word).stdout for word in told} == told
    assert told["layers"] == "layers  what the recipe adds to the tree; needs no root\n"
    done = project.doit("help", "layers/upper")
    assert (done.returncode, done.stdout) == (3, "")
    assert "this recipe is broken" in done.stderr


def test_help_stands_behind_a_task_too(project: ToyProject) -> None:
    """`./doitw image --help` is `./doitw help image`."""
    project.entry = DOITW
    for words in (("image", "-h"), ("run-uefi", "--help"), ("list", "--help")):
        assert project.doit(*words).stdout == project.doit("help", words[0]).stdout != ""


def test_the_version_is_ours(project: ToyProject) -> None:
    """And doit's, for who looks its options up."""
    project.entry = DOITW
    assert project.doit("--version").stdout.startswith(f"bootsmith {__version__} on doit 0.")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--nothing", "run: option --nothing not recognized\n  `doit help run`"),
        ("list --nothing", "list: option --nothing not recognized\n  `doit help list`"),
        ("-n some image", "run: --process takes a number"),
        ("dumpdb", "dumpdb: doit's database holds nothing here"),
        ("a=1 a=2", "a is given twice: '1' and '2'"),
    ],
)
def test_words_for_doit_that_are_wrong_are_said_in_a_line(project: ToyProject, words: str, said: str) -> None:
    """Neither a traceback, nor every option there is as Python writes it."""
    project.entry = DOITW
    done = project.doit(*words.split())
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"ERROR: {said}")
    assert "CmdOption" not in done.stderr


def test_options_of_doits_may_stand_before_a_command(built: ToyProject) -> None:
    """Where dodo.py is, is said first: the command is one still."""
    done = built.doit("-f", str(built.top / "dodo.py"), "list")
    assert done.returncode == 0, done.stderr
    assert "image" in done.stdout


def test_a_dodo_is_looked_for_in_the_folders_above(built: ToyProject) -> None:
    """From within a project it is that project; files on the command line are where one stands."""
    top = built.top
    built.entry = DOITW
    (top / "tree/inner").mkdir()
    (top / "tree/inner/some.img").write_bytes(b"x" * 512)
    environment = built.environment()

    def run(folder: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", DOITW, *words], cwd=folder, env=environment, text=True, capture_output=True,
            check=False,
        )  # fmt: skip

    done = run(str(top / "tree/inner"), "explain")
    assert done.returncode == 0, done.stderr
    assert "layers/tree" in done.stdout
    assert "table: none" in run(str(top / "tree/inner"), "inspect", "some.img").stdout
    nowhere = top.parent
    done = run(str(nowhere), "image")
    assert done.returncode == 3
    assert f"there is no dodo.py in {nowhere}, nor in a folder above" in done.stderr
    assert run(str(nowhere), "help", "list").returncode == 0
    assert run(str(nowhere), "-f", str(top / "dodo.py"), "explain").returncode == 0


def test_a_reader_that_leaves_is_no_error(built: ToyProject) -> None:
    """`doit list | head -1` ends quietly."""
    for words in (["list"], ["list", "-s", "--all"], ["help", "run-uefi"], ["info", "rootfs"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", built.entry, *words], cwd=built.top, env=built.environment(), text=True,
            stdout=writing, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
        os.close(writing)
        assert done.stderr == "", words
