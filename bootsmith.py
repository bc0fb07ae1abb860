"""The import name: `bootsmith.tasks` and `bootsmith.cache` are the folders beside this file."""

from pathlib import Path

__version__ = "0.1.0"
__path__ = [str(Path(__file__).parent)]
