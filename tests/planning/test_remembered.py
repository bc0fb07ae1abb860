"""Plans that are remembered: only ever what the files of that very moment say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bootsmith.tasks.build.plan import Plan
from bootsmith.tasks.command.invocation import Invocation
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.command.session import Session
from bootsmith.tasks.planning import make

from tests.support.kernel_files import bzimage

RECIPE = "source: {directory: tree}\nsystem: none\nversion: '1'\nboot: {loader: direct, kernel: linux, initrd: tree}\n"


def session(top: Path) -> Session:
    """Return what a run begins with."""
    return Session(Path("box.yaml"), Invocation("run", {}, (), {}), top, top, Progress())


def test_an_edit_while_the_plan_is_made_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe edited after it was read, such as while packages are resolved, is read again by the next run (V2)."""
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/init").write_text("#!/bin/sh\n")
    (tmp_path / "tree/init").chmod(0o755)
    (tmp_path / "linux").write_bytes(bzimage())
    recipe = tmp_path / "box.yaml"
    recipe.write_text(f"{RECIPE}outputs: [initramfs: {{file: one.img}}]\n")
    made = make.plan

    def edited(*words: object) -> Plan:
        recipe.write_text(f"{RECIPE}outputs: [initramfs: {{file: two.img}}]\n")
        return made(*words)  # type: ignore[arg-type]

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(make, "plan", edited)
        assert session(tmp_path).builder().plan.outputs[0].name == "one.img"
    assert session(tmp_path).builder().plan.outputs[0].name == "two.img"
    os.utime(recipe, (1, 1))
    assert session(tmp_path).builder().plan.outputs[0].name == "two.img"
