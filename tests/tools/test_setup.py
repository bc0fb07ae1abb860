"""The set-up before doit: what is missing is said at once, and installed only as far as that is allowed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from bootsmith.tasks.tools import host, package_manager, setup, virtualenv
from bootsmith.tasks.tools.catalogue import TOOLS

MCOPY = TOOLS["mcopy"]
COMMAND = ["apt-get", "install", "-y", "--no-install-recommends", "mtools"]


class Terminal(io.StringIO):
    """A terminal at which somebody types."""

    def isatty(self) -> bool:
        return True


class World:
    """A Debian on which commands are noted instead of run, and those that install bring in what was missing."""

    def __init__(self) -> None:
        self.ran: list[list[str]] = []
        self.absent = [MCOPY]
        self.works = True

    def run(self, words: list[str]) -> int:
        self.ran.append(list(words))
        if "install" in words and self.works:
            self.absent = []
        return 0 if self.works else 100


@pytest.fixture(name="world")
def fixture_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """Return a Debian that lacks mcopy, seen by an ordinary user who has sudo and no terminal."""
    world = World()
    monkeypatch.setattr(package_manager.os_release, "of_host", lambda: {"ID": "debian"})
    monkeypatch.setattr(setup, "_run", world.run)
    monkeypatch.setattr(setup, "missing", lambda _checkout: list(world.absent))
    monkeypatch.setattr(virtualenv, "ensure", lambda checkout: (checkout / ".venv").mkdir())
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.delenv("BOOTSMITH_INSTALL", raising=False)
    (tmp_path / "pyproject.toml").write_text("")
    return world


def test_root_installs_at_once(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root is not asked: the lists are refreshed, then one command installs everything (L13)."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert setup.main([str(tmp_path)]) == 0
    assert world.ran == [["apt-get", "update"], COMMAND]


@pytest.mark.parametrize(("typed", "status"), [("\n", 0), ("y\n", 0), ("n\n", 3), ("", 0)])
def test_a_user_at_a_terminal_is_asked(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, status: int
) -> None:
    """sudo is used only with the consent of who sits at the terminal."""
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    error = Terminal()
    monkeypatch.setattr("sys.stderr", error)
    assert setup.main([str(tmp_path)]) == status
    assert world.ran == ([["sudo", "apt-get", "update"], ["sudo", *COMMAND]] if status == 0 else [])
    assert f"sudo {' '.join(COMMAND)}" in error.getvalue()


def test_without_a_terminal_it_only_prints(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody can be asked the command is printed, on stderr, and the exit status is 3."""
    assert setup.main([str(tmp_path)]) == 3
    assert world.ran == []
    out, err = capsys.readouterr()
    assert out == ""
    assert "mcopy  writes into FAT" in err
    assert f"  sudo {' '.join(COMMAND)}" in err


@pytest.mark.parametrize("uid", [0, 1000])
def test_it_can_be_told_never_to_install(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int
) -> None:
    """BOOTSMITH_INSTALL=no only prints, even for root."""
    monkeypatch.setenv("BOOTSMITH_INSTALL", "no")
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert setup.main([str(tmp_path)]) == 3
    assert world.ran == []


def test_it_can_be_told_not_to_ask(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BOOTSMITH_INSTALL=yes uses sudo unasked."""
    monkeypatch.setenv("BOOTSMITH_INSTALL", "yes")
    assert setup.main([str(tmp_path)]) == 0
    assert world.ran[-1] == ["sudo", *COMMAND]


def test_without_sudo_root_is_named(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no sudo the user learns that root must do it."""
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert setup.main([str(tmp_path)]) == 3
    assert world.ran == []
    assert "as root" in capsys.readouterr().err


def test_an_unknown_distribution_gets_a_list(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where we know no package manager, what is needed is named."""
    monkeypatch.setattr(package_manager.os_release, "of_host", dict)
    assert setup.main([str(tmp_path)]) == 3
    assert world.ran == []
    assert "with your package manager: mcopy" in capsys.readouterr().err


def test_a_failed_install_is_said(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package manager that fails leaves status 3 and no environment behind."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    world.works = False
    assert setup.main([str(tmp_path)]) == 3
    assert not (tmp_path / ".venv").exists()


def test_the_command_that_installs_is_quiet(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Package managers ask nothing, and what they print stays off stdout."""
    monkeypatch.setenv("DEBIAN_FRONTEND", "dialog")
    assert setup._run(["sh", "-c", "echo $DEBIAN_FRONTEND; exit 5"]) == 5
    assert capfd.readouterr() == ("", "noninteractive\n")


def test_nothing_missing_means_nothing_said(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a host that has all, set-up is silent and leaves the list of programs that the next start looks at."""
    world.absent = []
    assert setup.main([str(tmp_path)]) == 0
    assert capsys.readouterr() == ("", "")
    listed = (tmp_path / ".venv/programs").read_text().splitlines()
    assert str(host.find("mke2fs")) in listed
    assert len(listed) == len(TOOLS)


def test_what_the_environment_needs_is_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare Debian has no ensurepip: its package stands in the same list, as long as the environment is to be made."""
    (tmp_path / "pyproject.toml").write_text(
        "[project]\nname = 'x'\ndependencies = []\n[project.optional-dependencies]\ndev = []\n"
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert setup.VENV in setup.missing(tmp_path)
    monkeypatch.setattr(package_manager.os_release, "of_host", lambda: {"ID": "debian"})
    assert "python3-venv" in package_manager.install_command(setup.missing(tmp_path)).split()
    monkeypatch.setattr(virtualenv, "is_current", lambda *_: True)
    assert setup.VENV not in setup.missing(tmp_path)


def test_a_read_only_checkout_is_said(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A checkout that cannot be written is an error in words."""
    world.absent = []
    (tmp_path / ".venv").write_text("a file in the way")
    assert setup.main([str(tmp_path)]) == 1
    assert "must be writable" in capsys.readouterr().err
