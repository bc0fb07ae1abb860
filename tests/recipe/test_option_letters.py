"""The page that tells how options of scripts are spelt here: each spelling, tried. L25."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from bootsmith.tasks.command.actions import file_conversion
from bootsmith.tasks.command.invocation import options as read_options
from bootsmith.tasks.command.table import COMMANDS
from bootsmith.tasks.recipe import options
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.disk import Disk
from bootsmith.tasks.recipe.model.outputs import Qcow2, Raw
from bootsmith.tasks.recipe.model.recipe import Recipe

from tests.support.checkout import CHECKOUT

PAGE = (CHECKOUT / "docs/how-to/option-letters.md").read_text()
CELLS = [
    [each.strip() for each in line.removeprefix("|").removesuffix("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| there", "| QEMU's"))
]
ROWS = [(cells[0], re.findall("`([^`]+)`", cells[2])) for cells in CELLS]
MADE = {there: here for there, here in ROWS if here and not here[0].startswith("--")}
RUN = [(there, each) for there, here in ROWS for each in here if each.startswith("--")]
TOLD: dict[str, tuple[type, dict[str, object]]] = {
    "`-c`": (Qcow2, {"compress": "zlib"}),
    "no `-c`": (Qcow2, {"compress": "none"}),
    "`-p`": (Qcow2, {"compress": "none", "preallocation": "full"}),
    "`-s 128K`": (Qcow2, {"cluster": 128 << 10}),
    "`convert --compat 0.10`": (Qcow2, {"compat": "0.10", "lazy_refcounts": False}),
    "`convert --no-lazy-refcounts`": (Qcow2, {"lazy_refcounts": False}),
    "a size": (Disk, {"size": 1 << 30}),
    "a name": (Raw, {"file": "my.img"}),
}
"""What is so of the recipe's outputs, or of its disk, when it is said."""


def lites(given: dict[str, str]) -> Recipe:
    """Return recipes/lites.yaml with these words."""
    return load(CHECKOUT / "recipes/lites.yaml", overrides={"lites_server": "none", **given})


@pytest.mark.parametrize("there", TOLD)
def test_what_is_made_is_as_the_letter_asks(there: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each letter of the guide has a spelling here, and that does what the letter did (L8, L15)."""
    monkeypatch.chdir(tmp_path)
    said = dict(word.split("=", 1) for word in MADE[there][0].split())
    recipe = lites(said)
    kind, wanted = TOLD[there]
    (found,) = [each for each in (*recipe.outputs, recipe.disk) if isinstance(each, kind)]
    assert {name: getattr(found, name) for name in wanted} == wanted


FILES = {row[0]: row[3].strip("`") for row in CELLS if len(row) == 4 and row[3]}
CONVERTED = {
    "`-c`": {"compress": "zlib"}, "no `-c`": {"compress": "none"},
    "`-p`": {"compress": "none", "preallocation": "full"},
    "`-s 128K`": {"cluster": "128K"}, "`convert --compat 0.10`": {"compat": "0.10", "compress": "zlib"},
    "`convert --no-lazy-refcounts`": {"lazy_refcounts": "false"},
}  # fmt: skip
"""What an image that convert-file makes is to be."""


@pytest.mark.parametrize("there", CONVERTED)
def test_a_file_is_converted_as_the_letter_asks(there: str) -> None:
    """By the letters themselves (L15, L25)."""
    (command,) = [each for each in COMMANDS if each.name == "convert-file"]
    asked, rest = read_options(command.name, command.params, shlex.split(FILES[there]))
    assert not rest
    assert file_conversion.wanted("x.qcow2", asked) == ("qcow2", CONVERTED[there])


def test_every_row_is_tried() -> None:
    """None stands on the page that the tests here do not know."""
    assert [*MADE] == [*TOLD]
    assert {*FILES} - {"a name"} == {*CONVERTED}
    assert len(RUN) > 14
    assert [there for there, here in ROWS if not here] == ["`-snapshot`"]


@pytest.mark.parametrize(("there", "here"), RUN)
def test_a_run_takes_the_option(there: str, here: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every one is known to all that run something, and makes the machine another (L12)."""
    monkeypatch.chdir(tmp_path)
    name, *value = shlex.split(here.removeprefix("--"))
    running = [command for command in COMMANDS if command.name.startswith("run-")]
    assert running
    for command in running:
        assert name in [param["long"] for param in command.params], f"{command.name} {there}"
    given = value[0] if value else True
    machine = options.machine({name: given})
    wanted = {"memory": 512 << 20, "cpus": 4, "forward": ((2222, 22),), "serial": str(tmp_path / "log")}
    assert getattr(machine, name) in {given, wanted.get(name)}
