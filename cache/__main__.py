"""`python -m bootsmith.cache`: to look at a store, to verify it, and to make room in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from bootsmith.cache.display import escaped
from bootsmith.cache.errors import BootsmithError
from bootsmith.cache.files import encoding
from bootsmith.cache.report.commands import FAILED, main

INTERRUPTED = 130  # as a shell has it: 128 + SIGINT


def run(words: Sequence[str]) -> int:
    """Do as `main` does for a person at a shell; return the exit status."""
    try:
        encoding.settle()
        status = main(words)
        sys.stdout.flush()
    except BootsmithError as error:
        sys.stderr.write(f"ERROR: {escaped(str(error))}\n")
        return error.exit_code
    except BrokenPipeError:  # whoever read us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    return status


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
