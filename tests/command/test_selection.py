"""What one command line asks for, told before anything is planned or built."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.build.plan import Plan
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.command import invocation
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.command.selection import BY_NAME, Selection
from bootsmith.tasks.command.session import Session
from bootsmith.tasks.command.table import COMMANDS
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.planning import products

TOP = Path("/project")
PASSPHRASE, PASSWORD = Secret(env="PASSPHRASE"), Secret(env="PASSWORD")


def selected(line: str, *others: str) -> Selection:
    """Return what a command line selects, in a dodo.py with tasks of its own called `others`."""
    asked = invocation.read(
        line.split(),
        commands=["run", "list", "info", "clean", "forget", "help"],
        positional=[command.name for command in COMMANDS if command.positional],
        parse=lambda _command, words: ({"subtasks": "--all" in words}, [each for each in words if each != "--all"]),
    )
    return Selection(Session(Path("toy.yaml"), asked, TOP, TOP, Progress()), set(others))


def plan(*, disk: bool = True) -> Plan:
    """Return a plan: a tree with a secret in it, its disk, and that disk encrypted."""
    tree, raw, image = TOP / "build/tree", TOP / "build/disk", TOP / "build/disk.qcow2"
    stages = [Stage("layers/1", "toys:layer", {}, {"tar": tree}, secrets={"password": PASSWORD})]
    if disk:
        stages += [
            Stage("assemble", "toys:join", {"tree": tree}, {"disk": raw}),
            Stage("convert/qcow2", "toys:pack", {"disk": raw}, {"image": image}, secrets={"passphrase": PASSPHRASE}),
        ]
    outputs = (image,) if disk else (tree,)
    made = Plan("toy", TOP / "build", TOP / "toy.lock", 0, TOP / "toy.yaml", "", tuple(stages), outputs)
    return products.complete(made)


@pytest.mark.parametrize(
    ("line", "only"),
    [
        ("explain", True), ("log", True), ("restore --at 1", True), ("explain log", True), ("at=1 run-uefi", True),
        ("", False), ("image", False), ("explain image", False), ("run-uefi", False), ("tools", False),
        ("update", False), ("explain mine", True), ("mine explain", False),
    ],
)  # fmt: skip
def test_who_only_looks_leaves_lock_files_alone(line: str, only: bool) -> None:
    """A command line of such commands alone makes and renews no lock file."""
    assert selected(line, "mine").only_looks() is only


@pytest.mark.parametrize("line", ["run-uefi", "run-bios raw", "run-direct", "qemu-test", "inspect", "restore"])
def test_a_past_build_is_for_who_reads_an_image(line: str) -> None:
    """`at=ID` goes with the commands that boot, test, read or restore one."""
    selected(f"at=1 {line}").check_past()


@pytest.mark.parametrize(
    ("line", "wrong"),
    [("image", "image"), ("", "image"), ("raw inspect", "raw"), ("log", "log"), ("tools", "tools")],
)
def test_a_past_build_is_refused_elsewhere(line: str, wrong: str) -> None:
    """Where nothing takes `at=ID` it is refused: silently it would mean the present."""
    with pytest.raises(UsageError, match=f"at=1 does not go with {wrong}") as refused:
        selected(f"at=1 {line}").check_past()
    assert (
        refused.value.hint
        == "It goes with run-uefi, run-bios, run-direct, qemu-test, write, restore, inspect, verify, ls, cat, extract."
    )


def test_each_command_is_told_its_own_options() -> None:
    """Options belong to the command before them, words to the one that takes words."""
    called = [
        (command.name, request.recipe, {name: value for name, value in request.options.items() if value}, request.words)
        for command, request in selected("explain --json qemu-test:other --entry one run-uefi --gdb a=b").calls()
    ]
    assert called == [
        ("explain", None, {"json": True}, ()),
        ("qemu-test", "other", {"entry": "one"}, ()),
        ("run-uefi", None, {"gdb": True}, ("a=b",)),
    ]


def test_words_behind_a_task_of_the_dodos_own_are_its() -> None:
    """What follows such a task is never taken for a command of ours."""
    assert [command.name for command, _ in selected("explain mine log", "mine").calls()] == ["explain"]
    assert not selected("mine image", "mine").needs_plan(None)


def test_what_stands_before_a_command_is_built_before_it() -> None:
    """Stages and groups of them do; other commands do not, nor what stands behind."""
    chosen = selected("raw convert/qcow2:other explain inspect x")
    assert chosen.built_before(BY_NAME["inspect"], None) == ["raw", "convert/qcow2:other"]
    assert chosen.built_before(BY_NAME["run-uefi"], None) == []


def test_recipes_are_those_that_are_named() -> None:
    """The default one is always among them; names of files that a command takes are not."""
    assert selected("image:one layers/upper:two run-uefi:one a:b mine:c").recipes() == [None, "one", "two"]
    assert selected("").recipes() == [None]


def test_variables_are_for_the_recipes_of_that_line() -> None:
    """A command with a recipe of its own choice sees to its variables by itself."""
    assert selected("").meant() == [None]
    assert selected("image:one show").meant() == ["one", None]
    assert selected("fetch-mach").meant() == []


@pytest.mark.parametrize(
    ("line", "needs"),
    [
        ("", True), ("image", True), ("raw", True), ("unknown", True), ("explain", True), ("run-uefi", True),
        ("run-uefi x.img", False), ("at=1 run-uefi", True), ("qemu-test", True), ("inspect --json", True),
        ("inspect --json x.img", False), ("tools", False), ("update", False), ("show", False), ("run-dir tree", False),
        ("ssh image", False), ("cache stat", False), ("image:other", False), ("mine", False), ("list", True),
        ("info tools", False), ("info raw", True),
    ],
)  # fmt: skip
def test_the_recipe_is_planned_only_where_it_is_needed(line: str, needs: bool) -> None:
    """A broken recipe stops nobody who boots a file, or lists the host's programs."""
    assert selected(line, "mine").needs_plan(None) is needs


def test_a_command_needs_the_disk() -> None:
    """A test needs the encrypted image, where the recipe keeps no other; without a disk it is whatever there is."""
    for line, whole, bare in (
        ("run-uefi", "assemble", "image"),
        ("inspect", "assemble", "image"),
        ("qemu-test", "convert/qcow2", "image"),
        ("run-uefi x.img", None, None),
        ("at=1 qemu-test", None, None),
        ("explain", None, None),
        ("tools", None, None),
    ):
        chosen = selected(line)
        command = BY_NAME[line.removeprefix("at=1 ").partition(" ")[0]]
        assert (chosen.needed(command, plan()), chosen.needed(command, plan(disk=False))) == (whole, bare), line


@pytest.mark.parametrize(
    ("line", "secrets"),
    [
        ("image", {PASSWORD, PASSPHRASE}), ("", {PASSWORD, PASSPHRASE}), ("raw", {PASSWORD}), ("lay*", {PASSWORD}),
        ("run-uefi", {PASSWORD}), ("run-uefi --format qcow2", {PASSWORD, PASSPHRASE}), ("tools", set()),
        (f"{TOP}/build/disk.qcow2", {PASSWORD, PASSPHRASE}), ("image:other", set()), ("list", set()),
        ("run-uefi --format qcow2 x.img", set()),
    ],
)  # fmt: skip
def test_secrets_are_those_that_will_be_read(line: str, secrets: set[Secret]) -> None:
    """One that nothing asked for would read may be missing."""
    assert set(selected(line).secrets(None, plan())) == secrets


def test_what_image_is_told_is_no_task() -> None:
    """The value of an option may be called like one, and each recipe is told its own."""
    chosen = selected("image --output raw image:other --locked --disk-size 2G explain")
    assert list(chosen.tasks()) == [("image", None), ("image", "other"), ("explain", None)]
    assert [command.name for command, _ in chosen.calls()] == ["explain"]
    told = [(name, {key: value for key, value in found.items() if value}) for name, found in chosen.images()]
    assert told == [(None, {"output": "raw"}), ("other", {"locked": True, "disk_size": "2G"})]
    assert selected("image --locked", "image").images() == []
    with pytest.raises(UsageError, match="--disk-siez"):
        selected("image --disk-siez 2G").images()
