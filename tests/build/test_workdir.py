"""Where a stage is made: empty at first, gone afterwards, and what goes wrong with it in words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bootsmith.tasks.build import workdir as workdirs
from bootsmith.tasks.errors import StageError

from tests.support.deep_tree import deep_tree


def test_a_work_directory_is_empty_and_leaves_nothing(tmp_path: Path) -> None:
    """What a killed run left is not there at first, and nothing is there afterwards, whatever happened."""
    folder = tmp_path / "tmp/x"
    (folder / "left").mkdir(parents=True)
    with workdirs.workdir(folder, "x") as found:
        assert list(found.iterdir()) == []
        (found / "made").write_text("")
    assert not folder.exists()
    with pytest.raises(KeyError), workdirs.workdir(folder, "x"):
        raise KeyError("anything")
    assert not folder.exists()


def test_what_the_system_refuses_there_is_words(tmp_path: Path) -> None:
    """What is the user's to mend is said as such, for the work that met it; what is a bug of ours shows itself."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(StageError, match=r"^x: .*/folder: Is a directory"), workdirs.workdir(tmp_path / "x", "x"):
        (tmp_path / "folder").read_bytes()
    with pytest.raises(FileNotFoundError), workdirs.workdir(tmp_path / "x", "x"):
        (tmp_path / "nothing").read_bytes()


def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    """An output takes the place of a file or of nothing; a link, a folder or a fifo there is named and stays."""
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    workdirs.guard_target("x", tmp_path / "file")
    workdirs.guard_target("x", tmp_path / "nothing")
    for name in ("link", "lost", "folder", "fifo"):
        with pytest.raises(StageError, match=f"x: .*/{name} is in the way"):
            workdirs.guard_target("x", tmp_path / name)
    for name in ("file", "lost", "fifo"):
        with pytest.raises(StageError, match=f"x: .*/{name} is in the way: not a folder"):
            workdirs.guard_target("x", tmp_path / name / "inner/output")
    workdirs.guard_target("x", tmp_path / "folder/inner/output")


def test_a_tree_is_removed_and_nothing_beside_it(tmp_path: Path) -> None:
    """Even where its folders may not be written; what its links lead to stays."""
    (tmp_path / "kept").write_text("")
    inner = tmp_path / "tree/closed/inner"
    inner.mkdir(parents=True)
    (inner / "file").write_text("")
    (inner / "link").symlink_to(tmp_path / "kept")
    (inner / "out").symlink_to(tmp_path)
    inner.chmod(0)
    inner.parent.chmod(0o500)
    workdirs.remove_tree(tmp_path / "tree")
    workdirs.remove_tree(tmp_path / "tree")
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_a_tree_of_any_depth_is_removed(tmp_path: Path) -> None:
    """Deeper than Python's stack, as a guest or an archive may make one."""
    with deep_tree(tmp_path / "tree", 1500):
        workdirs.remove_tree(tmp_path / "tree")
        assert not (tmp_path / "tree").exists()


def test_empty_folders_go_with_the_last_file(tmp_path: Path) -> None:
    """Up to the first that holds something, and never the build directory itself."""
    (tmp_path / "top/a/b/c").mkdir(parents=True)
    (tmp_path / "top/a/other").write_text("")
    workdirs.prune(tmp_path / "top/a/b/c", tmp_path / "top")
    assert sorted(each.name for each in (tmp_path / "top/a").iterdir()) == ["other"]
    (tmp_path / "top/a/other").unlink()
    workdirs.prune(tmp_path / "top/a", tmp_path / "top")
    assert list((tmp_path / "top").iterdir()) == []
