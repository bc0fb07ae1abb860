"""arch-install: a tree of Arch's packages in a directory. A8."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bootsmith.tasks.command.actions import arch_install
from bootsmith.tasks.errors import BootsmithError

from tests.command.actions.conftest import Calls
from tests.support.arch_repository import ArchRepository
from tests.support.checkout import CHECKOUT
from tests.support.openpgp_key import openpgp_key


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("tree", "tree is not empty"),
        ("vmlinuz", "vmlinuz is not a directory"),
        ("no/where", "no does not exist"),
        ("../top/link", "link is not a directory"),
    ],
)
def test_what_cannot_be_filled_is_refused(call: Calls, word: str, wanted: str) -> None:
    """A directory that holds something, and what is none, are refused before anything is fetched. A8."""
    (call.top / "link").symlink_to("elsewhere")
    with pytest.raises(BootsmithError, match=wanted):
        arch_install.plan(call("arch-install", word))


def test_a_wrong_option_is_told(call: Calls) -> None:
    """A wrong option is told by the key that it is of. A8."""
    with pytest.raises(BootsmithError, match="snapshot"):
        arch_install.plan(call("arch-install", "new", snapshot="yesterday"))


def test_a_directory_is_filled(call: Calls, tmp_path: Path) -> None:
    """What is asked for is installed beside base, with its modes; nothing else is left there. A8."""
    with openpgp_key() as key:
        mirror = ArchRepository(tmp_path / "mirror", key)
    (call.top / "dodo.py").write_text(
        "from bootsmith.tasks import image_tasks\nDOIT_CONFIG, task_bootsmith = image_tasks('box.yaml')\n"
    )
    words = ["arch-install", "new", "--packages", "tool", "--mirror", f"file://{mirror.top}"]
    words += ["--keyring", str(mirror.keyring)]
    env = {**os.environ, "PYTHONPATH": f"{CHECKOUT / 'src'}"}
    done = subprocess.run(
        [sys.executable, "-m", "doit", *words], cwd=call.top, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    new = call.top / "new"
    assert (new / "etc/tool-state").read_text() == "installed 1:2.0-3\n"
    assert (new / "usr/bin/tool").stat().st_mode & 0o7777 == 0o4755
    assert (new / "usr/bin/tool").samefile(new / "usr/bin/tool2")
    assert {path.name for path in call.top.iterdir() if path.name.startswith(".")} <= {".doit.db"}
    shutil.rmtree(new)
