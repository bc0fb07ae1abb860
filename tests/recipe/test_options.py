"""Options of commands as keys of the recipe."""

from __future__ import annotations

import json

import pytest
from bootsmith.tasks.errors import RecipeError, UsageError
from bootsmith.tasks.recipe import options


def test_options_are_read_as_keys() -> None:
    """Sizes, ports, flags and words for QEMU mean what they mean in a recipe; what is not given is the default."""
    given = {"memory": "2G", "forward": "2222:22,8080:80", "monitor": True, "gdb": False, "qemu": "-device 'a b'"}
    found = options.machine(given)
    assert found.memory == 2 << 30
    assert found.forward == ((2222, 22), (8080, 80))
    assert found.monitor
    assert not found.gdb
    assert found.qemu == ("-device", "a b")
    assert found.cpus == options.machine({}).cpus


def test_a_wrong_option_is_refused_as_the_key_would_be() -> None:
    """All wrong options at once, with what is right (V16)."""
    with pytest.raises(RecipeError) as caught:
        options.machine({"memory": "64", "accel": "hvf"})
    assert any("machine.memory" in problem for problem in caught.value.problems)
    assert any("machine.accel" in problem and "kvm" in problem for problem in caught.value.problems)
    with pytest.raises(UsageError, match="--qemu"):
        options.machine({"qemu": "'unfinished"})


def test_words_for_a_recipe() -> None:
    """The same options as words to be laid over a recipe that is loaded."""
    assert options.words("test", {"timeout": "5m", "silence": None}) == {"test.timeout": "5m"}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("work=/a", {"work": "/a"}),
        ("work=/a,home=/b c", {"work": "/a", "home": "/b c"}),
        ("work=/a, mine,home=/b,,c", {"work": "/a, mine", "home": "/b,,c"}),
        ("work=/a=b", {"work": "/a=b"}),
    ],
)
def test_folders_to_share(given: str, found: dict[str, str]) -> None:
    """Several with commas between them; a comma in a folder's name is its own."""
    assert json.loads(options.words("machine", {"share": given})["machine.share"]) == found
