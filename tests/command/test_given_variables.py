"""What builds were told of variables, kept for commands that look at what was built."""

from __future__ import annotations

from pathlib import Path

from bootsmith.tasks.command import given_variables


def test_the_last_build_of_each_recipe_counts(tmp_path: Path) -> None:
    """However its file is named; nothing is known where not all that is asked for was told."""
    (tmp_path / "build").mkdir()
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    assert given_variables.recall(tmp_path, one, ["a"], tmp_path) == {}
    given_variables.note(tmp_path, one, {"a": "1", "b": "2", "disk.size": "4G"}, tmp_path)
    given_variables.note(tmp_path, other, {"a": "3"}, tmp_path)
    assert given_variables.recall(tmp_path, tmp_path / "x/../one.yaml", ["a"], tmp_path) == {"a": "1"}
    given_variables.note(tmp_path, one, {"a": "4"}, tmp_path)
    assert given_variables.recall(tmp_path, one, ["a"], tmp_path) == {"a": "4"}
    assert given_variables.recall(tmp_path, one, ["a", "b"], tmp_path) == {}
    assert given_variables.recall(tmp_path, other, ["a"], tmp_path) == {"a": "3"}


def test_a_path_leads_to_the_same_place_from_another_folder(tmp_path: Path) -> None:
    """As it was told in the folder of the build; a word that is no path stays as it is."""
    (tmp_path / "build").mkdir()
    (tmp_path / "server").touch()
    recipe = tmp_path / "x.yaml"
    given_variables.note(tmp_path, recipe, {"a": "server", "b": "none"}, tmp_path)
    found = given_variables.recall(tmp_path, recipe, ["a", "b"], tmp_path / "other")
    assert found == {"a": str(tmp_path / "server"), "b": "none"}


def test_a_note_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """Nor is one that cannot be written a mistake: the variable is said again."""
    (tmp_path / "build").write_text("")
    given_variables.note(tmp_path, tmp_path / "x.yaml", {"a": "1"}, tmp_path)
    assert given_variables.recall(tmp_path, tmp_path / "x.yaml", ["a"], tmp_path) == {}
    (tmp_path / "build").unlink()
    (tmp_path / "build").mkdir()
    (tmp_path / "build/.variables.json").write_text("damaged")
    assert given_variables.recall(tmp_path, tmp_path / "x.yaml", ["a"], tmp_path) == {}
