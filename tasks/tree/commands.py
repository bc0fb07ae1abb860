"""The layers that a command or a script makes by running in the tree below: what it changed there."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import host_files, layer, sandbox
from bootsmith.tasks.tree.changes import Changes
from bootsmith.tasks.tree.merged import tree_below
from bootsmith.tasks.tree.sandbox import OURS, Added, Work

if TYPE_CHECKING:
    from collections.abc import Sequence

TOOLS: Final = sandbox.TOOLS
SCRIPT: Final = "script"
"""The role of a script among the inputs; what it reads has "input/NAME"."""
INPUTS: Final = f"{OURS}/inputs"
"""Where inputs are in the tree; each is a file or folder there of the name of its variable."""


@dataclass(frozen=True)
class CommandParams(Params):
    """A command for sh, None where a script is run; and what it finds: variables, inputs by name, a network or none."""

    epoch: int
    command: str | None
    inputs: tuple[str, ...]
    env: Mapping[str, str]
    network: bool


def run(ctx: Context) -> None:
    """Run the command or the script; write what it changed."""
    params, tree = CommandParams.of(ctx), tree_below(ctx)
    added: dict[str, Added] = {}
    for name in params.inputs:
        added |= _inputs(ctx.inputs[f"input/{name}"], f"{INPUTS}/{name}")
    words: Sequence[str] = ("/bin/sh", "-eu", "-c", params.command or "")
    if params.command is None:
        data = ctx.inputs[SCRIPT].read_bytes()
        added[f"{OURS}/{SCRIPT}"] = Added(data, 0o755)
        place = f"/{OURS}/{SCRIPT}"
        words = (place,) if data.startswith(b"#!") else ("/bin/sh", "-eu", place)
    name = "the script" if params.command is None else "the command"
    ctx.say(f"unpacking the tree for {name}")
    began = int(time.time())
    env = {each: f"/{INPUTS}/{each}" for each in params.inputs} | dict(params.env)
    after = sandbox.run(ctx, tree, Work(name, words, params.epoch, env, added, network=params.network))
    changes = Changes(tree, after, network=params.network)
    with layer.LayerWriter(ctx.outputs["tar"], ctx.outputs["index"], params.epoch) as writer:
        changes.write(writer, params.epoch, began)


def _inputs(source: Path, place: str) -> dict[str, Added]:
    """Return what is in the tree of a file or folder of the host: all root's, 0755 or 0644 by the exec bit."""
    if not source.is_dir():
        if not source.is_file():
            raise StageError(f"{shown(source)} is no file or folder", "Let the recipe name one.")
        return {place: Added(source, _mode(source.stat().st_mode))}
    found = {place: Added(None, 0o755)}
    with host_files.steady(source):
        for path, file, status in host_files.below(source):
            if stat.S_ISDIR(status.st_mode):
                found[f"{place}/{path}"] = Added(None, 0o755)
            elif stat.S_ISREG(status.st_mode):
                found[f"{place}/{path}"] = Added(Path(file), _mode(status.st_mode))
            elif stat.S_ISLNK(status.st_mode):
                found[f"{place}/{path}"] = Added(None, 0o777, os.readlink(file))  # noqa: PTH115  any bytes, as they are
            else:
                raise StageError(
                    f"{shown(file)} is no file, folder or link", "Remove it, or name what is needed of it."
                )
    return found


def _mode(mode: int) -> int:
    return 0o755 if mode & 0o111 else 0o644
