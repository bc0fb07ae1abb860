"""Stages of a few lines, made by a builder in this process: for tests of how one stage is made."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from bootsmith.tasks.build.builder import Builder
from bootsmith.tasks.build.identities import Identities
from bootsmith.tasks.build.plan import Plan
from bootsmith.tasks.build.stage import Stage

Meddler: TypeAlias = "Generator[None]"
"""What somebody does while a stage runs: until it yields before the stage reads, the rest after that."""

meddlers: list[Meddler] = []
"""Of the runs to come of `meddled`, one each."""

CODE = '''
from tests.support.quick_stages import meddlers
from bootsmith.tasks.errors import StageError

def count(context):
    with open(context.hints["runs"], "a") as runs:
        runs.write("x")

def copy(context):
    """Copy the source; fail where it says so."""
    count(context)
    text = context.inputs["source"].read_text()
    if text == "fail":
        raise StageError("the source says fail")
    context.outputs["out"].write_text(text)

def patch(context):
    """Patch the previous output, which fails where the source says so; write a new one where there is none."""
    count(context)
    text = context.inputs["source"].read_text()
    if context.previous is None:
        context.outputs["out"].write_text(text)
    elif text == "no patch":
        context.previous.write_text("half of it")
        raise StageError("this cannot be patched")
    else:
        context.previous.write_text(text)
        context.previous.rename(context.outputs["out"])

def become(context):
    """Make of the previous output what the source is, by what both hold; tell in the log what that was."""
    from bootsmith.tasks.disk import splice
    count(context)
    source, wanted = context.inputs["source"], context.index("source")
    if context.previous is None:
        context.outputs["out"].write_bytes(source.read_bytes())
    else:
        known = context.before.get("source")
        told = "other" if known is None or known.content != context.previous_index().content else "same"
        earlier, held = context.earlier("source"), context.previous.read_bytes()
        if context.stays("source") or (told == "same") != (earlier == held):
            told = "wrong"
        context.tell(f"made of {told}")
        splice.become(source, wanted, context.previous, context.previous_index())
        context.previous.rename(context.outputs["out"])
    context.claim("out", wanted)

def folders(context):
    """Copy nothing, and tell which folders of the source are as they were."""
    found = context.folders("source")
    context.tell("none known" if found is None else " ".join(["same", *sorted(found.same())]))
    context.outputs["out"].write_text("".join(sorted(map(str, context.inputs["source"].rglob("*")))))

def boast(context):
    """Say that the output holds more than it does."""
    context.outputs["out"].write_text("one")
    context.claim("out", context.index("source"))

def edit(context):
    """Edit the source each time, and copy what it said."""
    text = context.inputs["source"].read_text()
    copy(context)
    context.inputs["source"].write_text(text + "!")

def meddled(context):
    """Copy all that the source holds, while somebody meddles."""
    count(context)
    meddler = meddlers.pop(0) if meddlers else iter([None])
    next(meddler)
    source = context.inputs["source"]
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    context.outputs["out"].write_text("".join(file.read_text() for file in files))
    next(meddler, None)

def grow(context):
    """Make a folder with a file of what the source says, the top closed to writing; fail where it says so."""
    count(context)
    text, folder = context.inputs["source"].read_text(), context.outputs["out"]
    folder.mkdir()
    (folder / text).write_text(text)
    folder.chmod(0o555)
    if text == "fail":
        raise StageError("the source says fail")

def nothing(context):
    """Make no output."""
    count(context)
'''


class QuickStages:
    """A folder with a source file, and stages of one input and one output."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.top = top
        self.source = top / "source"
        self.source.write_text("one")
        self.out = top / "build/out/file"
        (top / "quick.py").write_text(CODE)
        monkeypatch.syspath_prepend(top)
        monkeypatch.delitem(sys.modules, "quick", raising=False)
        meddlers.clear()

    def stage(self, function: str, **more: Any) -> Stage:
        """Return a stage that runs one of the functions above."""
        hints = {"runs": str(self.top / "runs")}
        return Stage("made", f"quick:{function}", {"source": self.source}, {"out": self.out}, hints=hints, **more)

    def builder(self, stage: Stage) -> Builder:
        """Return the builder of a stage, as a run begins with it: it remembers nothing but what is on disk."""
        where = self.top / "build", self.top / "no.lock", 0, self.top / "no.yaml"
        plan = Plan("quick", *where, "", (stage,), (self.out,), products=(stage.name,))
        builder = Builder(plan, Identities(self.top / "cache"))
        builder.state.mkdir(parents=True, exist_ok=True)
        builder.open()
        return builder

    @property
    def runs(self) -> int:
        """How often a stage's function ran."""
        path = self.top / "runs"
        return len(path.read_text()) if path.exists() else 0
