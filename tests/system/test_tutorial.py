"""The tutorial, followed to the letter by an ordinary user in a checkout of their own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT, copied, set_up
from tests.support.console_session import Command, File, Session, differences, steps
from tests.support.document_pages import passages
from tests.support.ordinary_user import UID, ordinary_user

PAGE = CHECKOUT / "docs/tutorial.md"
STEPS = list(steps(each for each in passages() if each.page == PAGE))


def test_nothing_in_it_is_passed_over() -> None:
    """What is run below is the whole page: all its commands, those for the guest too, and both files."""
    typed = [line for line in PAGE.read_text().splitlines() if line.startswith(("$ ", "~ # "))]
    commands = [step for step in STEPS if isinstance(step, Command)]
    assert sum(1 + len(command.typed) for command in commands) == len(typed) > 20
    assert [step.name for step in STEPS if isinstance(step, File)] == ["dodo.py", "my.yaml"]


@pytest.mark.boot
@pytest.mark.xdist_group("tiny")
def test_it_can_be_followed(tmp_path: Path) -> None:
    """Each command, in order, does what the page shows, up to times, sizes and versions: two systems boot."""
    user = ordinary_user(tmp_path)
    checkout = copied(user.home / "bootsmith")
    set_up(checkout)
    session = Session(user, checkout)
    if os.geteuid() == 0:
        for path in (user.home, *user.home.rglob("*")):
            os.chown(path, UID, UID, follow_symlinks=False)
    for step in STEPS:
        if isinstance(step, File):
            (session.folder / step.name).write_text(step.text)
        else:
            said = session.run(step)
            assert differences(step, said) == [], f"{step.name}: {step.text}\n{said}"
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize(
    ("shown", "wrong"),
    [
        ("built    rootfs   0.2 s    8.0 KiB\nfresh    kernel  11.2 MiB\nLinux 6.1.0-9 (tcg)", 0),
        ("fresh    rootfs   8.0 KiB\n...", 1),
        ("built    rootfs   0.2 s    8.0 KiB", 2),
        ("...\nfresh    kernel  11.2 MiB\nfresh    kernel  11.2 MiB", 1),
        ("built    ...\nfresh    kernel  11.2 MiB\nLinux ...", 0),
        ("built    kernel ...\n...", 1),
    ],
)
def test_a_page_that_shows_something_else_is_found(shown: str, wrong: int) -> None:
    """The test above sees a line too few, a line too many, and another word, whatever the order."""
    said = "Linux 6.12.1+deb (kvm)\nfresh    kernel     12 MiB\nbuilt    rootfs     10.0 s  9 KiB\n"
    assert len(differences(Command("page", "x", shown=shown.splitlines()), said)) == wrong
