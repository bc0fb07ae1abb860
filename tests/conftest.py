"""What all tests share: Hypothesis leaves no files behind, and counts no seconds."""

from __future__ import annotations

import atexit
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

HOME = TemporaryDirectory(prefix="hypothesis-")
atexit.register(HOME.cleanup)
set_hypothesis_home_dir(HOME.name)
settings.register_profile(
    "house", database=None, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("house")
