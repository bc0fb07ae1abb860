"""Plans: order, lookup, groups, and the form they are remembered in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bootsmith.tasks.build import plan as plans
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.stage import Stage


def stage(name: str, reads: list[str], makes: list[str]) -> Stage:
    """Return a stage that reads and makes these paths."""
    return Stage(name, "m:f", {path: Path(path) for path in reads}, {path: Path(path) for path in makes})


def plan(*stages: Stage, outputs: tuple[str, ...] = (), **more: tuple[str, ...]) -> plans.Plan:
    """Return a plan of these stages, with these `aliases` besides."""
    paths = tuple(Path(path) for path in outputs)
    return plans.Plan("toy", Path("/b"), Path("/toy.lock"), 7, Path("/toy.yaml"), "a toy", stages, paths, aliases=more)


def test_producers_come_first() -> None:
    """Stages are ordered by what they read, otherwise kept as written."""
    found = plans.in_order([stage("c", ["b"], ["c"]), stage("a", [], ["a"]), stage("b", ["a"], ["b"])])
    assert [each.name for each in found] == ["a", "b", "c"]


def test_a_cycle_is_refused() -> None:
    """Stages that wait for each other are a bug, named."""
    with pytest.raises(ValueError, match="a, b"):
        plans.in_order([stage("a", ["b"], ["a"]), stage("b", ["a"], ["b"])])


def test_a_group_stands_for_its_stages() -> None:
    """`layers` is all that are called so, an alias what it was given; neither hides a stage of that very name."""
    stages = [stage(name, [], [name]) for name in ("layers/a", "layers/b", "kernel", "kernel/own", "assemble")]
    found = plan(*stages, image=("assemble", "kernel"), raw=(), assemble=("kernel",))
    assert found.groups() == {"layers": ("layers/a", "layers/b"), "image": ("assemble", "kernel")}


def test_what_an_output_needs_and_no_more() -> None:
    """Of a plan's stages, those that a wanted one rests on are needed, in order; by themselves, the outputs' are."""
    found = plan(stage("a", [], ["a"]), stage("b", ["a"], ["b"]), stage("c", ["a"], ["c"]), outputs=("b",))
    assert [each.name for each in found.needed()] == ["a", "b"]
    assert [each.name for each in found.needed(["c"])] == ["a", "c"]


def test_a_plan_is_moved_with_all_that_is_its_own() -> None:
    """What lies below the build directory moves with it, what came from elsewhere stays where it is."""
    found = plan(stage("a", ["/src", "/b/in"], ["/b/out"]), outputs=("/b/out",)).moved(Path("/past"))
    (only,) = found.stages
    assert [*only.inputs.values(), *only.outputs.values()] == [Path("/src"), Path("/past/in"), Path("/past/out")]
    assert (found.build, found.outputs) == (Path("/past"), (Path("/past/out"),))


def test_a_plan_survives_being_remembered() -> None:
    """JSON and back gives an equal plan: paths, secrets, flags and all."""
    full = Stage(
        "assemble",
        "m:f",
        {"table": Path("/b/table")},
        {"disk": Path("/b/disk.raw")},
        params={"partitions": ["esp", "root"], "n": 1, "deep": {"x": None}},
        tools=("mke2fs",),
        secrets={"password": Secret(file=Path("/secret")), "token": Secret(env="TOKEN")},
        hints={"mirror": "x"},
        stored=False,
        carry="disk",
        doc="joins",
    )
    made = plan(full, outputs=("/b/disk.raw",), image=("assemble",))
    made = made._replace(products=("assemble",), named={"source.path": Path("/tree")})
    again = plans.from_json(json.loads(json.dumps(plans.to_json(made))))
    assert again == made
    assert again.finals() == (full,)
    assert again.stage("assemble") == full
    with pytest.raises(KeyError):
        again.stage("nothing")
