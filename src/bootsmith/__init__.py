"""The one package: `tasks`, `cache` and `recipes`, which in a checkout are links to its top-level folders."""

import time

__version__ = "0.1.0"
STARTED = time.time_ns()
"""When this process loaded the first of our modules."""
