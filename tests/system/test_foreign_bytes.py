"""What comes from elsewhere, changed at random: everything that reads it takes it or refuses it in words.

Each reader has seeds, which it must take, and examples: cases that once ended in a traceback, or never. A case that is
found is printed by the test that found it; the mend and the example come together.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import layer
from bootsmith.tasks.tree import tar as tars
from bootsmith.tasks.tree.layer import Entry
from hypothesis import given
from hypothesis import strategies as st

from tests.support import mutations
from tests.support.foreign_readers import EXAMPLES, READERS, read_tar
from tests.support.mutations import Reader, mutated, survive


@pytest.mark.parametrize("name", READERS)
def test_seeds_are_read(name: str, tmp_path: Path) -> None:
    """What is whole is taken, else nothing would be learnt of what is not."""
    read, seeds = READERS[name]
    for seed in seeds():
        read(seed, tmp_path)


@pytest.mark.soak(ci=200, whole=200_000)
@pytest.mark.parametrize("name", READERS)
def test_all_is_read_or_refused(name: str, rounds: int, tmp_path: Path) -> None:
    """No traceback, no case without an end or a bound, and nothing written but in its own folder."""
    read, seeds = READERS[name]
    whole, chance = seeds(), Random(f"{name} {rounds}")
    survive(read, EXAMPLES.get(name, ()), tmp_path / "examples")
    survive(read, (mutated(chance, whole) for _ in range(rounds)), tmp_path / "changed")


STEPS = st.sampled_from(["a", "b", ".wh.a", ".wh..wh..opq", "c\udcff", "etc"])
PATHS = st.lists(STEPS, max_size=3).map("/".join)
MEMBERS = st.builds(
    lambda path, kind, link, data: (Entry(path, kind, size=len(data) if kind == "f" else 0, link=link), data),
    PATHS,
    st.sampled_from("ffddlhpc"),
    PATHS | st.sampled_from(["..", "/", "../../b"]),
    st.sampled_from([b"", b"x", b"y" * 600]),
)


@given(st.lists(MEMBERS, max_size=8))
def test_a_tar_of_any_shape_is_a_tree_or_refused(tmp_path: Path, members: list[tuple[Entry, bytes]]) -> None:
    """Names twice, links to links and to nothing, files as folders, removals: what comes of it is a tree."""
    entries = [(entry if entry.type in "lh" else entry._replace(link=""), data) for entry, data in members]
    (tmp_path / "x.tar").write_bytes(
        b"".join(
            tars.header(entry) + (data + bytes(-len(data) % 512) if entry.type == "f" else b"")
            for entry, data in entries
        )
        + tars.END
    )
    with suppress(StageError):
        read_tar((tmp_path / "x.tar").read_bytes(), tmp_path)
        merged = layer.merge([layer.read_index(tmp_path / "x.index")])
        for path, (_, entry) in merged.items():
            assert not path or merged[entry.parent][1].type == "d"
            assert entry.type != "h" or merged[entry.link][1].type not in "hd"
            assert not entry.name.startswith(".wh.")


def _escape(_: bytes, folder: Path) -> None:
    folder.with_name("outside").write_text("x")


def _endless(_: bytes, __: Path) -> None:
    while True:
        pass


def _boundless(_: bytes, __: Path) -> None:
    bytearray(3 << 30)


def _raises(data: bytes, _: Path) -> None:
    data.decode()


def _steers(_: bytes, __: Path) -> None:
    raise StageError("a name: \x1b[2J")


@pytest.mark.parametrize(
    ("read", "what"),
    [
        (_escape, "outside of"),
        (_endless, "signal 14"),
        (_boundless, "MemoryError"),
        (_raises, "UnicodeDecodeError"),
        (_steers, "steers a terminal"),
    ],
)
def test_what_is_wrong_shows(read: Reader, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that does one of these things is caught, and the case told."""
    monkeypatch.setattr(mutations, "SECONDS", 1)
    with pytest.raises(AssertionError, match=rf"(?s)xff.*{what}"):
        survive(read, [b"\xff"], tmp_path / "x")
    assert not (tmp_path / "outside").exists()
