"""A bare checkout, an editable install, a wheel and a source distribution: the same sources, and so the same images."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.checkout import copied
from tests.support.project import Project

WAYS = ("bare", "editable", "wheel", "sdist")
STAGES = """
import json
from bootsmith.cache.digest.code import modules, sources
from bootsmith.cache.digest.memo import Memo
from bootsmith.cache.store.location import default_root
memo = Memo(default_root() / "memo")
runs = ["bootsmith.tasks.build.context", "bootsmith.tasks.command.session", "bootsmith.tasks.tree.cpio"]
read = [path for name in runs for path in sources(name, memo=memo).values()]
print(json.dumps([[modules(name, memo=memo) for name in runs], sorted({str(path) for path in read})]))
"""


@dataclass(frozen=True)
class Installation:
    """A Python that imports bootsmith, and from where."""

    python: Path
    origin: Path
    path: str = ""

    def run(self, *words: str, cwd: Path, cache: Path) -> str:
        """Run this Python; return what it printed."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        env |= {"BOOTSMITH_CACHE": str(cache)} | ({"PYTHONPATH": self.path} if self.path else {})
        done = subprocess.run(
            [self.python, *words], check=False, cwd=cwd, env=env, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def distributed(source: Path, kind: str) -> Path:
    """Build a distribution of a source beside it, without a network and with what is locked."""
    target = source.parent / f"{source.name}-{kind}"
    build = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target]
    subprocess.run(build, check=True, cwd=source, stdout=subprocess.DEVNULL)
    (made,) = target.iterdir()
    return made


def unpacked(wheel: Path) -> Installation:
    """Install a wheel."""
    site = wheel.parent / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return Installation(Path(sys.executable), site, str(site))


def editable(checkout: Path, target: Path) -> Installation:
    """Install a checkout by `pip install -e`, into an environment that has else what this one has."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", target], check=True)
    (packages,) = target.glob("lib/python*/site-packages")
    (packages / "locked.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    pip = [sys.executable, "-m", "pip", "--python", target / "bin/python", "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", checkout], check=True)
    return Installation(target / "bin/python", checkout)


@pytest.fixture(name="installations", scope="module")
def fixture_installations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Installation]:
    """Return bootsmith, installed in every way."""
    top = tmp_path_factory.mktemp("installations")
    checkout = copied(top / "checkout")
    with tarfile.open(distributed(checkout, "sdist")) as archive:
        archive.extractall(top / "source")  # our own; Debian 12's Python has no filters yet
    (source,) = (top / "source").iterdir()
    return {
        "bare": Installation(Path(sys.executable), checkout, str(checkout / "src")),
        "editable": editable(copied(top / "edited"), top / "environment"),
        "wheel": unpacked(distributed(checkout, "wheel")),
        "sdist": unpacked(distributed(source, "wheel")),
    }


def identities(installation: Installation, cwd: Path) -> tuple[list[dict[str, str]], set[Path]]:
    """Return what code is made of, module by module, and the files that this was read from."""
    found, read = json.loads(installation.run("-c", STAGES, cwd=cwd, cache=cwd / "cache"))
    return found, {Path(path) for path in read}


def test_one_module_has_one_identity(installations: dict[str, Installation], tmp_path: Path) -> None:
    """A module counts by its name and content, wherever its file lies and by whatever links it is reached."""
    told = {way: identities(installation, tmp_path) for way, installation in installations.items()}
    assert {way: found == told["bare"][0] for way, (found, _) in told.items()} == dict.fromkeys(WAYS, True)
    assert all(len(modules) > 1 and all(modules.values()) for modules in told["bare"][0])
    for way, (_, read) in told.items():
        assert all(path.is_relative_to(installations[way].origin) for path in read)
        assert len({path.resolve() for path in read}) == len(read)


def test_a_source_distribution_makes_the_same_wheel(installations: dict[str, Installation]) -> None:
    """Who builds from what an index has installs, file for file, what we do."""

    def files(way: str) -> dict[str, bytes]:
        site = installations[way].origin
        found = (path for path in site.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
        return {str(path.relative_to(site)): path.read_bytes() for path in found}

    assert files("sdist") == files("wheel")


def test_an_editable_install_follows_an_edit(installations: dict[str, Installation], tmp_path: Path) -> None:
    """What is edited in a folder at the top of the checkout runs, and counts, with no step between."""
    installation = installations["editable"]
    before, _ = identities(installation, tmp_path)
    module = installation.origin / "tasks/tree/cpio.py"
    text = module.read_text()
    module.write_text(f"{text}\nEDITED = 'yes'\n")
    try:
        program = "from bootsmith.tasks.tree.cpio import EDITED; print(EDITED)"
        assert installation.run("-c", program, cwd=tmp_path, cache=tmp_path) == "yes\n"
        after, _ = identities(installation, tmp_path)
    finally:
        module.write_text(text)
    changed = [{name for name in new if new[name] != old.get(name)} for old, new in zip(before, after, strict=True)]
    assert changed[-1] == {"bootsmith.tasks.tree.cpio"}


@pytest.fixture(name="tiny", scope="module")
def fixture_tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Return a project with our recipes, of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("tiny")
    yield Project.make(folder / "project", None)
    shutil.rmtree(folder)


@pytest.mark.boot
@pytest.mark.xdist_group("tiny")
def test_each_builds_the_same(installations: dict[str, Installation], tiny: Project) -> None:
    """What one of them built is fresh to all the others; after an edit each builds recipes/tiny.yaml by itself."""
    init = tiny.top / "recipes/files/tiny/init"
    text = init.read_text()

    def ran(way: str) -> set[str]:
        rows = [line.split() for line in installations[way].run(*doit, cwd=tiny.top, cache=tiny.cache).splitlines()]
        return {row[1] for row in rows if row and row[0] in ("built", "restored")}

    doit = ("-m", "doit", "image:tiny")
    assert "convert/initramfs:tiny" in ran("bare")
    for way in WAYS:
        assert {each: ran(each) for each in WAYS} == {each: set() for each in WAYS}
        init.write_text(f"{text}# {way}\n")
        assert {"rootfs:tiny", "initramfs:tiny", "convert/initramfs:tiny"} <= ran(way)
