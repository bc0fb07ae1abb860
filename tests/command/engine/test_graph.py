"""Which tasks a command line means, and which it cannot mean."""

from __future__ import annotations

import pytest
from bootsmith.tasks.command.command import Command
from bootsmith.tasks.command.table import COMMANDS

from tests.support.toy_project import ALL, ToyProject


def test_an_unknown_task_gets_near_names(project: ToyProject) -> None:
    """Exit 3 and the names it may have meant, not doit's parser."""
    done = project.doit("imgae")
    assert done.returncode == 3
    assert "imgae is not a task" in done.stderr
    assert "Did you mean image?" in done.stderr
    assert project.runs() == []
    assert project.doit("info", "rotfs").returncode == 3


def test_stages_run_alone_with_what_they_need(project: ToyProject) -> None:
    """One stage by its name builds its producers and no more (L13)."""
    assert project.image("layers/upper") == ["layers/upper", "rootfs"]


def test_another_recipe_by_name(project: ToyProject) -> None:
    """`image:NAME` builds another recipe beside the default; a broken default does not stop it."""
    (project.top / "other.yaml").write_text("three\n")
    (project.top / "toy.yaml").write_text("broken\n")
    assert project.image("image:other") == ALL
    assert "three" in (project.top / "build/other/disk.qcow2").read_text()
    done = project.doit("image")
    assert done.returncode == 3
    assert "toy.yaml:1:1: this recipe is broken; mend it" in done.stderr
    assert "Traceback" not in done.stderr
    done = project.doit("image:othre")
    assert done.returncode == 3
    assert "other" in done.stderr


def test_a_recipe_elsewhere_by_path(project: ToyProject) -> None:
    """`recipe=PATH` takes the place of the default; PATH is relative to the shell's directory."""
    (project.top / "far").mkdir()
    (project.top / "far/away.yaml").write_text("four\n")
    assert project.image("recipe=far/away.yaml", "image") == ALL
    assert (project.top / "build/away/disk.qcow2").exists()


def test_two_recipes_that_share_a_build_directory_are_told(project: ToyProject) -> None:
    """Two of one name in two folders: each build makes the other's anew, which is said; one that moved is the same."""
    away = project.top / "far/toy.yaml"
    away.parent.mkdir()
    away.write_text("four\n")
    shared = f"{project.top}/build/toy was last built of "
    assert shared not in project.doit("image").stdout
    told = project.doit("recipe=far/toy.yaml", "image").stdout
    assert f"{shared}{project.top}/toy.yaml, and now is of {away}: give one of them another `name:`\n" in told
    assert shared not in project.doit("recipe=far/toy.yaml", "image").stdout
    assert shared in project.doit("image").stdout
    project.doit("recipe=far/toy.yaml", "image")
    away.rename(away.with_name("moved.yaml"))
    assert shared not in project.doit("image").stdout


def test_options_of_one_command_are_not_anothers(built: ToyProject) -> None:
    """`run-uefi --print` is not read as an option of `inspect`; a file in place of the recipe builds nothing."""
    done = built.doit("run-uefi", "--print", "--memory", "64", "toy=1.img")
    assert done.returncode == 3
    assert "machine.memory" in done.stderr
    done = built.doit("inspect", "--json", "toy=1.img")
    assert done.returncode == 3
    assert "toy=1.img does not exist" in done.stderr
    assert len(built.runs()) == len(ALL)


@pytest.mark.parametrize(
    "words",
    [
        ("run-bios", "--print", "--accel", "tcg", "--memory", "3G", "--share", "x=tree", "disk=1.img"),
        ("run-bios", "disk=1.img", "--print", "--accel", "tcg", "--memory", "3G", "--share", "x=tree"),
        ("run-bios", "--print", "disk=1.img", "--accel=tcg", "--memory=3G", "--share=x=tree"),
        ("run-bios", "--print", "--accel", "tcg", "--share", "x=tree", "--memory", "3G", "--", "disk=1.img"),
    ],
)
def test_options_stand_before_or_behind_the_file(built: ToyProject, words: tuple[str, ...]) -> None:
    """Where an option stands, and how its value is written, is all the same; a value may hold `=` (A16)."""
    (built.top / "disk=1.img").write_bytes(b"\xf4".ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    done = built.doit(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  -m 3072M " in done.stdout
    assert f"path={built.top}/tree,mount_tag=x" in done.stdout
    assert f"file={built.top}/disk=1.img" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run-uefi", "--memroy", "2G", "x.img"), "run-uefi: option --memroy not recognized\n  Did you mean --memory?"),
        (("run-uefi", "x.img", "--memroy", "2G"), "run-uefi: option --memroy not recognized\n  Did you mean --memory?"),
        (("run-tgz", "x.tgz", "--gbd"), "run-tgz: option --gbd not recognized\n  Did you mean --gdb?"),
        (("build-efistub", "x.tgz", "--outptu", "y"), "option --outptu not recognized\n  Did you mean --output?"),
        (("run-dir", "tree", "--memory"), "run-dir: option --memory requires argument"),
        (("run-uefi", "x.img", "--print=yes"), "run-uefi: option --print must not have an argument"),
        (("run-uefi:other", "x.img", "--memroy", "2G"), "Did you mean --memory?"),
        (("image", "inspect", "x.img", "--jsno"), "Did you mean --json?"),
        (("image", "cache", "stat", "--jsno"), "Did you mean --json?"),
        (("ssh", "--prot", "2222", "ls"), "ssh: option --prot not recognized\n  Did you mean --port?"),
        (("image", "qemu-test", "--forse"), "qemu-test: option --forse not recognized\n  Did you mean --force?"),
        (("image", "--zzz"), "image: option --zzz not recognized\n  `doit help image` shows its options."),
        (("run-dir:other", "tree"), "run-dir:other: run-dir needs no recipe"),
    ],
)
def test_wrong_options_are_refused_wherever_they_stand(
    project: ToyProject, words: tuple[str, ...], message: str
) -> None:
    """A misspelt option is answered with its near names before anything runs, be it before or behind the file."""
    (project.top / "other.yaml").write_text("two\n")
    done = project.doit(*words)
    assert done.returncode == 3, done.stdout
    assert message in done.stderr
    assert done.stdout == ""
    assert project.runs() == []


def test_words_for_ssh_name_nothing_else(project: ToyProject) -> None:
    """Words of a command that is to run in a guest are no tasks, recipes or trees of ours."""
    for words in (("run-dir", "/nowhere"), ("image:nowhere",), ("ls", "-l", "--memroy"), ("--", "ls", "-l")):
        done = project.doit("ssh", *words)
        assert (done.returncode, "no such machine is running" in done.stdout) == (1, True), done.stderr


def test_a_command_waits_for_what_is_built_before_it(project: ToyProject) -> None:
    """`image run-uefi --format qcow2` finds the qcow2 that `image` makes, though it needs no more than the raw disk."""
    (project.top / "other.yaml").write_text("two\n")
    for words in (("image", "run-uefi"), ("image:other", "run-bios:other"), ("raw", "convert/qcow2:other", "inspect")):
        done = project.doit("-n", "4", *words, *(["--format", "qcow2", "--print"] if words[-1] != "inspect" else []))
        said = done.stdout + done.stderr
        assert "is not what the recipe makes now" not in said
        last = said.index(f"failed   {words[-1]}") if "failed" in said else len(said)
        assert said.index("convert/qcow2") < last
        (project.top / "source").write_text(f"{words}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ssh:nowhere",), "there is no recipe 'nowhere'"),
        (("ssh", "--timeout", "soon"), "--timeout soon: not a number of seconds"),
    ],
)
def test_what_ssh_is_told_is_looked_at_first(project: ToyProject, words: tuple[str, ...], message: str) -> None:
    """A recipe that is nowhere, or a time that is none, is told though nothing runs."""
    done = project.doit(*words)
    assert done.returncode == 3
    assert message in done.stdout


def test_several_firmwares_are_one_option(project: ToyProject) -> None:
    """`qemu-test --firmware uefi,bios` reaches the recipe as two."""
    (project.top / "real.yaml").write_text("source: {directory: tree}\n")
    done = project.doit("qemu-test:real", "--firmware", "uefi,boos")
    assert done.returncode == 3
    assert "command line: test.firmware: 'boos' is not a choice; did you mean bios?" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("qemu-test:real", "--entry", "nope"), "test.entry: there is no entry 'nope'; only default is known here"),
        (("qemu-test:real", "--timeout", "5"), "test.timeout: 5 has no unit; did you mean 5s?"),
        (("run-uefi:real", "--memory", "2"), "machine.memory: 2 has no unit; did you mean 2G?"),
        (("run-bios:real", "--cpus", "zero", "--gdb"), "machine.cpus: 'zero' is not a whole number"),
        (("image:real", "run-direct:real", "--qemu", "-x 'y"), "--qemu: No closing quotation"),
        (("run-uefi:real", "--format", "vdmk"), "--format vdmk: there is no such format\n  Known here: raw, qcow2,"),
        (("run-tgz", "--memory", "2", "tree.tgz"), "machine.memory: 2 has no unit; did you mean 2G?"),
        (("run-dir",), "run-dir: no file is named\n  `doit help run-dir` shows what it takes."),
    ],
)
def test_options_that_mean_nothing_are_refused_first(project: ToyProject, words: tuple[str, ...], message: str) -> None:
    """The value of an option is looked at before anything is built for the command that takes it."""
    (project.top / "real.yaml").write_text("source: {directory: tree}\n")
    (project.top / "tree.tgz").write_bytes(b"")
    done = project.doit(*words)
    assert done.returncode == 3, done.stdout
    assert message in done.stderr
    assert done.stdout == ""
    assert project.runs() == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help(project: ToyProject, command: Command) -> None:
    """`doit help COMMAND` says what it does, and every option with its meaning."""
    text = " ".join(project.doit("help", command.name).stdout.split())
    assert text.startswith(f"{command.name} {command.doc}")
    for param in command.params:
        assert f"--{param['long']}" in text
        assert param["help"] in text


def test_unknown_variables_are_refused(project: ToyProject) -> None:
    """A misspelt variable is a mistake even where nothing would read it."""
    done = project.doit("tools", "disk.siez=4G")
    assert done.returncode == 3


def test_a_dodos_own_task_takes_words_and_plans_nothing(project: ToyProject) -> None:
    """A task beside ours runs with words of its own, though the recipe is broken."""
    dodo = project.top / "dodo.py"
    own = """
def task_mine():
    return {"actions": [lambda words: print("mine:", *words)], "pos_arg": "words", "verbosity": 2}
"""
    dodo.write_text(dodo.read_text() + own)
    (project.top / "toy.yaml").write_text("broken\n")
    done = project.doit("mine", "--", "some", "-k", "words")
    assert done.returncode == 0, done.stderr
    assert "mine: some -k words" in done.stdout
    assert project.doit("mine", "image").returncode == 0
    assert project.doit("image", "mine").returncode == 3


def test_the_value_of_an_option_names_no_task(project: ToyProject) -> None:
    """A command of another recipe takes its options without the default recipe, which may lack its variables."""
    (project.top / "other.yaml").write_text("source: {directory: tree}\nboot: {entries: {one: {}, rescue: {}}}\n")
    (project.top / "toy.yaml").write_text("broken\n")
    done = project.doit("qemu-test:other", "--entry", "rescue")
    assert "rootfs" in project.runs(), done.stderr
    assert "this recipe is broken" not in done.stdout + done.stderr
