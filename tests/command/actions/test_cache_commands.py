"""cache: the same as `python -m bootsmith.cache`, said by this command line."""

from __future__ import annotations

import json
from pathlib import Path

from bootsmith.tasks.command.actions import cache_commands

from tests.command.actions.conftest import Calls
from tests.support.toy_project import ToyProject


def test_the_cache_is_told_of(call: Calls) -> None:
    """By the word that follows, with its options."""
    cache_commands.cache(call("cache", "path"))
    assert call.said == f"{call.top.parent / 'cache'}\n"
    cache_commands.cache(call("cache", "stat", json=True))
    assert json.loads(call.said.partition("\n")[2])["root"] == str(call.top.parent / "cache")


def test_nothing_is_made_again_of_what_gc_took_from_a_build_directory(tmp_path: Path) -> None:
    """What is between the stages is given back by the cache; what was asked for stays where it is."""
    project = ToyProject.make(tmp_path)
    project.image()
    disk, build = project.disk(), project.top / "build/toy"
    said = project.doit("cache", "gc", "--age=0")
    assert "from build directories long unused, which the cache gives back: 3 files" in said.stdout
    assert sorted(path.name for path in build.iterdir() if path.is_file()) == ["disk.qcow2", "disk.raw"]
    stat = json.loads(project.doit("cache", "stat", "--json").stdout)
    assert [each["occupied"] > 0 for each in stat["builds"]] == [True]
    assert project.image() == []
    assert project.disk() == disk
    assert sorted(path.name for path in build.iterdir() if path.is_file()) == [
        "base", "disk.qcow2", "disk.raw", "names", "upper",
    ]  # fmt: skip
