"""What is kept for words about a change, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.cache.digest.tree import UNLISTED, TreeLook
from bootsmith.tasks.build import evidence
from bootsmith.tasks.build.identities import Identities
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import StageError


def versions(path: Path) -> dict[str, str]:
    """Return what a file of two words a line lists. Raises StageError for other lines."""
    rows = [line.split() for line in path.read_text().splitlines()]
    if any(len(row) != 2 for row in rows):
        raise StageError("these are no packages")
    return dict(row for row in rows if len(row) == 2)


def stage(listed: Path) -> Stage:
    """Return a stage with a tree and a file that lists packages."""
    return Stage(
        "x", f"{__name__}:run", {"tree": listed.parent, "list": listed}, {}, listings={"list": f"{__name__}:versions"}
    )


@pytest.mark.parametrize(
    ("text", "packages"),
    [("bash 5\nsed 4\n", {"bash": "5", "sed": "4"}), ("", {}), ("no packages here\n", None), (None, None)],
    ids=["some", "none", "unreadable", "missing"],
)
def test_who_lists_packages_is_the_stages_to_say(
    tmp_path: Path, text: str | None, packages: dict[str, str] | None
) -> None:
    """Any source of trees can have its packages told: the stage names who reads them; else it says nothing."""
    file = tmp_path / "listed"
    if text is not None:
        file.write_text(text)
    found = evidence.of_inputs(stage(file), {})
    assert found == ({} if packages is None else {"list": {"packages": packages}})


def test_what_is_too_large_to_tell_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a huge tree nor a huge list weighs on a build: it is only told to have changed."""
    file = tmp_path / "listed"
    file.write_text("bash 5\n")
    assert "tree" in evidence.of_inputs(stage(file), {"tree": {"a": "", "b": ""}})
    assert "tree" not in evidence.of_inputs(stage(file), {"tree": UNLISTED})
    monkeypatch.setattr(evidence, "LARGEST", len("bash 5\n") - 1)
    assert evidence.of_inputs(stage(file), {}) == {}


def test_what_is_kept_can_be_read_again(tmp_path: Path) -> None:
    """A record names what was kept of its inputs and its code, and a later run finds it there."""
    identities = Identities(tmp_path / "cache")
    file = tmp_path / "listed"
    file.write_text("bash 5\n")
    made = stage(file)._replace(run="bootsmith.tasks.tree.directory:pack", carry="out")
    (tmp_path / "tree/below").mkdir(parents=True)
    looks: list[TreeLook] = []
    fingerprint(tmp_path / "tree", looks=looks)
    kept = evidence.keep(made, identities, {"tree": looks[0]})
    assert identities.kept(kept["inputs"]["tree"]) == {"tree": {"below": "4 755 "}}
    assert identities.kept(kept["folders"]["tree"]) == looks[0].folders()
    assert sorted(looks[0].folders()) == ["", "below"]
    assert identities.kept(kept["inputs"]["list"]) == {"packages": {"bash": "5"}}
    assert identities.kept(kept["code"]) == identities.modules(made)
