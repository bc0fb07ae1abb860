"""new: recipes to begin with load as they stand, and nothing that is there is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bootsmith.tasks.command.actions import new_recipe
from bootsmith.tasks.errors import BootsmithError, RecipeError, UsageError
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model import source

from tests.command.actions.conftest import Calls
from tests.support.container_images import layout, packed
from tests.support.tar_members import write_tar


def test_a_name_is_enough(call: Calls) -> None:
    """A Debian that boots, as the tutorial's; what builds it is said."""
    new_recipe.new(call("new", "first"))
    assert call.said == "first.yaml: `doit image:first` builds it\n"
    recipe = load(call.top / "first.yaml")
    assert isinstance(recipe.source, source.Debian)
    assert (recipe.name, recipe.boot.loader) == ("first", ("systemd-boot",))
    assert "packages: [linux-image-cloud-amd64, systemd-sysv, udev]" in (call.top / "first.yaml").read_text()


@pytest.fixture(name="things")
def fixture_things(tmp_path: Path) -> Path:
    """A folder beside the recipes', of all that a recipe can begin with."""
    folder = tmp_path / "$things 'here"
    folder.mkdir()
    (folder / "Containerfile").write_text("FROM scratch\nCOPY x /x\n")
    (folder / "server.dockerfile").write_text("FROM scratch\nCOPY x /x\n")
    (folder / "x").touch()
    write_tar(folder / "tree.tar", {"init": b"x"})
    write_tar(folder / "image.tar", layout([packed(tmp_path, {"a": b"x"})]))
    (folder / "squashed").write_bytes(b"hsqs".ljust(8192, b"\0"))
    (folder / "disk.img").write_bytes(bytes(510) + b"\x55\xaa" + bytes(1 << 20))
    (folder / "tree").mkdir()
    return folder


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("Containerfile", source.Container),
        ("server.dockerfile", source.Container),
        ("tree.tar", source.Tar),
        ("image.tar", source.Oci),
        ("squashed", source.Squashfs),
        ("disk.img", source.Disk),
        ("tree", source.Directory),
    ],
)
def test_it_begins_with_what_is_named(call: Calls, things: Path, what: str, kind: type) -> None:
    """Told by its content, named from the recipe's folder on, whatever it is called."""
    new_recipe.new(call("new", "box2", **{"from": str(things / what)}))
    recipe = load(call.top / "box2.yaml")
    assert isinstance(recipe.source, kind)
    assert recipe.boot.kernel == ("install" if kind in {source.Container, source.Oci} else "auto")
    assert str(things) not in (call.top / "box2.yaml").read_text()


def test_it_begins_with_another_recipe(call: Calls, tmp_path: Path) -> None:
    """By its name, or by its path where it stands elsewhere."""
    new_recipe.new(call("new", "child", **{"from": "box"}))
    assert (call.top / "child.yaml").read_text() == "extends: box\n"
    other = tmp_path / "other.yaml"
    other.write_text("source: none\nboot: {loader: direct, kernel: none}\noutputs: [tar]\n")
    new_recipe.new(call("new", "second", **{"from": str(other)}))
    assert load(call.top / "second.yaml").files[-1].name == "other.yaml"


def test_nothing_is_lost(call: Calls) -> None:
    """What is there stays, a broken link too; what would be no recipe is not left behind."""
    with pytest.raises(UsageError, match="there is a recipe box already"):
        new_recipe.new(call("new", "box"))
    (call.top / "gone.yaml").symlink_to("nowhere")
    with pytest.raises(UsageError, match="there is a recipe gone already"):
        new_recipe.new(call("new", "gone"))
    call.edit("system: none", "sytsem: none")
    with pytest.raises(RecipeError, match="did you mean system"):
        new_recipe.new(call("new", "child", **{"from": "box"}))
    assert not (call.top / "child.yaml").exists()


@pytest.mark.parametrize(
    ("words", "given", "message"),
    [
        ((), None, "takes the name of one recipe"),
        (("a", "b"), None, "takes the name of one recipe"),
        (("a/b",), None, "a file's name"),
        (("a.yaml",), None, "a file's name"),
        ((".a",), None, "a file's name"),
        (("a b",), None, "a name"),
        (("a",), "bx", "there is no recipe 'bx'"),
        (("a",), "no/such.yaml", "does not exist"),
        (("a",), "./nothing", "does not exist"),
        (("a",), os.fsdecode(b"./\xff"), "no UTF-8"),
    ],
)
def test_what_cannot_be_is_refused(call: Calls, words: tuple[str, ...], given: str | None, message: str) -> None:
    """And nothing is written."""
    before = sorted(call.top.iterdir())
    with pytest.raises(BootsmithError, match=message):
        new_recipe.new(call("new", *words, **{"from": given}))
    assert sorted(call.top.iterdir()) == before
