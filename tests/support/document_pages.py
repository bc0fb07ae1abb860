"""The project's pages as a reader takes them: fenced blocks, and words set in code, each with its line."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.checkout import CHECKOUT

PAGES = (
    CHECKOUT / "README.md",
    CHECKOUT / "CONTRIBUTING.md",
    *sorted(path for path in (CHECKOUT / "docs").rglob("*.md") if path.parent.name != "adr"),
)
"""What readers are told to write; decisions and the change log tell what was."""

_FENCE = re.compile(r"^( *)```(\w*)$")
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


class Passage(NamedTuple):
    """A block of a language ("" where none is named), or a span of code ("span")."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(CHECKOUT)}:{self.line}"


def passages() -> Iterator[Passage]:
    """Yield every block and span of every page, in order."""
    for page in PAGES:
        fence = ""
        begun, block, language = 0, list[str](), ""
        for number, line in enumerate(page.read_text().splitlines(), 1):
            found = _FENCE.match(line)
            if found and not begun:
                begun, block, fence, language = number + 1, [], found[1], found[2]
            elif begun and line == f"{fence}```":
                yield Passage(page, begun, language, "".join(f"{each}\n" for each in block))
                begun = 0
            elif begun:
                block.append(line.removeprefix(fence))
            else:
                for each in _SPAN.finditer(line):
                    yield Passage(page, number, "span", each[1].replace("\\|", "|"))
        assert not begun, f"{page}:{begun}: a block without an end"


def blocks(language: str) -> list[Passage]:
    """Return the blocks of one language."""
    return [each for each in passages() if each.language == language]


def command_lines() -> Iterator[Passage]:
    """Yield what pages tell a reader to type at bootsmith, one line each, without the program's name."""
    for passage in passages():
        if passage.language not in ("sh", "span", ""):
            continue
        for offset, line in enumerate(passage.text.splitlines()):
            program, _, rest = line.removeprefix("$ ").partition(" ")
            if program in ("./doitw", "doit") and (passage.language or line.startswith("$")):
                yield passage._replace(line=passage.line + offset, text=rest)


def words(line: str) -> list[str]:
    """Return the words of a shell's line, up to a redirection, a pipe or the like."""
    split = shlex.shlex(line, posix=True, punctuation_chars="><|&;")
    split.whitespace_split = True
    return list(itertools.takewhile(lambda word: not set(word) <= set("><|&;"), split))
