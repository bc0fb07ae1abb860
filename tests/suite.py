"""Everything a change must pass, in the order that fails soonest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from tests.support.checkout import CHECKOUT

SPREAD = ("-n", "2", "--dist", "loadgroup")  # boots under emulation want a core each


def run(words: Sequence[str] = ()) -> bool:
    """Run it all, or pytest alone with `words`; tell whether it passed."""
    if words:
        return _pass([["pytest", *words]])
    return _pass([["ruff", "check", "."], ["ruff", "format", "--check", "."], ["pytest", *SPREAD]])


def soak(words: Sequence[str] = ()) -> bool:
    """Run, for hours, the whole of what CI runs a share of, `words` choosing among it; tell whether it passed."""
    return _pass([["pytest", "--soak", "-m", "soak", *SPREAD, *words]])


def _pass(steps: Sequence[Sequence[str]]) -> bool:
    for words in steps:
        step = [sys.executable, "-m", *words]
        sys.stdout.write(f"$ python {' '.join(step[1:])}\n")
        sys.stdout.flush()
        if subprocess.run(step, cwd=CHECKOUT, env=os.environ, check=False).returncode:
            return False
    return True
