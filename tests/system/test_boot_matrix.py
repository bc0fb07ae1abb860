"""Every way to boot: each loader, alone and beside one for the other firmware, on each table it can live on.

CI boots a share; `./doitw soak` the whole. A loader that is added to the recipe's kinds is in it by that.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.machine.entry import WAYS
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.loaders.kinds import KINDS, boot_places, served
from bootsmith.tasks.recipe.loaders.layouts import common_tables, usual_layout, usual_table

from tests.support.small_guest import SmallProject

TABLES = ("gpt", "mbr", "none")


@dataclass(frozen=True)
class Cell:
    """One disk: its loaders, its table, what starts it, and which entry."""

    names: tuple[str, ...]
    table: str
    firmware: str
    entry: str = "first"

    def __str__(self) -> str:
        return "-".join((*self.names, self.table, self.firmware, *((self.entry,) if self.entry != "first" else ())))

    @property
    def without_menu(self) -> bool:
        """Whether its loaders have no menu, and so a single entry."""
        return "efistub" in self.names and "systemd-boot" not in self.names

    @property
    def recipe(self) -> dict[str, object]:
        """The recipe of the disk: the small one, on the loaders' usual layout."""
        return {
            "extends": "small",
            "disk": {
                "table": self.table,
                "partitions": {"esp": None, **usual_layout(self.names, self.table)},
            },
            "boot": {"loader": list(self.names), **({"entries": {"second": None}} if self.without_menu else {})},
            "test": {"firmware": [self.firmware]},
        }


def rivals(names: tuple[str, ...]) -> bool:
    """Tell whether two loaders want the same place."""
    places = [place for name in names for place in boot_places(name, names, "only")]
    return len(places) != len(set(places))


ALONE = [(name,) for name in KINDS]
PAIRS = [pair for pair in itertools.combinations(KINDS, 2) if "direct" not in pair]
DISKS = [names for names in (*ALONE, *PAIRS) if not rivals(names)]
CELLS = [
    Cell(names, table, firmware) for names in DISKS for table in common_tables(names) for firmware in served(names)
]
CHOSEN = [Cell((name,), usual_table((name,)), KINDS[name].firmware, "second") for name in KINDS if name in WAYS]
SHARE = [
    Cell(("grub-efi", "grub-bios"), "gpt", "uefi"),
    Cell(("grub-efi", "grub-bios"), "gpt", "bios"),
    *(Cell((name,), usual_table((name,)), KINDS[name].firmware) for name in ("efistub", "direct")),
    *(cell for cell in CHOSEN if cell.names[0] != "grub-efi"),
]
"""What CI boots: each loader once, both firmwares on one disk, and each way to choose an entry."""


PARAMETERS = [
    pytest.param(cell, id=str(cell), marks=[] if cell in SHARE else [pytest.mark.soak]) for cell in (*CELLS, *CHOSEN)
]


@pytest.fixture(name="small", scope="module")
def fixture_small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallProject]:
    project = SmallProject.make(tmp_path_factory.mktemp("matrix") / "project")
    yield project
    shutil.rmtree(project.top)


def test_the_share_is_of_the_whole() -> None:
    """What CI boots is there to be booted, and every loader with a disk is in it."""
    whole = [*CELLS, *CHOSEN]
    assert all(cell in whole for cell in SHARE)
    assert {name for cell in SHARE for name in cell.names} == {name for names in DISKS for name in names}


@pytest.mark.boot
@pytest.mark.xdist_group("matrix")
@pytest.mark.parametrize("cell", PARAMETERS)
def test_a_legal_disk_boots(small: SmallProject, cell: Cell) -> None:
    """The disk starts under its firmware to its own init, proved by a nonce, with the entry asked for (A9, C5)."""
    name = f"cell-{cell}"
    (small.top / f"recipes/{name}.yaml").write_text(yaml.safe_dump(cell.recipe))
    said = small.doit(f"qemu-test:{name}", "--accel", "tcg", "--entry", cell.entry)
    assert "nonce seen" in said
    result = json.loads((small.top / f"build/{name}/test/result.json").read_text())
    assert (result["verdict"], result["firmware"]) == ("passed", cell.firmware)
    log = (small.top / f"build/{name}/test/serial.log").read_bytes()
    assert (b"this is the second entry" in log) == (cell.entry == "second")
    shutil.rmtree(small.top / f"build/{name}")


def refusal(small: SmallProject, recipe: dict[str, object]) -> str:
    """Return why a recipe is refused."""
    file = small.top / "recipes/refused.yaml"
    file.write_text(yaml.safe_dump(recipe))
    with pytest.raises(RecipeError) as caught:
        load(file)
    return "\n".join(caught.value.problems)


@pytest.mark.parametrize("names", [names for names in PAIRS if rivals(names)], ids="-".join)
def test_rivals_are_refused(small: SmallProject, names: tuple[str, ...]) -> None:
    """Two loaders that want the same place are refused before any work, with the reason (A9)."""
    assert "keep one of them" in refusal(small, {"extends": "small", "boot": {"loader": list(names)}})


@pytest.mark.parametrize(
    ("name", "firmware"),
    [(name, firmware) for (name,) in ALONE for firmware in ("uefi", "bios")
     if KINDS[name].firmware != firmware],
)  # fmt: skip
def test_firmware_that_starts_nothing_is_refused(small: SmallProject, name: str, firmware: str) -> None:
    """A test under firmware that no loader of the disk serves is refused, naming loaders that would (A6)."""
    cell = Cell((name,), usual_table((name,)), firmware)
    said = refusal(small, cell.recipe)
    assert f"no loader here starts under {firmware}; add " in said


@pytest.mark.parametrize(
    ("name", "table"),
    [(name, table) for (name,) in ALONE for table in TABLES
     if table not in KINDS[name].layouts],
)  # fmt: skip
def test_tables_no_loader_lives_on_are_refused(small: SmallProject, name: str, table: str) -> None:
    """A loader on a table it cannot live on is refused, naming those it can (A9)."""
    assert f"{name} cannot live on {table}" in refusal(small, Cell((name,), table, KINDS[name].firmware).recipe)
