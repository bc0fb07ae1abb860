"""Plans: order, lookup, and the form they are remembered in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bootsmith.tasks.build import plan as plans
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.site import Site
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.recipe.load import load


def stage(name: str, reads: list[str], makes: list[str]) -> Stage:
    """Return a stage that reads and makes these paths."""
    return Stage(name, "m:f", {path: Path(path) for path in reads}, {path: Path(path) for path in makes})


def test_producers_come_first() -> None:
    """Stages are ordered by what they read, otherwise kept as written."""
    found = plans.in_order([stage("c", ["b"], ["c"]), stage("a", [], ["a"]), stage("b", ["a"], ["b"])])
    assert [each.name for each in found] == ["a", "b", "c"]


def test_a_cycle_is_refused() -> None:
    """Stages that wait for each other are a bug, named."""
    with pytest.raises(ValueError, match="a, b"):
        plans.in_order([stage("a", ["b"], ["a"]), stage("b", ["a"], ["b"])])


@pytest.mark.parametrize(
    ("kept", "sealed"),
    [
        (("convert/qcow2",), "convert/qcow2"),
        (("convert/qcow2", "convert/kernel"), "convert/qcow2"),
        (("convert/qcow2", "convert/qcow2-2"), None),
        (("assemble", "convert/qcow2"), None),
        (("convert/qcow2-2",), None),
        (("convert/kernel",), None),
        ((), None),
    ],
)
def test_what_is_kept_in_no_clear_form(kept: tuple[str, ...], sealed: str | None) -> None:
    """A plan knows whether an encrypted image is the only disk that is kept."""
    disk = Path("/b/disk.raw")
    stages = (
        Stage("kernel", "m:f", {}, {"kernel": Path("/b/kernel")}),
        Stage("assemble", "m:f", {}, {"disk": disk}),
        Stage("convert/qcow2", "m:f", {"disk": disk}, {"image": Path("/b/1")}, secrets={"passphrase": Secret(env="P")}),
        Stage("convert/qcow2-2", "m:f", {"disk": disk}, {"image": Path("/b/2")}),
        Stage("convert/kernel", "m:f", {"kernel": Path("/b/kernel")}, {"image": Path("/b/3")}),
    )
    outputs = tuple(path for stage in stages if stage.name in kept for path in stage.outputs.values())
    plan = plans.Plan(Site("toy", Path("/b"), Path("/toy.lock"), 7), Path("/toy.yaml"), "a toy", stages, outputs)
    assert (plan.sealed.name if plan.sealed else None) == sealed


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
    plan = plans.Plan(
        Site("toy", Path("/b"), Path("/toy.lock"), 7), Path("/toy.yaml"), "a toy", (full,), (Path("/b/disk.raw"),)
    )
    again = plans.from_json(json.loads(json.dumps(plans.to_json(plan))))
    assert again == plan
    assert again.finals() == (full,)
    assert again.stage("assemble") == full
    with pytest.raises(KeyError):
        again.stage("nothing")


def test_what_boots_without_a_disk_is_made(tmp_path: Path) -> None:
    """Where there is no disk to hold them, an entry's own kernel and initrd are among what an image is."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/init").write_text("#!/bin/sh\n")
    (tmp_path / "tree/init").chmod(0o755)
    for name in ("k", "mine"):
        (tmp_path / name).write_bytes(b"")
    entries = "entries: {all: {}, own: {kernel: mine, initrd: tree}}"
    boot = f"boot: {{loader: direct, kernel: k, initrd: tree, {entries}}}\noutputs: [kernel]\n"
    (tmp_path / "x.yaml").write_text(f"source: {{directory: tree}}\n{boot}")
    plan = plans.make(load(tmp_path / "x.yaml"), Site("x", tmp_path / "build/x", tmp_path / "x.lock", 1))
    names = [str(path.relative_to(tmp_path / "build/x")) for path in plan.outputs]
    assert names == ["x.vmlinuz", "entries/own/vmlinuz"]
    assert {"kernel", "kernel/own"} <= {stage.name for stage in plan.needed()}
