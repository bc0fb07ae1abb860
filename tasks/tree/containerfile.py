"""A Containerfile, as far as it tells which images its target is made of; the engine reads all the rest.

The engine is given no image that was not found here, and refuses what asks for another: nothing comes in unasked. The
other way round, what is taken for an image here must be named by the recipe: so stages that the target is not made of
do not count, which engines skip as well, nor do the lines of here-documents.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from bootsmith.cache.display import nearest, shown
from bootsmith.tasks.errors import StageError

LARGEST: Final = 1 << 20
"""Bytes of a Containerfile."""
SCRATCH: Final = "scratch"
_ESCAPE: Final = re.compile(r"#\s*escape\s*=\s*([\\`])\s*", re.IGNORECASE)
_DIRECTIVE: Final = re.compile(r"#\s*[A-Za-z]+\s*=.*")
_TAKES_DOCUMENTS: Final = re.compile(r"\s*(?:ONBUILD\s+)?(?:RUN|COPY|ADD)\s", re.IGNORECASE)
_RAW_WORD: Final = re.compile(r"""(?:[^\s"'\\]|\\.?|"(?:[^"\\]|\\.)*"?|'[^']*'?)+""")
_DOCUMENT: Final = re.compile(r"\d*<<(-?)([^<]+)")  # a word by itself, as BuildKit has it
_VARIABLE: Final = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^}]*))?\})")


class _Stage(NamedTuple):
    """A stage's name in lower case, "" where it has none, what it begins with, and what else it takes files of."""

    name: str
    origin: str
    others: list[str]


def images(text: str, args: Mapping[str, str], target: str | None) -> dict[str, list[str]]:
    """Return the images of which the stage that is the target is made, each as it is written.

    Engines know images by what is written, variables and all, or by what that comes to: by version.

    Raises StageError where it has no such stage, or none at all.
    """
    stages: list[_Stage] = []
    known: dict[str, str] = {}
    for word, rest in _instructions(text):
        if word == "ARG" and not stages:
            known |= _defaults(rest, known)
            known |= {name: args[name] for name in known if name in args}
        elif word == "FROM":
            origin, name = _origin(rest)
            stages.append(_Stage(name.lower(), origin, []))
        elif stages:
            stages[-1].others.extend(_sources(word, rest))
    reached = {_target(stages, target)}
    found: dict[int, list[tuple[str, str]]] = {}
    for number in range(max(reached), -1, -1):  # a stage takes files of earlier ones alone
        if number in reached:
            found[number] = [*_taken(stages, number, known, reached)]
    named: dict[str, list[str]] = {}
    for number in sorted(found):
        for image, written in found[number]:
            named.setdefault(image, []).append(written)
    return named


def _target(stages: Sequence[_Stage], target: str | None) -> int:
    """Return which stage is the target. Raises StageError."""
    if not stages:
        raise StageError("has no FROM", "Let it begin with FROM IMAGE, or FROM scratch.")
    if target is None:
        return len(stages) - 1
    for number, stage in enumerate(stages):
        if target.lower() == stage.name or target == str(number):
            return number
    named = [each.name for each in stages if each.name]
    near = nearest(target, named)
    hint = f"Did you mean {near}?" if near else f"Its stages are {', '.join(map(shown, named)) or 'without names'}."
    raise StageError(f"has no stage {shown(target)}", hint)


def _taken(
    stages: Sequence[_Stage], number: int, known: Mapping[str, str], reached: set[int]
) -> Iterator[tuple[str, str]]:
    """Yield the images that a stage takes files of, and how they are written; add to `reached` the stages it does."""
    stage = stages[number]
    image = _expanded(stage.origin, known)
    before = [each for each in range(number) if image and stages[each].name == image.lower()]
    reached.update(before)
    if not before and image != SCRATCH:
        yield image, stage.origin
    for written in stage.others:
        image = _expanded(written, known)
        if not image:  # by a variable of the stage's own, of which the engine knows more: it may be any of them
            reached.update(range(number))
            continue
        before = [each for each in range(number) if image.lower() == stages[each].name or image == str(each)]
        reached.update(before)
        if not before and not image.isdigit():
            yield image, written


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction, in upper case, and what follows it on its lines, without here-documents."""
    escape, heading, line = "\\", True, ""
    lines = iter(text.split("\n"))
    for raw in lines:
        if heading and (found := _ESCAPE.fullmatch(raw.strip())):
            escape = found[1]
        heading = heading and _DIRECTIVE.fullmatch(raw.strip()) is not None
        if raw.lstrip().startswith("#") or (line and not raw.strip()):
            continue
        if raw.rstrip().endswith(escape):
            line += raw.rstrip()[:-1] + " "
            continue
        yield from _instruction(line + raw)
        for tabs, end in _here_documents(line + raw):
            next((each for each in lines if (each.lstrip("\t") if tabs else each).rstrip("\r") == end), None)
        line = ""
    yield from _instruction(line)


def _instruction(line: str) -> Iterator[tuple[str, str]]:
    if words := line.split(None, 1):
        yield words[0].upper(), words[1].strip() if len(words) > 1 else ""


def _here_documents(line: str) -> Iterator[tuple[bool, str]]:
    """Yield of each here-document that follows a line whether tabs before its lines are left out, and its end."""
    if _TAKES_DOCUMENTS.match(line):
        for found in filter(None, map(_DOCUMENT.fullmatch, _RAW_WORD.findall(line))):
            yield found[1] == "-", re.sub(r"[\"']", "", found[2])


def _words(rest: str) -> list[str]:
    try:
        return shlex.split(rest)
    except ValueError:  # an open quote, which the engine tells of
        return rest.split()


def _defaults(rest: str, known: Mapping[str, str]) -> dict[str, str]:
    pairs = (each.partition("=") for each in _words(rest))
    return {name: _expanded(value, known) for name, _, value in pairs}


def _expanded(text: str, known: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name, how, other = found[1] or found[2], found[3] or "", found[4] or ""
        said = known.get(name, "")
        if how.endswith("-"):
            return said or other
        return other if how.endswith("+") and said else "" if how else said

    return _VARIABLE.sub(value, text)


def _origin(rest: str) -> tuple[str, str]:
    """Return the image of a FROM, and the name of its stage, "" where it has none."""
    words = [each for each in _words(rest) if not each.startswith("--")]
    named = len(words) > 2 and words[1].upper() == "AS"
    return (words[0] if words else "", words[2] if named else "")


def _sources(word: str, rest: str) -> Iterator[str]:
    """Yield what a COPY or a mount names as where its files come from."""
    for each in _words(rest):
        if not each.startswith("--"):
            return
        if word in ("COPY", "ADD") and each.startswith("--from="):
            yield each.removeprefix("--from=")
        if word == "RUN" and each.startswith("--mount="):
            options = each.removeprefix("--mount=").split(",")
            yield from (option.removeprefix("from=") for option in options if option.startswith("from="))
