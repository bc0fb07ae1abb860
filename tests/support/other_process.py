"""Another Python process beside the test's, with bootsmith in reach."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import bootsmith

TIMEOUT = 60


def start(code: str, *args: object) -> subprocess.Popen[str]:
    """Start a process that runs `code`, its arguments in sys.argv[1:]; both ends of it are pipes."""
    source = str(Path(bootsmith.__file__).parent.parent)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        env=os.environ | {"PYTHONPATH": source},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Let a process end; return what it printed. A process that failed fails the test."""
    with process:
        out, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, out
    return out


def run(code: str, *args: object) -> str:
    """Run a process to its end; return what it printed."""
    return finish(start(code, *args))


def dies_with(victim: subprocess.Popen[str], within: float = TIMEOUT) -> bool:
    """Kill a process that first prints the id of another; tell whether that one ends too, within so many seconds."""
    with victim:
        assert victim.stdout is not None
        other = os.pidfd_open(int(victim.stdout.readline()))
        victim.kill()
        ended, _, _ = select.select([other], [], [], within)
        os.close(other)
    return bool(ended)


def ended(number: int, within: float = TIMEOUT) -> bool:
    """Tell whether a process ends within so many seconds, or has ended."""
    try:
        other = os.pidfd_open(number)
    except ProcessLookupError:
        return True
    gone, _, _ = select.select([other], [], [], within)
    os.close(other)
    return bool(gone)
