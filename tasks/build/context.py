"""What a running stage sees: its declared inputs, outputs, parameters and tools, and nothing else.

Code of every stage, so it imports next to nothing: what it has of the host, whoever runs the stage gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import Download, Folders, Json, Stage

if TYPE_CHECKING:
    from bootsmith.cache.digest.index import Index
    from bootsmith.tasks.build.indexes import Indexes
    from bootsmith.tasks.build.supplies import Supplies
    from bootsmith.tasks.build.tool_runner import ToolRunner
    from bootsmith.tasks.tools.process import Completed


@dataclass(frozen=True)
class StageContext:
    """A `Context` (see stage.py) for one run of one stage."""

    stage: Stage
    outputs: Mapping[str, Path]
    work: Path
    runner: ToolRunner
    supplies: Supplies
    indexes: Indexes
    previous: Path | None
    say: Callable[[str], None]
    tell: Callable[[str], None]

    @property
    def inputs(self) -> Mapping[str, Path]:
        return self.stage.inputs

    @property
    def params(self) -> Mapping[str, Json]:
        return self.stage.params

    @property
    def hints(self) -> Mapping[str, Json]:
        return self.stage.hints

    @property
    def before(self) -> Mapping[str, Index]:
        """What inputs held of which `previous` was made; see `Context.before`."""
        return self.indexes.before

    def stays(self, role: str) -> bool:
        """Tell whether an input holds what it held when `previous` was made; see `Context.stays`."""
        earlier = self.indexes.earlier
        return earlier is not None and earlier.stays(role)

    def earlier(self, role: str) -> bytes | None:
        """Return what an input held when `previous` was made; see `Context.earlier`."""
        earlier = self.indexes.earlier
        return None if earlier is None else earlier.input(role)

    def beside(self, role: str) -> bytes | None:
        """Return what another output held beside `previous`; see `Context.beside`."""
        earlier = self.indexes.earlier
        return None if earlier is None else earlier.output(role)

    def folders(self, role: str) -> Folders | None:
        """Return what an input tree's folders held and hold; see `Context.folders`."""
        earlier = self.indexes.earlier
        return None if earlier is None else earlier.folders(role)

    def index(self, role: str) -> Index:
        """Return what an input file holds, chunk by chunk."""
        return self.indexes.of_input(role)

    def previous_index(self) -> Index:
        """Return what `previous` holds, chunk by chunk; there must be one."""
        return self.indexes.of_previous()

    def claim(self, role: str, index: Index) -> None:
        """Say what an output holds, so that it is not read again."""
        self.indexes.claimed[role] = index

    def secret(self, role: str) -> bytes:
        """Return the bytes of a declared secret."""
        return self.supplies.secret(self.stage, role)

    def fetch(self, files: Sequence[Download]) -> Mapping[str, Path]:
        """Return where each file is; see `Context.fetch`."""
        return self.supplies.fetch(self.stage, files, self.say)

    def tool(self, name: str) -> Path:
        """Return where a declared host program or file is."""
        if name not in self.stage.tools:
            raise AssertionError(f"{self.stage.name} runs {name!r}, which it does not declare")
        return self.runner.find(name)

    def run(
        self,
        tool: str,
        *args: str | Path,
        input: bytes | Path | None = None,  # noqa: A002  # as subprocess calls it
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        root: bool = False,
        network: bool = False,
        check: bool = True,
        stdout: Path | None = None,
    ) -> Completed:
        """Run a declared host program; see `Context.run`."""
        return self.runner.run(
            self,
            [self.tool(tool), *args],
            input=input,
            env=env or {},
            cwd=cwd or self.work,
            root=root,
            network=network,
            check=check,
            stdout=stdout,
        )
