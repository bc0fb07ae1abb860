"""The environment that host programs get: nothing of the user's, so that it shapes nothing that they make."""

from __future__ import annotations

from types import MappingProxyType

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where they look for others, and where we look for them first."""
ENVIRONMENT = MappingProxyType({"PATH": PATH, "LC_ALL": "C.UTF-8"})
