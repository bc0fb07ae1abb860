"""What a program prints, as lines to show."""

from __future__ import annotations

import pytest
from bootsmith.tasks.tools.lines import Lines


def test_a_line_may_come_in_pieces() -> None:
    """A line is shown once it is whole, wherever the pipe cuts it, even inside a character."""
    lines = Lines()
    pieces = [b"one \xc3", b"\xa9", b"\ntwo", b""]
    assert [list(lines.split(piece)) for piece in pieces] == [[], [], ["one é"], ["two"]]


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"10%\r20%\r\n", ["10%", "20%"]),
        (b"\x1b[1;31mred\x1b[0m\x1b[K and\x07 plain", ["red and plain"]),
        (b"tabs\tstay, spaces at the end go  \n\n \n", ["tabs\tstay, spaces at the end go"]),
        (b"\xff\xc2\x9b31m", ["\ufffd31m"]),
    ],
)
def test_only_text_is_shown(printed: bytes, shown: list[str]) -> None:
    """Whatever a program prints, what is shown neither moves the cursor nor colours nor rings."""
    lines = Lines()
    assert [*lines.split(printed), *lines.split(b"")] == shown


def test_a_line_without_end_takes_no_memory() -> None:
    """Of a line that never ends only the last part is kept."""
    lines = Lines()
    for _ in range(100):
        assert list(lines.split(b"x" * 65536)) == []
    assert [len(line) for line in lines.split(b"\n")] == [4096]
