"""The wheel and the checkout: one import name, wherever the code comes from."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import bootsmith
import bootsmith.cache
import bootsmith.tasks
import pytest

from tests.support.checkout import CHECKOUT, copied

RECIPE = """\
description: a project of somebody else
source: {debian: {suite: trixie, packages: [linux-image-cloud-amd64, systemd-sysv]}}
"""
DODO = """\
from bootsmith.tasks import image_tasks
DOIT_CONFIG, task_bootsmith = image_tasks("my.yaml")
"""


HOUSE = ("tasks", "cache", "recipes")
PRIVATE = ("recipes/secrets/root.password", "recipes/minimal.lock", "tasks/__pycache__/plan.pyc")


@pytest.fixture(name="checkout", scope="module")
def fixture_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout as it looks after work: with a password, a lock file and compiled code in it."""
    checkout = copied(tmp_path_factory.mktemp("packaging") / "checkout")
    for name in PRIVATE:
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text("mine")
    return checkout


@pytest.fixture(name="wheel", scope="module")
def fixture_wheel(checkout: Path) -> Path:
    """Return the project's wheel, built without a network."""
    built(checkout, "wheel")
    (wheel,) = checkout.parent.glob("*.whl")
    return wheel


def built(checkout: Path, target: str) -> None:
    """Build one kind of distribution beside the checkout."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(checkout.parent)]
    subprocess.run(build, check=True, cwd=checkout, stdout=subprocess.DEVNULL)


@pytest.fixture(name="project")
def fixture_project(tmp_path: Path) -> Path:
    """Return somebody's own project: a recipe, a dodo.py of two lines, and a folder `tasks` of their own."""
    project = tmp_path / "project"
    (project / "tasks").mkdir(parents=True)
    (project / "tasks/__init__.py").write_text("raise RuntimeError('this is not the tasks you are looking for')\n")
    (project / "cache").mkdir()
    (project / "my.yaml").write_text(RECIPE)
    (project / "dodo.py").write_text(DODO)
    return project


@pytest.fixture(name="installed")
def fixture_installed(wheel: Path, tmp_path: Path) -> dict[str, str]:
    """Return an environment in which the wheel is installed, and the checkout is not seen before it."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return {
        **os.environ,
        "PYTHONPATH": str(site),
        "PYTHONDONTWRITEBYTECODE": "1",
        "BOOTSMITH_CACHE": str(tmp_path / "store"),
        "HOME": str(tmp_path),
    }


def test_a_wheel_holds_one_name(wheel: Path) -> None:
    """Nothing but `bootsmith` is installed: no `tasks`, `cache` or `recipes` that would shadow a user's own."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {"bootsmith", f"bootsmith-{bootsmith.__version__}.dist-info"}


def test_a_wheel_holds_the_house(wheel: Path, checkout: Path) -> None:
    """Every file of the house is in the wheel; nobody's lock files, passwords and compiled code are."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("bootsmith/")}
    files = {
        str(path.relative_to(checkout)) for room in HOUSE for path in (checkout / room).rglob("*") if path.is_file()
    }
    assert names == {
        "bootsmith/__init__.py",
        "bootsmith/py.typed",
        *(f"bootsmith/{name}" for name in files - {*PRIVATE}),
    }


def test_a_source_distribution_keeps_secrets_out(checkout: Path) -> None:
    """What is sent to an index for others to build from holds the house too, and nothing private."""
    built(checkout, "sdist")
    (archive,) = checkout.parent.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert names.isdisjoint(f"src/bootsmith/{name}" for name in PRIVATE)
    assert {name.partition("/")[0] for name in names}.isdisjoint(HOUSE)
    house = {f"src/bootsmith/{name}" for name in ("__init__.py", "tasks/build/plan.py", "recipes/minimal.yaml")}
    assert house | {"LICENSE", "pyproject.toml"} <= names


def test_a_project_of_ones_own(project: Path, installed: dict[str, str]) -> None:
    """`pip install`, a recipe and two lines: doit knows its tasks, beside folders that have our rooms' names."""
    done = subprocess.run(
        [sys.executable, "-m", "doit", "list"],
        check=False, cwd=project, env=installed, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert {"image", "run-uefi", "tools"} <= {line.split()[0] for line in done.stdout.splitlines() if line}
    assert {path.name for path in project.iterdir()} == {"tasks", "cache", "my.yaml", "dodo.py"}


def test_a_project_uses_the_wheel(project: Path, installed: dict[str, str]) -> None:
    """What a project imports comes from the wheel, from everywhere in it."""
    program = "import bootsmith.tasks, bootsmith.cache; print(bootsmith.tasks.__file__, bootsmith.cache.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=project, env=installed, stdout=subprocess.PIPE, text=True
    )
    site = installed["PYTHONPATH"]
    assert done.stdout.split() == [f"{site}/bootsmith/tasks/__init__.py", f"{site}/bootsmith/cache/__init__.py"]


def test_the_checkout_is_the_package() -> None:
    """In a checkout the tests run the checkout's own code, never a copy of it."""
    for room in (bootsmith.cache, bootsmith.tasks):
        assert Path(str(room.__file__)).is_relative_to(CHECKOUT / "src")
    assert Path(str(bootsmith.cache.__file__)).resolve() == CHECKOUT / "cache/__init__.py"
    assert Path(str(bootsmith.tasks.__file__)).resolve() == CHECKOUT / "tasks/__init__.py"


def test_the_checkout_is_found_from_anywhere(tmp_path: Path) -> None:
    """The environment of ./doitw finds the checkout, whatever the working directory holds."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/__init__.py").write_text("raise RuntimeError\n")
    program = "import bootsmith.cache; print(bootsmith.cache.__file__)"
    done = subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert done.stdout == f"{CHECKOUT}/src/bootsmith/cache/__init__.py\n"


def test_the_public_face_is_pinned() -> None:
    """A dodo.py needs one name, and this is all there is to rely on."""
    assert bootsmith.tasks.__all__ == ["image_tasks"]
