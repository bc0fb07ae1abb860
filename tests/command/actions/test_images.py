"""Which image a command means, and what opens it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bootsmith.tasks.command.actions import images
from bootsmith.tasks.errors import BootsmithError, StageError, UsageError

from tests.command.actions.conftest import Calls

ENCRYPTED = "outputs: [qcow2: {encrypt: {env: OURS}}]\n"


def test_the_file_named_is_the_image(call: Calls) -> None:
    """It is looked for where the command was typed, and stands for the recipe's own."""
    assert images.disk(call("inspect", "some.img")) == call.top / "some.img"
    assert images.shown(call("inspect", "some.img"), call.top / "some.img") == "some.img"


def test_the_recipes_disk_is_the_image(call: Calls) -> None:
    """Where no file is named; it is shown by its path from where the command was typed."""
    request = call("inspect")
    assert images.disk(request) == call.top / "build/box/box.raw"
    assert images.shown(request, call.top / "build/box/box.raw") == "build/box/box.raw"
    assert images.shown(request, Path("/elsewhere/x")) == "/elsewhere/x"


def test_an_output_is_taken_only_as_the_recipe_makes_it_now(call: Calls) -> None:
    """`--format` means the recipe's output of that format, if it has one, and if that is fresh."""
    with pytest.raises(StageError, match=r"build/box/box\.qcow2 is not what the recipe makes now") as refused:
        images.disk(call("run-uefi", format="qcow2"))
    assert refused.value.hint == "`doit image`"
    with pytest.raises(UsageError, match="box has no output vmdk"):
        images.disk(call("run-uefi", format="vmdk"))


def test_a_recipe_without_a_disk_says_what_it_has(call: Calls) -> None:
    """One that makes a kernel is started directly."""
    with pytest.raises(UsageError, match="kernel has no disk") as refused:
        images.disk(call("inspect", recipe="kernel"))
    assert refused.value.hint == "`doit run-direct:kernel` starts its kernel."


@pytest.mark.parametrize(
    ("words", "given", "message"),
    [
        ((), {}, "run-uefi: no file is named"),
        (("a b", "c"), {}, "one file, not 2: 'a b' c"),
        (("a",), {"at": "12"}, "at=12 and a are two images"),
    ],
)
def test_one_file_is_named(call: Calls, words: tuple[str, ...], given: dict[str, str], message: str) -> None:
    """Neither none nor two, nor a file and a past build."""
    with pytest.raises(UsageError, match=message):
        images.named(call("run-uefi", *words, given=given))


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "the disk .*/x does not exist"),
        (Path.mkdir, "the disk .*/x is not a file"),
        (make_fifo, "the disk .*/x is not a file"),
        (Path.touch, "the disk .*/x is empty"),
        (lambda path: path.symlink_to(path), "the disk .*/x cannot be read: Too many levels of symbolic links"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, make: object, message: str) -> None:
    """A pipe too, which would be waited for without end."""
    assert callable(make)
    make(tmp_path / "x")
    with pytest.raises(UsageError, match=message) as refused:
        images.existing(tmp_path / "x", "Name another.", "the disk")
    assert refused.value.hint == "Name another."


def test_the_passphrase_given_opens_the_image(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes before the recipe's own; of a file that is named nothing else is known."""
    call.edit("outputs: [raw, qcow2]\n", ENCRYPTED)
    monkeypatch.setenv("OURS", "our words")
    monkeypatch.setenv("THEIRS", "their words")
    image = call.top / "build/box/box.qcow2"
    own = images.passphrase(call("inspect"), image)
    assert own is not None
    assert own.text == b"our words"
    given = images.passphrase(call("inspect", passphrase="env:THEIRS"), image)
    assert given is not None
    assert given.text == b"their words"
    assert images.passphrase(call("inspect"), call.top / "build/box/box.raw") is None
    assert images.passphrase(call("inspect", "some.img"), call.top / "some.img") is None


def test_a_passphrase_that_is_none_is_refused_first(call: Calls) -> None:
    """Before anything is made for the command; one whose file is missing, too."""
    images.check(call("inspect"))
    with pytest.raises(BootsmithError):
        images.check(call("inspect", passphrase="words"))


def test_the_secret_of_the_output_asked_for_is_read(call: Calls) -> None:
    """And no other: the raw disk needs none, nor does a file that is named or a past build."""
    call.edit("outputs: [raw, qcow2]\n", ENCRYPTED)
    plan = call("run-uefi").session.builder().plan
    asked = [
        list(images.secrets(request, plan))
        for request in (
            call("run-uefi", format="qcow2"),
            call("run-uefi"),
            call("run-uefi", "some.img", format="qcow2"),
            call("run-uefi", format="qcow2", given={"at": "12"}),
        )
    ]
    assert [len(each) for each in asked] == [1, 0, 0, 0]
    assert asked[0][0].env == "OURS"


def test_files_of_one_name_are_two(tmp_path: Path) -> None:
    """What is kept of a file lies under its name and where it is, however it was reached."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "link").symlink_to("one")
    one, two, link = (images.own_name(tmp_path / name / "x.img") for name in ("one", "two", "link"))
    assert one == link != two
    assert one.startswith("x.img-")
