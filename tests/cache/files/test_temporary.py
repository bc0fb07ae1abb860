"""cache/files/temporary.py: nothing half-written under a final name, nothing left behind for long."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from bootsmith.cache.files import temporary as temporaries
from bootsmith.cache.files.temporary import PREFIX, sweep, temporary, write

from tests.support import other_process
from tests.support.checkout import CHECKOUT

DIE_WRITING = """
import os, signal, sys
from pathlib import Path
from bootsmith.cache.files.temporary import temporary
with temporary(Path(sys.argv[1])) as (descriptor, path):
    os.write(descriptor, b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_is_gone_unless_it_was_renamed(tmp_path: Path) -> None:
    """A writer that gives up leaves nothing; one that renames leaves its file."""
    with temporary(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
    with temporary(tmp_path) as (descriptor, path):
        os.write(descriptor, b"all")
        path.rename(tmp_path / "final")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("final", b"all")]


def test_it_is_gone_after_an_error(tmp_path: Path) -> None:
    """An exception while writing removes it too."""
    with pytest.raises(KeyboardInterrupt), temporary(tmp_path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_the_umask_does_not_matter(tmp_path: Path, mask: int) -> None:
    """The mode is what was asked for, exactly."""
    before = os.umask(mask)
    try:
        write(tmp_path / "file", b"", mode=0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o7777 == 0o644


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    """SIGKILL while writing leaves a file that the next sweep removes."""
    process = other_process.start(DIE_WRITING, tmp_path)
    with process:
        process.communicate(timeout=other_process.TIMEOUT)
    assert len(list(tmp_path.iterdir())) == 1
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_being_written_is_not_swept_away(tmp_path: Path) -> None:
    """A sweep spares files whose writer lives, and everything that is no temporary file."""
    (tmp_path / "kept").touch()
    with temporary(tmp_path) as (_, path):
        sweep(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([path, tmp_path / "kept"])


def test_sweeping_what_is_missing_does_nothing(tmp_path: Path) -> None:
    """A directory that does not exist holds nothing to remove."""
    sweep(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []


def test_a_writer_sweeps_what_dead_writers_left_beside_its_file(tmp_path: Path) -> None:
    """A killed run's draft is gone once the next one writes a file there."""
    (tmp_path / f"{PREFIX}0123456789abcdef").write_bytes(b"half")
    write(tmp_path / "file", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_drafts_can_be_kept_elsewhere(tmp_path: Path) -> None:
    """Where a folder of drafts is named, the file's own folder never holds one, and is not swept."""
    drafts, folder = tmp_path / "drafts", tmp_path / "folder"
    drafts.mkdir()
    folder.mkdir()
    (folder / f"{PREFIX}0123456789abcdef").write_bytes(b"somebody's")
    write(folder / "file", b"whole", drafts=drafts)
    assert sorted(path.name for path in folder.iterdir()) == [f"{PREFIX}0123456789abcdef", "file"]
    assert list(drafts.iterdir()) == []


KILLED_WITH_A_FOLDER = """
import os, signal, sys
from pathlib import Path
from bootsmith.cache.files import temporary
with temporary.folder(Path(sys.argv[1]) if sys.argv[1:] else None) as folder:
    (folder / "inside").mkdir()
    (folder / "inside/file").write_text("half")
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_folders_of_the_killed_go_and_those_of_the_living_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is called alike and is no such folder stays too (L11)."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    done = subprocess.run([sys.executable, "-c", KILLED_WITH_A_FOLDER], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")})  # fmt: skip
    left = Path(done.stdout.strip())
    assert (left / "inside/file").is_file()
    others = [tmp_path / f"{temporaries.FOLDER}12345678.img", tmp_path / "bootsmith-12345678", tmp_path / "x"]
    for each in others:
        each.mkdir()
    (tmp_path / f"{temporaries.FOLDER}abcdefgh").symlink_to(others[2])
    with temporaries.folder() as one:
        assert not left.exists()
        with temporaries.folder() as two:
            assert one.is_dir()
            assert one != two
            (two / "file").touch()
        assert not two.exists()
    assert not one.exists()
    assert all(each.is_dir() for each in others)


def test_folders_beside_what_is_made_go_likewise(tmp_path: Path) -> None:
    """One within a folder of the user's is hidden, and the next there removes what a killed run left, and no more."""
    done = subprocess.run([sys.executable, "-c", KILLED_WITH_A_FOLDER, tmp_path], capture_output=True, text=True,
                          check=False, env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")})  # fmt: skip
    left = Path(done.stdout.strip())
    assert (left / "inside/file").is_file()
    assert left.name.startswith(".")
    (tmp_path / f"{temporaries.FOLDER}abcdefgh").mkdir()
    with temporaries.folder(tmp_path) as one:
        assert one.parent == tmp_path
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == [f"{temporaries.FOLDER}abcdefgh"]
