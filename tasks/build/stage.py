"""The contract every stage keeps: declared inputs in, declared outputs out, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from bootsmith.cache.digest.index import Index
    from bootsmith.tasks.build.secret import Secret
    from bootsmith.tasks.tools.process import Completed

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

NOTHING: Mapping[str, Any] = MappingProxyType({})


OTHERS: Final = "recipe/"
"""How the names of stages begin that are another recipe's: with OTHERS, and that recipe's name."""


class Stage(NamedTuple):
    """A pure step: the same inputs, parameters, tools and code give the same output bytes.

    `inputs` and `outputs` map a role to a path (outputs are single files, unless they are `folders`). `params` holds
    all that shapes the output; `hints` what the run needs but the output does not depend on (a mirror's URL): it never
    enters the key.
    `loads` are modules the run imports by names that its source does not tell: part of its code, as what it imports is.
    `fetcher` is the "module:function" that brings the files which the run asks for; it shapes no output either.
    `tools` are names from `bootsmith.tasks.tools.catalogue.TOOLS`; only these can be run. `run` is "module:function",
    imported only when the stage really runs, so that a no-op stays quick; the function takes one `Context`.
    """

    name: str
    run: str
    inputs: Mapping[str, Path]
    outputs: Mapping[str, Path]
    params: Mapping[str, Json] = NOTHING
    tools: tuple[str, ...] = ()
    loads: tuple[str, ...] = ()
    secrets: Mapping[str, Secret] = NOTHING
    hints: Mapping[str, Json] = NOTHING
    fetcher: str | None = None
    stored: bool = True
    """False where making the output again costs no more than restoring it, or it would share nothing in the store."""
    listings: Mapping[str, str] = NOTHING
    """For some inputs, by role, the "module:function" that tells of a file which packages it lists: "NAME ARCH" ->
    version. Only words about a change follow from it: it never enters the key."""
    carry: str | None = None
    """The output role whose previous file, where it may be had exclusively, is offered as `Context.previous`."""
    folders: bool = False
    """Whether its outputs are folders, all that is in them included; such are not stored."""
    settles: str | None = None
    """The role of a source file, a lock, that goes by what the other inputs hold: a run brings it up to date first."""
    doc: str = ""

    @property
    def own_name(self) -> str:
        """What the stage is called in the plan of its own recipe: so its key is the same in all that take of that."""
        name = self.name
        while name.startswith(OTHERS):
            name = name.split("/", 2)[2]
        return name


class Download(NamedTuple):
    """A file that a mirror of some `role` has at `path`, and that is told by its SHA-256; `size` in bytes."""

    title: str
    role: str
    path: str
    size: int
    sha256: str


class Folders(NamedTuple):
    """The digests of all that is below each folder of a tree, by its path from the top, "" the top's own.

    Of a folder with a file below it that has other names nothing is told.
    """

    before: Mapping[str, str]
    now: Mapping[str, str]

    def same(self) -> set[str]:
        """Return the folders that hold what they held."""
        return {path for path, digest in self.now.items() if self.before.get(path) == digest}


class Context(Protocol):
    """What a running stage may touch.

    Paths in `outputs` lie in a temporary directory on the build directory's file system; the engine renames them into
    place when `run` returns. `work` is an empty scratch directory there, removed afterwards.
    """

    @property
    def inputs(self) -> Mapping[str, Path]: ...
    @property
    def outputs(self) -> Mapping[str, Path]: ...
    @property
    def params(self) -> Mapping[str, Json]: ...
    @property
    def hints(self) -> Mapping[str, Json]: ...
    @property
    def work(self) -> Path: ...
    @property
    def previous(self) -> Path | None:
        """The previous output of the `carry` role, ours to change and rename to `outputs[carry]`."""
        ...

    @property
    def before(self) -> Mapping[str, Index]:
        """What inputs held, by role, of which this very stage made `previous`; none where that is not certain.

        All else of the key, code, parameters, tools and secrets, was as it is now.
        """
        ...

    def stays(self, role: str) -> bool:
        """Tell whether an input holds what it held when this very stage made `previous`; False where it is not certain.

        What `before` says of all else of the key holds here, too.
        """
        ...

    def earlier(self, role: str) -> bytes | None:
        """Return what an input file held when this very stage made `previous`; None where nobody has it any more."""
        ...

    def beside(self, role: str) -> bytes | None:
        """Return what another output holds that was made together with `previous`; None where that is not certain."""
        ...

    def folders(self, role: str) -> Folders | None:
        """Return what an input tree's folders held when this very stage made `previous`, and hold now; None as above.

        Where a folder's digest is what it was, so is all below it.
        """
        ...

    def index(self, role: str) -> Index:
        """Return what an input file holds, chunk by chunk: mostly known without reading it."""
        ...

    def previous_index(self) -> Index:
        """Return what `previous`, which must be there, holds chunk by chunk, whatever that is."""
        ...

    def claim(self, role: str, index: Index) -> None:
        """Say what an output holds, by whoever knows all that was written to it: it is not read again to be hashed."""
        ...

    def secret(self, role: str) -> bytes:
        """Return the bytes of a declared secret. Never log them or put them on a command line."""
        ...

    def fetch(self, files: Sequence[Download]) -> Mapping[str, Path]:
        """Return where each of these files is in the store, by SHA-256, fetched where it is missing. Raises StageError.

        They are there to be read until the run ends.
        """
        ...

    def tool(self, name: str) -> Path:
        """Return where a declared host program or file is, for what is handed its path. Raises ToolMissing."""
        ...

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
        """Run a declared host program, its argv a list, never a shell.

        The environment is empty but for PATH, LC_ALL=C.UTF-8, TZ=UTC, HOME and TMPDIR (both in `work`),
        SOURCE_DATE_EPOCH where `params["epoch"]` is given, and `env`. `root` runs it as uid 0 of a user and mount
        namespace with the caller's subordinate ids mapped (as real root without one: in a mount namespace).
        Without `network` no network is reachable. It never outlives this process. `stdout` redirects to a file; where
        `input` is a file, the user is told how much of it was taken.
        Raises ToolFailed (unless `check` is False), ToolMissing.
        """
        ...

    def say(self, text: str) -> None:
        """Tell the user what is happening right now: one short line."""
        ...

    def tell(self, text: str) -> None:
        """Tell the user, when the stage is done, what is to be known of its output: what it could not hold."""
        ...
