"""doit explain: what it predicts is what then happens, and it says why, down to the file, option, module or version."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.build.forecast import Forecast, Verdict, to_text
from bootsmith.tasks.packages import lockfile
from bootsmith.tasks.packages.request import request
from bootsmith.tasks.recipe.load import load

from tests.support.agreement import check, explained, run
from tests.support.checkout import CHECKOUT
from tests.support.project_changes import both, copy, edit_code, forget, remove, write
from tests.support.toy_project import ToyProject


@pytest.fixture
def project(tmp_path: Path) -> ToyProject:
    """A toy project, nothing built."""
    return ToyProject.make(tmp_path)


@pytest.fixture
def built(original: ToyProject, tmp_path: Path) -> ToyProject:
    """A copy of that project: keys and records hold no paths."""
    return copy(original, tmp_path / "copy")


def test_nothing_built_yet(project: ToyProject) -> None:
    """Before the first build everything is to be built, or depends on what is."""
    verdicts = check(project)
    assert verdicts["rootfs"] == "build"
    assert verdicts["convert/qcow2"] == "depends"


@pytest.mark.parametrize("words", [("option=two",), ("-a",), ("-n", "2")], ids=" ".join)
def test_options_and_variables_count(built: ToyProject, words: tuple[str, ...]) -> None:
    """explain takes what image takes: variables, -a, -n."""
    assert ("build" in check(built, *words).values()) == (words[0] != "-n")
    check(built)


def test_what_was_seen_before_is_known_to_the_end(built: ToyProject) -> None:
    """An edit taken back is told exactly down to the last stage, though some are made again, not stored (V9)."""
    (built.top / "source").write_text("another\n")
    assert check(built) == {
        "rootfs": "restore", "layers/tree": "fresh", "layers/upper": "restore", "assemble": "build",
        "convert/qcow2": "build",
    }  # fmt: skip
    (built.top / "build/toy/base").unlink()
    (built.top / "build/toy/disk.raw").unlink()
    verdicts = check(built)
    assert verdicts["assemble"] == "build"
    assert verdicts["convert/qcow2"] == "fresh"  # the disk will be what it was


REASONS: dict[str, tuple[Callable[[ToyProject], object], str, str, dict[str, Any]]] = {
    "file": (write("source", "x"), "rootfs", "input source changed: source", {"kind": "input", "path": "source"}),
    "in a tree": (
        both(write("tree/b", "b"), lambda project: (project.top / "tree/a").chmod(0o640)),
        "layers/tree",
        "input tree: a mode 644 -> 640, b added",
        {"kind": "input", "files": [{"path": "a", "change": "mode"}, {"path": "b", "change": "added"}]},
    ),
    "removed": (remove("tree/a"), "layers/tree", "input tree: a removed", {"name": "tree"}),
    "a name of odd bytes": (
        lambda project: Path(os.fsdecode(os.fsencode(project.top) + b"/tree/\xff\n")).touch(),
        "layers/tree",
        "input tree: \\xff\\n added",
        {"files": [{"path": "\\xff\\n", "change": "added"}]},
    ),
    "option": (
        write("toy.yaml", "two"),
        "layers/upper",
        "parameter option: 'one' -> 'two'",
        {"kind": "parameter", "name": "option", "was": "one", "now": "two"},
    ),
    "secret": (write("password", "x"), "layers/upper", "secret password changed", {"kind": "secret"}),
    "tool": (
        write("bin/toytool", "#!/bin/sh\necho toy 1.2.4\n"),
        "rootfs",
        "tool toytool 1.2.3 -> 1.2.4",
        {"kind": "tool", "was": "1.2.3", "now": "1.2.4"},
    ),
    "tool of the same version": (
        write("bin/toytool", "#!/bin/sh\n: ; echo toy 1.2.3\n"),
        "rootfs",
        "tool toytool 1.2.3, other bytes: {top}/bin/toytool",
        {"kind": "tool"},
    ),
    "code": (
        edit_code,
        "rootfs",
        "code: toystages.py changed",
        {"kind": "code", "modules": [{"path": "toystages.py", "change": "changed"}]},
    ),
    "output": (
        remove("build/toy/upper"),
        "layers/upper",
        "output out is missing: {top}/build/toy/upper",
        {"kind": "output", "change": "missing"},
    ),
    "forgotten": (forget("rootfs"), "rootfs", "forgotten: to be built again", {"kind": "forgotten"}),
}  # fmt: skip


@pytest.mark.parametrize("what", REASONS)
def test_reasons_name_what_changed(project: ToyProject, what: str) -> None:
    """The file in a folder, the option with both values, the version of a tool, the module; in info and the run too."""
    (project.top / "bin/toytool").write_text("#!/bin/sh\necho toy 1.2.3\n")
    project.image()
    change, stage, text, data = REASONS[what]
    change(project)
    (reason,) = explained(project)[stage]["reasons"]
    assert reason["text"] == text.replace("{top}", str(project.top))
    assert {name: reason.get(name) for name in data} == data
    assert f" * {reason['text']}\n" in project.doit("info", stage).stdout
    assert "kwargs" not in project.doit("info", stage).stdout
    assert reason["text"] in project.doit("explain").stdout


def test_a_run_says_what_changed(built: ToyProject) -> None:
    """Each line of the run that has a cause of its own names it; what only follows says nothing."""
    (built.top / "tree/b").write_text("b")
    _, said = run(built)
    lines = {line.split()[1]: line for line in said.splitlines() if line.startswith("built ")}
    assert lines["layers/tree"].endswith("  b added")
    assert lines["assemble"].endswith("KiB")


@pytest.mark.parametrize(
    ("forecasts", "last"),
    [
        ((("build", 2.0), ("depends", 0.5), ("fresh", 9.0)),
         "1 to build, 1 depending on what those give: at most about 2.5 s"),
        ((("build", 2.0), ("depends", None)), "1 to build, 1 depending on what those give"),
        ((("depends", None), ("depends", None)), "2 depending on what is not known yet"),
        ((("restore", None), ("fresh", 1.0)), "1 to restore"),
        ((("restore", None), ("build", 1.0)), "1 to build, 1 to restore: at most about 1.0 s"),
        ((("fresh", 1.0),), "nothing to do"),
    ],
)  # fmt: skip
def test_no_time_is_told_that_is_not_known(forecasts: tuple[tuple[Verdict, float | None], ...], last: str) -> None:
    """`at most` is said where each stage to build was timed before; a stage that never ran has no time, not 0.0 s."""
    found = [Forecast(f"stage{place}", verdict, seconds=took) for place, (verdict, took) in enumerate(forecasts)]
    assert to_text(found).splitlines()[-1] == last


def test_without_details_reasons_are_coarser(built: ToyProject) -> None:
    """Details are optional: a store that lost them, or a record of before, only makes the words less exact."""
    shutil.rmtree(built.top / "cache")
    (built.top / "tree/b").write_text("b")
    edit_code(built)
    reasons = explained(built)["layers/tree"]["reasons"]
    assert [each["text"] for each in reasons] == ["code changed", "input tree changed: tree"]
    check(built)


def real(top: Path) -> ToyProject:
    """Return a project whose recipe is a real one, real.yaml, with no lock file yet."""
    project = ToyProject.make(top)
    (top / "sitecustomize.py").unlink()  # by which all recipes are planned as toys
    (top / "dodo.py").write_text(
        'from bootsmith.tasks import image_tasks\nDOIT_CONFIG, task_bootsmith = image_tasks("real.yaml")\n'
    )
    recipe = (CHECKOUT / "recipes/minimal.yaml").read_text()
    (top / "real.yaml").write_text(recipe.replace("overlay: files/minimal", "overlay: tree"))
    return project


def test_explain_makes_no_lock_file(tmp_path: Path) -> None:
    """Where the lock is missing, everything depends on it; nothing is resolved, or written beside the recipe."""
    project = real(tmp_path)
    told = explained(project)
    assert {each["verdict"] for each in told.values()} == {"depends"}
    assert told["rootfs"]["reasons"][0]["kind"] == "lock"
    assert "there is no real.lock yet" in told["rootfs"]["reasons"][0]["text"]
    assert project.doit("explain").stdout.count("there is no real.lock yet") == 1, "true of all, said once"
    assert not list(tmp_path.glob("*.lock"))
    assert not (tmp_path / "build/real").exists()


def test_looking_at_a_recipe_does_not_settle_its_packages(tmp_path: Path) -> None:
    """A lock that no longer fits the recipe is told, however often one looked: the build will resolve it again."""
    project = real(tmp_path)
    file = tmp_path / "real.yaml"
    bash = lockfile.Package("bash", "5.2", "amd64", "main", True, 1_500_792, "b" * 64, "pool/main/b/bash_5.2_amd64.deb")
    lockfile.write(tmp_path / "real.lock", lockfile.LockFile(request(load(file)), 1_755_000_000, (bash,)))
    assert explained(project)["rootfs"]["verdict"] == "build"
    file.write_text(file.read_text().replace("udev,", "udev, nano,"))
    before = (tmp_path / "real.lock").read_bytes()
    for _ in range(2):
        assert project.doit("list", "-s").returncode == 0
        (reason,) = explained(project)["rootfs"]["reasons"]
        assert reason["text"] == "real.lock no longer fits the recipe (packages: +nano): it is resolved again first"
    assert (tmp_path / "real.lock").read_bytes() == before
