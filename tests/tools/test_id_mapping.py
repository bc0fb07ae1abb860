"""Ids mapped into a user namespace: which, and what is said where there are none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError, ToolMissing
from bootsmith.tasks.tools import id_mapping, package_manager, programs, subordinate_ids

from tests.support.ordinary_user import ordinary_user

TEXT = "alice:100000:65536\nbob:1000000:65536\nalice:300000:5\n"


def test_the_caller_is_user_0() -> None:
    """Inside, 0 is the caller, who can therefore kill what runs there; 1 and up are the ranges, one after the other."""
    words = id_mapping.mapping(1000, subordinate_ids.granted(TEXT, "alice", 7))
    assert words == ["0", "1000", "1", "1", "100000", "65536", "65537", "300000", "5"]


@pytest.fixture(name="_nobody_has_ids")
def fixture_nobody_has_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make us the user alice, on a host where others have subordinate ids."""
    monkeypatch.setattr(id_mapping, "read", lambda _path: "bob:100000:65536\n")
    monkeypatch.setattr(id_mapping, "_user", lambda: "alice")
    monkeypatch.setattr("os.geteuid", lambda: 1000)


@pytest.mark.usefixtures("_nobody_has_ids")
def test_says_which_lines_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without subordinate ids the error holds the very lines that are missing."""
    monkeypatch.setattr(programs, "place", lambda _tool: Path("/usr/bin/newuidmap"))
    with pytest.raises(StageError, match="user alice has no subordinate ids") as caught:
        id_mapping.map_ids(1)
    assert caught.value.hint == (
        "As root, add the line alice:165536:65536 to /etc/subuid and the line alice:165536:65536 to /etc/subgid."
    )


@pytest.mark.usefixtures("_nobody_has_ids")
def test_says_which_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where newuidmap is missing too, both are said at once."""
    monkeypatch.setattr(programs, "place", lambda _tool: None)
    monkeypatch.setattr(package_manager.os_release, "of_host", lambda: {"ID": "debian"})
    with pytest.raises(ToolMissing, match="nor is newuidmap installed") as caught:
        id_mapping.map_ids(1)
    assert "/etc/subgid. And install newuidmap: apt-get install" in caught.value.hint


@pytest.mark.parametrize(
    ("setting", "value", "remedy"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=10000"),
        ("none of them", "", "In a container"),
    ],
)
def test_names_the_kernel_setting_that_forbids(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, remedy: str
) -> None:
    """Where the kernel refuses, the error repeats its words and names the setting to change."""
    monkeypatch.setattr(id_mapping.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(id_mapping, "read", lambda path: f"{value}\n" if str(path).endswith(setting) else "")
    error = id_mapping.refusal("unshare failed: Operation not permitted")
    assert "Operation not permitted" in error.message
    assert remedy in error.hint


def test_what_is_forbidden_to_others_is_no_advice_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a plain chroot, where no setting helps."""
    monkeypatch.setattr(id_mapping.os, "geteuid", lambda: 0)
    monkeypatch.setattr(id_mapping, "read", lambda path: "1\n" if "apparmor" in str(path) else "")
    assert "sysctl" not in id_mapping.refusal("unshare failed").hint
    assert "in a chroot no kernel allows it" in id_mapping.refusal("unshare failed").hint
    monkeypatch.setattr(id_mapping, "read", lambda path: "0\n" if "max_user" in str(path) else "")
    assert "user.max_user_namespaces=10000" in id_mapping.refusal("unshare failed").hint


REFUSED = """
import os, sys
from pathlib import Path
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import process
try:
    process.run(["/bin/true"], env={}, cwd=Path("/"), root=True)
except StageError as error:
    print(error)
"""


def test_a_user_without_ids_learns_it_in_words(tmp_path: Path) -> None:
    """A real user whose lines are missing gets the lines, not the words of a program they have never heard of."""
    user = ordinary_user(tmp_path, subordinate=False)
    done = subprocess.run(user.command(sys.executable, "-c", REFUSED), check=True, stdout=subprocess.PIPE, text=True)
    assert "has no subordinate ids" in done.stdout
    assert ":65536 to /etc/subuid and the line" in done.stdout
