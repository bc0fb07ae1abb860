"""What the user sees, piped and on a terminal."""

from __future__ import annotations

import io

import pytest
from bootsmith.tasks.command.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_piped_output_is_plain_lines() -> None:
    """One line per stage, no escape sequence, nothing while it runs."""
    stream = io.StringIO()
    progress = Progress(stream)
    progress.start("rootfs")
    progress.say("rootfs", "unpacking")
    progress.finish("rootfs", "built", 21.44, 236 << 20)
    progress.finish("kernel", "fresh", 0.0, 8 << 20)
    progress.close()
    first, second = stream.getvalue().splitlines()
    assert first.split() == ["built", "rootfs", "21.4", "s", "236", "MiB"]
    assert second.split() == ["fresh", "kernel", "8.0", "MiB"]
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_colour_unless_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR is honoured."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    coloured = Terminal()
    Progress(coloured).finish("kernel", "built", 1.0, 1)
    assert "\x1b[32mbuilt" in coloured.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    Progress(plain).finish("kernel", "built", 1.0, 1)
    assert "\x1b[32m" not in plain.getvalue()


def test_a_terminal_is_told_what_worked_and_a_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was fresh has a line only where all is asked for; a pipe has a line for each, and no sum."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")

    def said(stream: io.StringIO, *, verbose: bool = False, sums_up: bool = True, built: bool = True) -> list[str]:
        progress = Progress(stream)
        progress.verbose, progress.sums_up = verbose, sums_up
        progress.finish("rootfs", "fresh", size=1)
        progress.finish("kernel", "fresh", size=1)
        if built:
            progress.finish("assemble", "built", 0.5, 1)
        progress.sum_up()
        progress.close()
        return [line.split(", in")[0].split("  ")[0] for line in stream.getvalue().splitlines()]

    assert said(Terminal()) == ["built", "3 stages: 1 built, 2 fresh"]
    assert said(Terminal(), verbose=True) == ["fresh", "fresh", "built", "3 stages: 1 built, 2 fresh"]
    assert said(Terminal(), built=False) == ["fresh: all 2 stages"]
    assert said(Terminal(), sums_up=False) == ["built"]
    assert said(io.StringIO()) == ["fresh", "fresh", "built"]


def test_live_lines_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn while a stage runs is erased before its last line is written."""
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    progress = Progress(stream)
    progress.start("rootfs")
    progress.say("rootfs", "unpacking base-files")
    progress._erase()
    progress._draw()
    assert "unpacking base-files" in stream.getvalue()
    progress.finish("rootfs", "built", 1.0, 1)
    progress.close()
    assert stream.getvalue().rfind("\x1b[1F\x1b[J") < stream.getvalue().rfind("rootfs")


def test_nothing_that_slips_in_steers_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of a guest or an archive, reasons and what a tool says move no cursor, nor do bytes that are no text."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    progress = Progress(stream)
    progress.start("rootfs")
    progress.say("rootfs", "unpacking \x1b[2J\udcff")
    progress._draw()
    assert r"unpacking \x1b[2J\xff" in stream.getvalue()
    progress._running.clear()
    progress._erase()
    stream.truncate(stream.seek(0))
    progress.tell("two\nlines of \x1b]0;title\x07")
    progress.finish("rootfs", "built", 1.0, 1, "a\nb\x1b[1m")
    assert "two\nlines of \\x1b]0;title\\x07\n" in stream.getvalue()
    assert r" a\nb\x1b[1m" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
