"""How errors end doit where no task runs that could fail by them: in words, by the status that each kind has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bootsmith.cache.display import escaped
from bootsmith.tasks.build.system_errors import in_words
from bootsmith.tasks.errors import BootsmithError
from doit.exceptions import InvalidCommand


@contextmanager
def refusing() -> Iterator[None]:
    """End doit by a BootsmithError, and by what the system refuses; a bug of ours stays what it is."""
    try:
        yield
    except (BootsmithError, OSError) as error:
        found = in_words(error, "doit") if isinstance(error, OSError) else error
        if not isinstance(found, BootsmithError):
            raise
        if found.exit_code == 3:
            raise InvalidCommand(escaped(str(found))) from None  # of doit's errors the one that `help` does not swallow
        sys.stderr.write(f"ERROR: {escaped(str(found))}\n")
        raise SystemExit(found.exit_code) from None
