"""The disk that was made, read back before it counts as built: every check of `verify`, as a stage."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bootsmith.cache.display import shown
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import ext_place
from bootsmith.tasks.disk.parts import parts
from bootsmith.tasks.disk.raw_content import opened_raw
from bootsmith.tasks.disk.verity import check as hash_tree
from bootsmith.tasks.disk.verity import form
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.inspection import verification
from bootsmith.tasks.inspection.checker_output import complaint, program
from bootsmith.tasks.inspection.expectation import Expected
from bootsmith.tasks.inspection.volumes import Image
from bootsmith.tasks.tree import lz4

if TYPE_CHECKING:
    from bootsmith.tasks.disk.parts import Part
    from bootsmith.tasks.inspection.verdicts import Complaint


_REPORT = "Nothing you wrote can do that: please report it. `verify: {skip: [filesystems]}` builds it all the same."
_CONFIG = {"E2FSCK_CONFIG": "/dev/null"}  # none of the host's


@dataclass(frozen=True)
class CheckParams(Params):
    """The program that checks a filesystem, and its options."""

    program: str
    options: tuple[str, ...]


def check(ctx: Context) -> None:
    """Have a filesystem's own program look at one partition. Raises StageError for a damaged one."""
    params = CheckParams.of(ctx)
    where = ext_place.place(ctx, ctx.inputs["image"])
    done = ctx.run(params.program, *params.options, where, env=_CONFIG, check=False)
    found = complaint(params.program, done)
    if found:
        raise StageError(f"read back, the filesystem is damaged: {found.program}: {shown(found.words, 300)}", _REPORT)
    ctx.outputs["verdict"].write_text(f"{params.program}: clean\n")


def check_tree(ctx: Context) -> None:
    """Look whether every block of a partition is what its hash tree says. Raises StageError."""
    root_hash = ctx.inputs["roothash"].read_text().strip()
    with opened_raw(ctx.inputs["image"]) as data, opened_raw(ctx.inputs["tree"]) as tree:
        described = form.decode(tree.read(0, form.BLOCK))
        assert isinstance(described, form.Form), "it was made here"
        wrong = list(hash_tree.problems(described, root_hash, tree.read, data.read))
    if wrong:
        raise StageError(f"read back, the hash tree is wrong: {wrong[0]}", _REPORT.replace("filesystems", "verity"))
    ctx.outputs["verdict"].write_text(f"{described.blocks} blocks verified\n")


def run(ctx: Context) -> None:
    """Read a raw disk back, and write what each check saw. Raises StageError for a disk that is not as expected.

    Filesystems that have a stage of their own are not checked by their programs again: only the root, which an edit
    changes, is. Nor are the data that a hash tree is of.
    """
    path, expected = ctx.inputs["disk"], Expected.of(ctx)
    with opened_raw(path) as disk:
        table, identity, found, problems = parts(disk)
        image = Image(path, disk, table, identity, found, lambda: lz4.load(ctx.tool(lz4.LIBRARY)))
        pairs = zip(found, expected.partitions, strict=False)
        roots = {part.number for part, wanted in pairs if wanted.mount == "/"}
        try:
            look = partial(_look, ctx, roots)
            verdicts = list(verification.verify(image, problems, expected, look, every_block=False))
        finally:
            image.close()
    wrong = [f"{each.check}: {line}" for each in verdicts for line in each.wrong]
    if wrong:
        what = "\n".join(["read back, the disk is not what the recipe says:", *(f"  {line}" for line in wrong)])
        raise StageError(what, "If the recipe is as it is meant, `verify: {skip: [CHECK]}` passes a check over.")
    ctx.outputs["verdicts"].write_text(json.dumps([each._asdict() for each in verdicts], indent=1) + "\n")


def _look(ctx: Context, roots: set[int], image: Image, part: Part) -> Complaint | None:
    """Have the root's own program look at it, on the disk."""
    kind = part.filesystem.kind if part.filesystem else ""
    name, options = program(kind)
    if name != "e2fsck" or part.number not in roots:
        return None
    where = ext_place.place(ctx, image.path, part.start)
    return complaint(name, ctx.run(name, *options, where, env=_CONFIG, check=False))
