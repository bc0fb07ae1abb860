"""Whatever happens to a project between two runs, all that speak of it agree, and nothing stale is taken for fresh.

Each happening is brought about once, and explain, `list -s`, the start before doit and the run are judged on it.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.agreement import agree, check
from tests.support.project_changes import SCENARIOS, STATES, copy
from tests.support.toy_project import ENTRIES, ToyProject


@pytest.fixture
def built(original: ToyProject, tmp_path: Path) -> ToyProject:
    """A copy of a project with a past."""
    return copy(original, tmp_path / "copy")


def test_a_copy_is_fresh(built: ToyProject) -> None:
    """Keys and records hold no paths: elsewhere all is fresh still, whoever is asked."""
    assert agree(built)
    assert set(check(built).values()) == {"fresh"}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_is_told_is_what_happens(built: ToyProject, scenario: str) -> None:
    """After every edit, loss and damage, what is told, stage by stage, is what the run does, failures included (V9)."""
    assert built.before_doit() is not None  # and from now on its files are remembered
    SCENARIOS[scenario](built)
    fresh = set(check(built).values()) == {"fresh"}
    failed = "missing" in scenario or scenario == "output in the way"
    assert agree(built, "image") == (not failed)
    if scenario in {"nothing", "input touched", "database lost"}:
        assert fresh
    if failed or "edited" in scenario or "changed" in scenario or "damage" in scenario:
        assert not fresh


@pytest.mark.parametrize("state", STATES)
def test_whatever_the_state(built: ToyProject, state: str) -> None:
    """Restarted hosts, killed builds, lost locks and memos, broken recipes: all agree on what is fresh (V9)."""
    change, fresh = STATES[state]
    change(built)
    if "broken recipe" not in state:
        assert (set(check(built).values()) == {"fresh"}) == fresh
        fresh = True
    assert agree(built) == fresh


@pytest.mark.soak(ci=4, whole=200)
def test_whatever_happens_in_a_row(original: ToyProject, tmp_path: Path, rounds: int) -> None:
    """Edits, losses, damages and runs, in any order and either way of running: each run does what was told (V9)."""
    happenings = SCENARIOS | {name: change for name, (change, _) in STATES.items()}
    calm = [name for name in happenings if not any(word in name for word in ("missing", "in the way", "recipe"))]
    numbers = count()

    @settings(max_examples=rounds, derandomize=True, phases=[Phase.generate])
    @given(st.lists(st.lists(st.sampled_from(calm), max_size=3), min_size=2, max_size=5))
    def walk(steps: list[list[str]]) -> None:
        project = copy(original, tmp_path / str(next(numbers)))
        for number, names in enumerate(steps):
            for name in names:
                with suppress(FileNotFoundError, FileExistsError):  # what one step took away another cannot change
                    happenings[name](project)
            project.entry = ENTRIES["doitw" if number % 2 else "doit"]
            check(project)
            project.entry = ENTRIES["doit"]
            assert agree(project)
        shutil.rmtree(project.top)

    walk()
