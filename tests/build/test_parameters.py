"""Parameters of stages: what is planned is what runs, whether from a plan, a record or the history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from bootsmith.cache.digest.key import encode
from bootsmith.cache.store.store import Store
from bootsmith.tasks.build import running
from bootsmith.tasks.build.parameters import Params, UnfitParams
from bootsmith.tasks.build.stage import Context, Stage


@dataclass(frozen=True)
class Wheel:
    """A part of a toy."""

    spokes: int
    rim: str | None = None


@dataclass(frozen=True)
class ToyParams(Params):
    """Parameters of every kind."""

    name: str
    count: int
    loud: bool
    kind: Literal["car", "cart"]
    words: tuple[str, ...]
    place: tuple[int, str]
    spare: Wheel | None
    wheels: Mapping[str, Wheel]
    room: int | str


TOY = ToyParams(
    name="toy",
    count=3,
    loud=True,
    kind="cart",
    words=("a", "b"),
    place=(1, "x"),
    spare=None,
    wheels={"left": Wheel(8), "right": Wheel(9, "steel")},
    room="auto",
)


def context(params: Mapping[str, Any], folder: Path) -> Context:
    """Return what a stage with these parameters is run with."""
    return running.context(Stage("toy", "toys:run", {}, {}, params), {}, folder, lambda: Store(folder / "store"))


@pytest.mark.parametrize("toy", [TOY, replace(TOY, spare=Wheel(0, ""), words=(), wheels={}, room=5)])
def test_what_was_planned_is_read_back(toy: ToyParams, tmp_path: Path) -> None:
    """A stage is given its parameters as they were planned, also by way of a file, and its key is the same then."""
    plain = toy.to_json()
    noted = json.loads(json.dumps(plain))
    assert noted == plain
    assert encode(noted) == encode(plain)
    assert ToyParams.of(context(plain, tmp_path)) == ToyParams.of(context(noted, tmp_path)) == toy


def test_the_key_has_plain_values_by_their_names() -> None:
    """What a key is made of can be read: the fields' own names, down to those of what is within them."""
    assert TOY.to_json() == {
        "name": "toy", "count": 3, "loud": True, "kind": "cart", "words": ["a", "b"], "place": [1, "x"], "spare": None,
        "wheels": {"left": {"spokes": 8, "rim": None}, "right": {"spokes": 9, "rim": "steel"}}, "room": "auto",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"count": "3"}, "count cannot be '3'"),
        ({"count": True}, "count cannot be True"),
        ({"loud": 1}, "loud cannot be 1"),
        ({"kind": "bus"}, "kind cannot be 'bus'"),
        ({"words": "ab"}, "words cannot be 'ab'"),
        ({"words": ["a", 2]}, "words.1 cannot be 2"),
        ({"place": [1]}, r"place cannot be \[1\]"),
        ({"spare": 4}, "spare cannot be 4"),
        ({"wheels": {"left": {"spokes": 8}}}, "wheels.left.rim is missing"),
        ({"wheels": {"left": {"spokes": 8, "rim": None, "hub": 1}}}, "wheels.left.hub is none that it has today"),
        ({"horn": "loud"}, "horn is none that it has today"),
        ({"name": ...}, "name is missing"),
    ],
    ids=str,
)
def test_what_is_none_is_told(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    """Parameters of other code, as an older build has them, are refused by the name of the first that does not fit."""
    params = {name: value for name, value in (TOY.to_json() | change).items() if value is not ...}
    with pytest.raises(UnfitParams, match=f"^its parameter {said}$"):
        ToyParams.of(context(params, tmp_path))
