"""The exceptions of the cache, and what all of bootsmith's are grown from; tasks/errors.py draws the whole tree."""

from __future__ import annotations

from bootsmith.cache.display import without_passwords


class BootsmithError(Exception):
    """A problem the user can act on: `message` says what is wrong and where, `hint` what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = without_passwords(message)
        self.hint = without_passwords(hint)
        super().__init__(self.message, self.hint)

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(BootsmithError):
    """A wrong word on the command line, or in the environment: which, and what the right ones are."""

    exit_code = 3


class CacheError(BootsmithError):
    """A directory or file the cache needs cannot be used."""


class Unwritable(CacheError):
    """A store that may be read, and not be written."""
