"""What the cache tells its caller when it cannot go on."""

from __future__ import annotations


class CacheError(Exception):
    """A directory or file the cache needs cannot be used: `message` says which and why, `hint` what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class Misuse(CacheError):
    """A wrong word: which, and what the right ones are."""

    exit_code = 3
