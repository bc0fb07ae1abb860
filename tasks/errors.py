"""The exceptions bootsmith raises for its users.

BootsmithError
├── UsageError        a wrong word on the command line                      exit 3
├── RecipeError       one or more mistakes in recipes, all listed           exit 3
├── StageError        a stage could not be built                            exit 1
│   ├── ToolFailed    a host program exited non-zero                        exit 1
│   ├── ToolMissing   a host program is not installed                       exit 1
│   ├── InputMissing  a declared input does not exist                       exit 1
│   ├── TooSmall      a filesystem cannot become as small as asked          exit 1
│   └── UnfitParams   a record holds parameters that its stage cannot take  exit 1
├── TestFailed        an image did not do what its recipe's test demands    exit 1
│   └── Starved       the host was too busy for a boot to show anything     exit 1
├── Unmet             the guest did not do what was demanded                exit 1
├── Damaged           what is packed cannot be unpacked                    exit 1
├── Encrypted         a disk image is encrypted, and nothing opens it       exit 1
├── Ended             a command run for the user ended with a status        exit 1, or that status
└── CacheError        a directory or file the cache needs cannot be used    exit 1
    ├── Unwritable    the store may be read, and not be written             exit 1
    └── Busy          somebody holds what is to be cleared away             exit 1

Anything else that escapes is a bug of ours. What one module alone raises stands there; cache/errors.py is the ground.
"""

from __future__ import annotations

from collections.abc import Sequence

from bootsmith.cache.display import escaped, without_passwords
from bootsmith.cache.errors import BootsmithError, UsageError

__all__ = [
    "BootsmithError",
    "Ended",
    "InputMissing",
    "RecipeError",
    "StageError",
    "TestFailed",
    "Together",
    "ToolFailed",
    "ToolMissing",
    "UsageError",
    "joined",
]


class RecipeError(BootsmithError):
    """Mistakes in recipes: `problems` holds one `file:line:column: key: what; what to do` per mistake.

    `missing` are the variables that only need to be given, where nothing else is wrong.
    """

    exit_code = 3

    def __init__(self, problems: list[str], missing: Sequence[str] = ()) -> None:
        self.missing = missing
        self.problems = [without_passwords(escaped(each)).replace("\n", "\\n") for each in problems]
        super().__init__("\n".join(self.problems))


class StageError(BootsmithError):
    """A stage could not be built."""


def joined(errors: Sequence[StageError]) -> StageError:
    """Return several mistakes as one: what is wrong, each once, then what to do."""
    messages, hints = ([getattr(each, name) for each in errors] for name in ("message", "hint"))
    return StageError("\n".join(dict.fromkeys(messages)), "\n  ".join(dict.fromkeys(filter(None, hints))))


class Together:
    """Mistakes that are told at once: each block under `with` may raise one, and `settle` raises all there were."""

    def __init__(self) -> None:
        self._found: list[StageError] = []

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, StageError):
            self._found.append(error)
            return True
        return False

    def settle(self) -> None:
        """Raise StageError where there was any mistake."""
        if self._found:
            raise joined(self._found)


class ToolFailed(StageError):
    """A host program exited non-zero; `tail` holds its last lines of output."""

    def __init__(self, message: str, hint: str = "", *, tail: str = "", status: int = 1) -> None:
        super().__init__(message, hint)
        self.tail = without_passwords(tail)
        self.status = status


class ToolMissing(StageError):
    """A host program is not installed."""


class InputMissing(StageError):
    """A declared input does not exist."""


class TestFailed(BootsmithError):
    """An image did not do what its recipe's test demands."""

    __test__ = False  # the name begins like a test case's; pytest must not collect it


class Ended(BootsmithError):
    """A command that the user ran through us ended with a status other than 0, which becomes ours."""

    def __init__(self, status: int) -> None:
        super().__init__(f"it ended with status {status}")
        self.exit_code = status
