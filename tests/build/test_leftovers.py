"""What earlier builds made and the plan no longer makes: told, and removed with the rest."""

from __future__ import annotations

from tests.command.engine.conftest import built, project
from tests.support.toy_project import ToyProject

__all__ = ["built", "project"]


def rename(project: ToyProject, old: str, new: str) -> None:
    """Give an output of the toy's another name."""
    plan = project.top / "toyplan.py"
    assert old in plan.read_text()
    plan.write_text(plan.read_text().replace(old, new))


def test_an_output_that_was_renamed_is_told_until_it_is_cleaned(built: ToyProject) -> None:
    """And what is left between, such as an inner file, goes with it; what is made now stays till it is cleaned too."""
    rename(built, 'build / "upper"', 'build / "inner/upper"')
    built.image()
    rename(built, "disk.qcow2", "other.qcow2")
    rename(built, 'build / "inner/upper"', 'build / "further/upper"')
    told = "build/toy/disk.qcow2 is no output any more: `doit clean image` removes it\n"
    for _ in range(2):
        done = built.doit("image")
        assert done.returncode == 0
        assert done.stdout.count(told) == 1
        assert "inner/upper" not in done.stdout
    kept = {"disk.qcow2", "upper", "other.qcow2", "disk.raw", "base", "names"}
    assert kept <= {path.name for path in (built.top / "build/toy").rglob("*")}
    shown = built.doit("clean", "-n", "image").stdout
    assert f"would remove {built.top}/build/toy/disk.qcow2\n" in shown
    removed = built.doit("clean", "image").stdout
    assert shown.replace("would remove", "removed") == removed
    assert not [path for path in (built.top / "build/toy").rglob("*") if path.name in kept]
    assert told not in built.doit("image").stdout


def test_an_output_of_somebody_elses_is_none(built: ToyProject) -> None:
    """Files that no build of ours made are neither told nor removed, nor one that is made again."""
    (built.top / "build/toy/mine.img").write_text("mine")
    rename(built, "disk.qcow2", "other.qcow2")
    built.image()
    rename(built, "other.qcow2", "disk.qcow2")
    assert "other.qcow2 is no output any more" in built.doit("image").stdout
    built.doit("clean")
    assert (built.top / "build/toy/mine.img").read_text() == "mine"
    assert not (built.top / "build/toy/other.qcow2").exists()


def test_cleaning_by_name_is_cleaning(built: ToyProject) -> None:
    """`clean image` is what `clean` is, `clean raw` the disk alone with what it needs."""
    assert "convert/qcow2" not in built.doit("clean", "raw").stdout
    assert not (built.top / "build/toy/disk.raw").exists()
    assert (built.top / "build/toy/disk.qcow2").exists()
    built.image()
    assert "image - removed" in built.doit("clean", "image").stdout
    assert not (built.top / "build/toy/base").exists()
    assert not (built.top / "build/toy/disk.qcow2").exists()
