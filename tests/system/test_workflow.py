"""The workflow that users copy: its commands, run as a runner would. L22."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import tiny_kernel
from tests.support.checkout import CHECKOUT
from tests.support.project import dodo, environment

RECIPE = """\
source: {directory: {path: tree, modes: exec}}
system: none
boot: {loader: direct, kernel: linux, initrd: tree}
outputs: [kernel, initramfs]
machine: {nic: none, memory: 256M}
test: {began: "tiny kernel:", expect: ["console=ttyS0; initrd:"], timeout: 2m}
"""
GIT = """\
#!/bin/sh
[ "$*" = "diff --exit-code -- *.lock" ] || exit 9
exec test ! -s my.lock
"""
"""Of git, the one thing that is asked of it: whether the lock file, which was committed empty, is another."""
WORKFLOW: dict[str, Any] = yaml.safe_load((CHECKOUT / "docs/how-to/image.yml").read_text())
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["image"]["steps"]

pytestmark = pytest.mark.boot


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose image is a kernel of three sectors, committed as a user's would be."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/init").write_text("#!/bin/sh\n")
    (tmp_path / "tree/init").chmod(0o755)
    (tmp_path / "linux").write_bytes(tiny_kernel.kernel())
    (tmp_path / "my.yaml").write_text(RECIPE)
    (tmp_path / "my.lock").write_text("")
    (tmp_path / "dodo.py").write_text(dodo("my.yaml"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(GIT)
    (tmp_path / "bin/git").chmod(0o755)
    return tmp_path


def run(project: Path) -> tuple[dict[str, int], str]:
    """Run the steps that are commands, up to the first that fails; return their statuses and all that they said."""
    env = environment(project) | {"DOIT": f"{sys.executable} -m doit"}
    env["PATH"] = f"{project / 'bin'}:{env['PATH']}"
    cache = WORKFLOW["env"]["BOOTSMITH_CACHE"].replace("${{ github.workspace }}", str(project))
    env |= {"BOOTSMITH_CACHE": cache, "BOOTSMITH_CACHE_SIZE": WORKFLOW["env"]["BOOTSMITH_CACHE_SIZE"]}
    statuses, said = {}, ""
    for step in STEPS:
        if "run" not in step or step.get("id") == "setup":
            continue
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", step["run"]], cwd=project, env=env, text=True, capture_output=True,
            check=False,
        )  # fmt: skip
        statuses[step["name"]] = done.returncode
        said += done.stdout + done.stderr
        if done.returncode:
            break
    return statuses, said


def kept(project: Path, name: str) -> list[str]:
    """Return the files that a step keeps as an artifact."""
    (step,) = [each for each in STEPS if each.get("with", {}).get("name") == name]
    found = [path for pattern in step["with"]["path"].split() for path in project.glob(pattern.rstrip("/"))]
    files = [path for each in found for path in ([each] if each.is_file() else each.rglob("*"))]
    return sorted(str(path.relative_to(project)) for path in files)


def test_its_commands_build_test_and_keep_an_image(project: Path) -> None:
    """Paths are stable, the cache that is kept gives all of it again, and each failure has its status."""
    statuses, said = run(project)
    assert set(statuses.values()) == {0}, said
    assert "1 of 1 expectations met" in said
    assert kept(project, "image") == ["build/my/my.initramfs", "build/my/my.vmlinuz"]
    subprocess.run(["rm", "-r", "build"], cwd=project, check=True)  # as on another runner
    (cache,) = [each["with"]["path"] for each in STEPS if "cache@" in each.get("uses", "")]
    assert (project / cache / "results").is_dir()
    statuses, said = run(project)
    assert set(statuses.values()) == {0}, said
    assert "passed (cached" in said
    assert "restored" in said
    (project / "my.lock").write_text("renewed\n")
    statuses, said = run(project)
    assert [*statuses.items()][-1] == ("the lock file is the one that was committed", 1)
    (project / "my.lock").write_text("")
    (project / "my.yaml").write_text(RECIPE.replace("console=ttyS0; initrd:", "never said"))
    statuses, said = run(project)
    assert [*statuses.values()][-1] == 1
    assert [*statuses][-1] == "boot it"
    assert "build/my/test/serial.log" in kept(project, "test")
    (project / "my.yaml").write_text(RECIPE.replace("outputs", "ouputs"))
    statuses, said = run(project)
    assert [*statuses.values()] == [3], said


def test_what_it_names_is_there() -> None:
    """A runner reads it as it is meant: words that YAML would take for truth are quoted, and set-up comes first."""
    assert WORKFLOW["env"]["BOOTSMITH_INSTALL"] == "yes"
    names = [step.get("id") or step.get("uses", "").partition("@")[0] or step["name"] for step in STEPS]
    assert names[:3] == ["actions/checkout", "setup", "actions/cache"]
    assert os.access(CHECKOUT / WORKFLOW["env"]["DOIT"].rpartition("/")[2], os.X_OK)
