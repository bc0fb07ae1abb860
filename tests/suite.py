"""Everything a change must pass, in the order that fails soonest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
WORKERS = "2"  # boots under emulation want a core each


def run(words: Sequence[str] = ()) -> bool:
    """Run it all, or pytest alone with `words`; tell whether it passed."""
    python = [sys.executable, "-m"]
    steps = [
        [*python, "ruff", "check", "."],
        [*python, "ruff", "format", "--check", "."],
        [*python, "pytest", "-n", WORKERS, "--dist", "loadgroup"],
    ]
    if words:
        steps = [[*python, "pytest", *words]]
    for step in steps:
        sys.stdout.write(f"$ python {' '.join(step[1:])}\n")
        sys.stdout.flush()
        if subprocess.run(step, cwd=CHECKOUT, env=os.environ, check=False).returncode:
            return False
    return True
