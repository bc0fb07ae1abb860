"""How a stage is run: what Python does meanwhile, and afterwards again."""

from __future__ import annotations

import gc

import pytest
from bootsmith.tasks.build.running import uncollected
from bootsmith.tasks.errors import StageError


def test_cycles_are_looked_for_again_when_the_last_stage_ended() -> None:
    """Stages run at the same time, and some fail: whoever embeds us has its collector back."""
    assert gc.isenabled()
    with uncollected():
        with pytest.raises(StageError), uncollected():
            raise StageError("failed")
        assert not gc.isenabled()
    assert gc.isenabled()
