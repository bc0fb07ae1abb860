"""`./doitw ARGS` is `doit ARGS` with the set-up before it, which a start that needs none of it does not run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT

PYTHON = """\
#!/bin/sh
case "$*" in
-c*) exit "$OLD" ;;
*setup*) echo "$PYTHONPATH: $*" >>"$LOG" ;;
*) printf '<%s>' "$@"; echo ;;
esac
exit "${STATUS:-0}"
"""


class Checkout:
    """A copy of doitw where every Python is a script that says how it was called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder.parent / "log"
        self.environment = {"LOG": str(self.log), "OLD": "0", "PATH": f"{folder.parent}/bin:/usr/bin:/bin"}
        (folder / "tasks/tools").mkdir(parents=True)
        shutil.copy(CHECKOUT / "doitw", folder)
        (folder / "requirements.txt").write_text("doit\n")
        (folder / "tasks/tools/catalogue.py").touch()
        (folder.parent / "bin").mkdir()
        self.script(folder.parent / "bin/python3")
        (folder / ".venv/bin").mkdir(parents=True)
        self.script(folder / ".venv/bin/python")
        (folder / ".venv/checkout").write_text(f"{folder}\n")
        (folder / ".venv/requirements.txt").write_text("doit\n")
        (folder / ".venv/programs").write_text(f"/bin/sh\n{folder}/doitw\n")

    @staticmethod
    def script(path: Path) -> None:
        path.write_text(PYTHON)
        path.chmod(0o755)

    def run(self, *words: str, cwd: Path | None = None, program: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program or str(self.folder / "doitw"), *words],
            check=False, capture_output=True, text=True, env=self.environment, cwd=cwd or self.folder,
        )  # fmt: skip

    def was_set_up(self) -> bool:
        return self.log.exists()


@pytest.fixture(name="checkout")
def fixture_checkout(tmp_path: Path) -> Checkout:
    """Return a checkout that is set up."""
    return Checkout(tmp_path / "check out")


def test_passes_every_word_on(checkout: Checkout) -> None:
    """Words reach doit as they are, whatever they hold."""
    done = checkout.run("image", "disk.size=64G", "two words", "--", "*")
    assert done.stdout == "<-m><bootsmith.tasks.command.start><image><disk.size=64G><two words><--><*>\n"
    assert not checkout.was_set_up()


@pytest.mark.parametrize("word", ["help", "--help", "-h"])
def test_help_is_about_us(checkout: Checkout, word: str) -> None:
    """Whoever asks for help is told how to go on, at once; help about something is doit's."""
    done = checkout.run(word)
    assert done.returncode == 0
    assert "./doitw list" in done.stdout
    assert "./doitw help TASK" in done.stdout
    assert not checkout.was_set_up()
    assert checkout.run(word, "image").stdout.endswith(f"<{word}><image>\n")


def test_an_empty_word_is_refused(checkout: Checkout) -> None:
    """A word such as "$ID" without a value is a mistake that is said, exit 3, where doit ends in a traceback."""
    done = checkout.run("restore", "--at", "")
    assert (done.returncode, done.stdout) == (3, "")
    assert "one of the words is empty" in done.stderr


@pytest.mark.parametrize("way", ["./doitw", "link"])
def test_can_be_called_from_anywhere(checkout: Checkout, tmp_path: Path, way: str) -> None:
    """By a relative path, and through a link to the checkout, it is the same checkout."""
    if way == "link":
        (tmp_path / "link").symlink_to(checkout.folder)
        done = checkout.run("list", cwd=tmp_path, program="link/doitw")
    else:
        done = checkout.run("list", program=way)
    assert done.stdout == "<-m><bootsmith.tasks.command.start><list>\n"
    assert not checkout.was_set_up()


@pytest.mark.parametrize(
    "change",
    ["no environment", "lock edited", "program gone", "python gone", "moved", "new tools", "set-up unfinished"],
)
def test_sets_up_what_changed(checkout: Checkout, change: str) -> None:
    """Whatever the environment or the host lacks is noticed by the next start (L13)."""
    venv = checkout.folder / ".venv"
    if change == "no environment":
        shutil.rmtree(venv)
    elif change == "lock edited":
        (checkout.folder / "requirements.txt").write_text("tiod\n")
        os.utime(checkout.folder / "requirements.txt", (1, 1))
    elif change == "program gone":
        (venv / "programs").write_text("/nonexistent/mke2fs\n")
    elif change == "python gone":
        (venv / "bin/python").unlink()
        (venv / "bin/python").symlink_to("/nonexistent/python3.11")
    elif change == "moved":
        (venv / "checkout").write_text("/tmp\n")
    elif change == "new tools":
        os.utime(venv / "programs", (1, 1))
    else:
        (venv / "programs").unlink()
    checkout.run("list")
    assert checkout.log.read_text() == f"{checkout.folder}/src: -m bootsmith.tasks.tools.setup {checkout.folder}\n"


def test_a_failed_set_up_ends_it(checkout: Checkout) -> None:
    """When set-up fails its exit status is the wrapper's, and doit is not run."""
    (checkout.folder / ".venv/programs").unlink()
    checkout.environment["STATUS"] = "3"
    done = checkout.run("list")
    assert (done.returncode, done.stdout) == (3, "")


def test_an_old_python_is_said(checkout: Checkout) -> None:
    """Without a Python that is new enough there is a message, not a traceback."""
    (checkout.folder / ".venv/programs").unlink()
    for version in ("", ".11", ".12", ".13", ".14"):
        Checkout.script(checkout.folder.parent / f"bin/python3{version}")
    checkout.environment["OLD"] = "1"
    done = checkout.run("list")
    assert done.returncode == 3
    assert "no Python 3.11 or newer" in done.stderr


def test_the_status_of_doit_is_passed_back(checkout: Checkout) -> None:
    """The wrapper's exit status is doit's own."""
    checkout.environment["STATUS"] = "1"
    assert checkout.run("image").returncode == 1


def test_ci_runs_the_tests_and_nothing_else() -> None:
    """What passes here passes there."""
    lines = [line for line in (CHECKOUT / ".ci/run").read_text().splitlines() if line and not line.startswith("#")]
    assert lines == ["set -eu", 'cd "$(dirname "$0")/.."', "exec ./doitw test"]
