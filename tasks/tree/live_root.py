"""Where on a live system's medium the packed tree is: known to what makes the medium, and to what mounts it."""

from __future__ import annotations

from typing import Final

PATH: Final = "live/filesystem.squashfs"
"""Where Debian's live-boot looks for it too."""
