"""How a stage's host programs are run: what they get of the host, and what they used of it.

Code of every stage that runs some, so it does not know which there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bootsmith.tasks.tools.environment import ENVIRONMENT

if TYPE_CHECKING:
    from bootsmith.tasks.build.stage import Context
    from bootsmith.tasks.tools.process import Completed
    from bootsmith.tasks.tools.usage import Usage


class ToolRunner:
    """Runs the programs of one stage; `find` tells where they are, `usage` is told what they take.

    What they print goes to `log`.
    """

    def __init__(self, find: Callable[[str], Path], usage: Usage, log: BinaryIO | None = None) -> None:
        self.find = find
        self.usage = usage
        self._log = log

    def run(
        self,
        ctx: Context,
        words: Sequence[str | Path],
        *,
        input: bytes | Path | None,  # noqa: A002  # as subprocess calls it
        env: Mapping[str, str],
        cwd: Path,
        root: bool,
        network: bool,
        check: bool,
        stdout: Path | None,
    ) -> Completed:
        """Run a program; see `Context.run`."""
        from bootsmith.tasks.tools import process  # most stages of an edit run none

        return process.run(
            words,
            env=_environment(ctx) | dict(env),
            cwd=cwd,
            input=input,
            stdout=stdout,
            log=self._log,
            on_line=ctx.say,
            root=root,
            network=network,
            check=check,
            usage=self.usage,
        )


def _environment(ctx: Context) -> dict[str, str]:
    found = {
        **ENVIRONMENT,
        "TZ": "UTC",
        "HOME": str(ctx.work),
        "TMPDIR": str(ctx.work),
    }
    epoch = ctx.params.get("epoch")
    if epoch is not None:
        found["SOURCE_DATE_EPOCH"] = str(epoch)
    return found
