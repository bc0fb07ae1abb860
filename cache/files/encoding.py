"""How Python takes names for text: as UTF-8 with surrogates, in every locale, for names are bytes.

In a locale of another encoding a name would be other text, which then stands in keys, records and indexes: the same
tree would be another one, and what a record names would not be found.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from bootsmith.cache.errors import UsageError

_WORDS = ["-X", "utf8"]


def is_foreign() -> bool:
    """Tell whether this Python takes names for something else than UTF-8."""
    return sys.getfilesystemencoding() != "utf-8"


def settle() -> None:
    """Start this same program anew, from its beginning, if it takes names for something else than UTF-8.

    Then let no name be one that cannot be printed: what a terminal's encoding lacks is escaped. Raises UsageError.
    """
    if is_foreign():
        if sys.orig_argv[1:3] == _WORDS:
            raise UsageError("this Python has no UTF-8 mode, so that names would be bent", "Use another Python.")
        printed = {"PYTHONIOENCODING": f"{sys.stdout.encoding}:backslashreplace"}  # what the terminal shows stays
        os.execve(sys.executable, [sys.executable, *_WORDS, *sys.orig_argv[1:]], printed | dict(os.environ))  # noqa: S606  no shell
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
