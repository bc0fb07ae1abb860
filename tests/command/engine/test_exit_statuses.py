"""Exit statuses: the same for one kind of ending, whichever way a run is started; the page of commands has them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.toy_project import ToyProject

Change = Callable[[ToyProject], object]


def write(name: str, text: str) -> Change:
    return lambda project: (project.top / name).write_text(text)


def edit(name: str, old: str, new: str) -> Change:
    def act(project: ToyProject) -> None:
        path = project.top / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return act


def add(text: str) -> Change:
    def act(project: ToyProject) -> None:
        path = project.top / "dodo.py"
        path.write_text(f"{path.read_text()}\n{text}\n")

    return act


def set_to(name: str, value: str) -> Change:
    return lambda project: project.variables.update({name: value})


def nothing(_project: ToyProject) -> None: ...


ENDINGS: dict[str, tuple[int, Change, str]] = {
    "all done": (0, nothing, "image"),
    "looked at": (0, nothing, "explain"),
    "a stage failed": (1, write("source", "fail"), "image"),
    "an input is missing": (1, lambda project: (project.top / "source").unlink(), "image"),
    "a host program is missing": (1, lambda project: (project.top / "bin/toytool").unlink(), "image"),
    "no build directory": (1, write("build", ""), "image"),
    "no cache": (1, write("cache", ""), "image"),
    "nothing to enter": (1, nothing, "ssh"),
    "a fault in a stage": (2, edit("toystages.py", "count(context)", "1 / 0"), "image"),
    "a word that is none": (3, nothing, "imgae"),
    "an option that is none": (3, nothing, "inspect --jsno"),
    "a value that is none": (3, nothing, "log -n some"),
    "a file that is not there": (3, nothing, "inspect nowhere.img"),
    "a variable that is none": (3, nothing, "tools disk.siez=1G"),
    "a mistake in the recipe": (3, write("toy.yaml", "broken"), "image"),
    "a task that is refused": (3, nothing, "ignore rootfs"),
    "a mistake in the dodo.py": (3, add("1 / 0"), "image"),
    "a fault while it is planned": (3, edit("toyplan.py", "top, stem =", "1 / 0; top, stem ="), "raw"),
    "a word of the environment": (3, set_to("BOOTSMITH_CACHE_SIZE", "some"), "image"),
    "what needs what failed": (2, write("source", "fail"), "run --continue image"),
    "a mistake and a failure": (3, write("source", "fail"), "run --continue log -n some rootfs"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_status_says_how_it_ended(project: ToyProject, ending: str) -> None:
    """0 done, 1 failed, 2 unforeseen, 3 mistaken: so it is told, and so it is."""
    status, change, words = ENDINGS[ending]
    change(project)
    done = project.doit(*words.split())
    assert done.returncode == status, done.stdout + done.stderr
    told = re.findall(r"^\| (\d) \|", (CHECKOUT / "docs/reference/commands.md").read_text(), re.MULTILINE)
    assert str(status) in told
    fault = "fault" in ending or ending == "a mistake in the dodo.py"
    assert ("Traceback" in done.stdout + done.stderr) == fault
