"""What identifies a tool: any changed byte of what its work depends on, and nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.cache.digest.memo import Memo
from bootsmith.tasks.tools import host, identity, shared_libraries
from bootsmith.tasks.tools.catalogue import TOOLS


@pytest.fixture(name="memo")
def fixture_memo(tmp_path: Path) -> Memo:
    """Return an empty memo."""
    return Memo(tmp_path / "memo")


@pytest.fixture(name="identify")
def fixture_identify(memo: Memo, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that identifies a program as a new process would."""

    def identify(path: Path, *data: str) -> str:
        monkeypatch.setattr(identity, "_answers", {})
        monkeypatch.setattr(shared_libraries, "known", {})
        return identity.identity(path, data, memo)

    return identify


def rested(path: Path) -> None:
    """Make a file one that was changed long ago, as a program's files were."""
    os.utime(path, (1, 1))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list that gets each program that is really looked at."""
    examined: list[Path] = []
    examine = identity._examine

    def noting(path: Path, data: tuple[str, ...], memo: Memo) -> object:
        examined.append(path)
        return examine(path, data, memo)

    monkeypatch.setattr(identity, "_examine", noting)
    return examined


def test_a_changed_byte_is_another_program(tmp_path: Path, identify: Callable[..., str]) -> None:
    """A tool's new version rebuilds, the old one put back does not (V10)."""
    tool = tmp_path / "tool"
    seen = []
    for content in (b"#!/bin/sh\nexit 0\n", b"#!/bin/sh\nexit 1\n", b"#!/bin/sh\nexit 0\n"):
        tool.write_bytes(content)
        seen.append(identify(tool))
    assert seen[0] != seen[1]
    assert seen[0] == seen[2]


def test_time_and_place_are_no_part(tmp_path: Path, identify: Callable[..., str]) -> None:
    """The same program installed again, or elsewhere, is the same."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy("/bin/cat", tmp_path / folder / "cat")
    before = identify(tmp_path / "a/cat")
    rested(tmp_path / "a/cat")
    assert identify(tmp_path / "a/cat") == before
    assert identify(tmp_path / "b/cat") == before


def test_libraries_count(tmp_path: Path, identify: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A program is its libraries too: mke2fs is libext2fs."""
    library = tmp_path / "libext2fs.so.2"
    library.write_bytes(b"one")
    monkeypatch.setattr(shared_libraries, "libraries", lambda _path: [str(library)])
    before = identify(Path("/bin/cat"))
    library.write_bytes(b"two")
    assert identify(Path("/bin/cat")) != before


def test_data_files_count(tmp_path: Path, identify: Callable[..., str]) -> None:
    """What a program reads of the host counts, files that appear later too."""
    (tmp_path / "modules").mkdir()
    pattern = f"{tmp_path}/modules/*.mod"
    seen = [identify(Path("/bin/cat"), pattern)]
    for name in ("a.mod", "b.mod", "b.txt"):
        (tmp_path / "modules" / name).write_text(name)
        seen.append(identify(Path("/bin/cat"), pattern))
    assert len(set(seen[:3])) == 3
    assert seen[2] == seen[3]


def test_libraries_are_known_from_the_identity(
    identify: Callable[..., str], memo: Memo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whose identity was asked for, in this process or an earlier one, has its loader asked no more; others have."""
    program = host.find("mke2fs")
    wanted = sorted(shared_libraries.libraries(program))
    identify(program)
    identify(program)  # as another process
    new = tmp_path / "cat"
    shutil.copy("/bin/cat", new)
    identity.identity(new, (), memo)
    monkeypatch.setattr(shared_libraries, "libraries", lambda _path: ["asked"])
    assert shared_libraries.linked(program) == wanted
    assert shared_libraries.linked(host.find("tar")) == ["asked"]
    assert shared_libraries.linked(new) == ["asked"]  # it had not rested: its answer is not kept


def test_a_script_has_no_libraries_but_an_interpreter(tmp_path: Path) -> None:
    """mmdebstrap is perl, and what env finds is found."""
    script = tmp_path / "script"
    script.write_text("#! /usr/bin/env sh\n")
    assert identity.interpreters(script) == [Path("/usr/bin/env"), host.find("sh")]
    assert shared_libraries.libraries(script) == []
    assert identity.interpreters(host.find("mmdebstrap"))[0].name.startswith("perl")


def test_asking_again_only_stats(identify: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A later process takes the answer as long as no file it rests on has changed."""
    first = identify(host.find("mke2fs"))
    examined = counted(monkeypatch)
    assert identify(host.find("mke2fs")) == first
    assert examined == []


def test_a_changed_list_of_data_is_asked_anew(
    tmp_path: Path, identify: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer for other data files is no answer."""
    cat = Path("/bin/cat")
    identify(cat)
    (tmp_path / "data").write_bytes(b"")
    examined = counted(monkeypatch)
    identify(cat, f"{tmp_path}/data")
    assert examined == [cat]


def test_a_file_still_in_flux_is_not_remembered(
    identify: Callable[..., str], memo: Memo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program changed this very moment is looked at again: its next change might not show in its times."""
    monkeypatch.setattr("bootsmith.cache.files.clock.settled", lambda _status: 1 << 62)
    examined = counted(monkeypatch)
    for _ in range(2):
        identify(Path("/bin/cat"))
    assert len(examined) == 2
    assert not memo.path.with_name("tools").exists()


@pytest.mark.parametrize("damage", [b"", b"bootsmith tools 1 0\n{}", b"\xff" * 100])
def test_a_damaged_memory_is_no_memory(identify: Callable[..., str], memo: Memo, damage: bytes) -> None:
    """What was remembered may be lost or damaged at any time; it costs time only."""
    first = identify(Path("/bin/cat"))
    memo.path.with_name("tools").write_bytes(damage)
    assert identify(Path("/bin/cat")) == first


def test_an_earlier_boot_is_no_witness(identify: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart, which a power cut may have been, every program is looked at again."""
    identify(Path("/bin/cat"))
    examined = counted(monkeypatch)
    monkeypatch.setattr("bootsmith.cache.files.clock.boot_id", lambda: "another")
    identify(Path("/bin/cat"))
    assert examined == [Path("/bin/cat")]


def test_identity_of_a_tool_by_name(memo: Memo) -> None:
    """Programs, files and aliases of the catalogue have different identities."""
    names = ("mke2fs", "debugfs", "mmdebstrap", "ovmf", "grub-efi-modules")
    assert len({identity.of_tool(name, memo) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("name", "file"), [("mmdebstrap", "/usr/share/distro-info/*.csv"), ("dpkg", "/usr/share/dpkg/*table")]
)
def test_the_tables_that_a_tool_reads_are_its_own(name: str, file: str, memo: Memo) -> None:
    """They come in packages of their own, and so change alone: each that is there counts, and so do new ones."""
    there = {str(path) for path in Path("/").glob(file[1:])}
    assert there <= {*identity.files_of(name, memo)}
    assert file in TOOLS[name].data


@pytest.mark.parametrize(("name", "package"), [("rm", "coreutils"), ("mmdebstrap", "perl-base")])
def test_a_program_stands_for_its_package(name: str, package: str, memo: Memo) -> None:
    """What it starts of its own package counts by dpkg's list of that: another build of `cp` is another `rm` (V10)."""
    assert f"/var/lib/dpkg/info/{package}.md5sums" in identity.files_of(name, memo)
