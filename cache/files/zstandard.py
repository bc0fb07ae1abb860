"""Python's own zstd, or the library that is the same for those before 3.14."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import types


def module() -> types.ModuleType:
    """Return the module, loaded only now."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
