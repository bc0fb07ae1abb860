"""What a running stage sees: its declared inputs, outputs, parameters and tools, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.stage import Json, Stage
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import host, process
from bootsmith.tasks.tools.environment import ENVIRONMENT
from bootsmith.tasks.tools.process import Completed
from bootsmith.tasks.tools.usage import Usage


def _silent(_text: str) -> None:
    pass


@dataclass
class StageContext:
    """A `Context` (see stage.py) for one run of one stage."""

    stage: Stage
    outputs: Mapping[str, Path]
    work: Path
    previous: Path | None = None
    log: BinaryIO | None = None
    say: Callable[[str], None] = _silent
    tell: Callable[[str], None] = _silent
    usage: Usage = field(default_factory=Usage)

    @property
    def inputs(self) -> Mapping[str, Path]:
        return self.stage.inputs

    @property
    def params(self) -> Mapping[str, Json]:
        return self.stage.params

    @property
    def hints(self) -> Mapping[str, Json]:
        return self.stage.hints

    def secret(self, role: str) -> bytes:
        """Return the bytes of a declared secret."""
        return read_secret(self.stage.secrets[role], f"{self.stage.name}: the secret for {role}")

    def tool(self, name: str) -> Path:
        """Return where a declared host program or file is."""
        if name not in self.stage.tools:
            raise AssertionError(f"{self.stage.name} runs {name!r}, which it does not declare")
        return host.find(name)

    def run(
        self,
        tool: str,
        *args: str | Path,
        input: bytes | None = None,  # noqa: A002  # as subprocess calls it
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        root: bool = False,
        network: bool = False,
        check: bool = True,
        stdout: Path | None = None,
    ) -> Completed:
        """Run a declared host program; see `Context.run`."""
        return process.run(
            [self.tool(tool), *args],
            env=self._environment() | dict(env or {}),
            cwd=cwd or self.work,
            input=input,
            stdout=stdout,
            log=self.log,
            on_line=self.say,
            root=root,
            network=network,
            check=check,
            usage=self.usage,
        )

    def _environment(self) -> dict[str, str]:
        found = {
            **ENVIRONMENT,
            "TZ": "UTC",
            "HOME": str(self.work),
            "TMPDIR": str(self.work),
        }
        if "epoch" in self.params:
            found["SOURCE_DATE_EPOCH"] = str(self.params["epoch"])
        return found


def read_secret(secret: Secret, what: str) -> bytes:
    """Return the bytes a secret refers to, without the newline an editor leaves. Raises StageError naming `what`."""
    if secret.file is not None:
        try:
            return secret.file.read_bytes().rstrip(b"\n")
        except OSError as error:
            raise StageError(
                f"{what} cannot be read from {secret.file}: {error.strerror}",
                "Create the file, or name another one in the recipe.",
            ) from error
    if secret.env is not None:
        try:
            return os.environb[secret.env.encode()]
        except KeyError:
            raise StageError(
                f"{what} is the environment variable {secret.env}, which is not set",
                f"Set {secret.env} for this command.",
            ) from None
    assert secret.hash is not None, "a Secret has one source"
    return secret.hash.encode()
