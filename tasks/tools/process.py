"""Host programs run so that nothing outlives us: each in a pid namespace of its own.

Only this package imports subprocess.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bootsmith.tasks.errors import ToolFailed
from bootsmith.tasks.stage import Completed


@dataclass(slots=True)
class Usage:
    """What a stage's programs took together: CPU seconds and the peak of their resident memory, in bytes."""

    cpu: float = 0.0
    peak: int = 0


def sandbox(*, root: bool, network: bool) -> list[str]:
    """Return the words before a program's own: its namespaces, and death together with the calling thread."""
    words = ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        words += ["--user", "--map-root-user"]
        if root:
            words.append("--map-auto")
    if root:
        words += ["--mount", "--mount-proc"]
    if not network:
        words.append("--net")
    return [*words, "--"]


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    input: bytes | None = None,
    stdout: Path | None = None,
    log: BinaryIO | None = None,
    on_line: Callable[[str], None] | None = None,
    root: bool = False,
    network: bool = False,
    check: bool = True,
    usage: Usage | None = None,
) -> Completed:
    """Run a program to its end and return what it printed.

    Everything printed also goes to `log`, and line by line to `on_line`. Raises ToolFailed with the last lines.
    """
    words = [*sandbox(root=root, network=network), *map(str, argv)]
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(stdout.open("wb")) if stdout else subprocess.PIPE
        process = stack.enter_context(
            subprocess.Popen(
                words, env=dict(env), cwd=cwd, stdout=out, stderr=subprocess.PIPE,
                stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
            )
        )
        captured: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        write_log = threading.Lock()

        def drain(name: str, stream: BinaryIO) -> None:
            lines = []
            for line in stream:
                lines.append(line)
                if log:
                    with write_log:
                        log.write(line)
                if on_line:
                    on_line(line.decode(errors="replace").rstrip())
            captured[name] = b"".join(lines)

        readers = [
            threading.Thread(target=drain, args=(name, stream), daemon=True)
            for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
            if stream
        ]
        for reader in readers:
            reader.start()
        if process.stdin:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(input or b"")
                process.stdin.close()
        for reader in readers:
            reader.join()
        status = process.wait()
    if status and check:
        tail = "\n".join((captured["stderr"] or captured["stdout"]).decode(errors="replace").splitlines()[-20:])
        raise ToolFailed(f"{argv[0]} exited with status {status}", tail=tail, status=status)
    return Completed(status, captured["stdout"], captured["stderr"])
