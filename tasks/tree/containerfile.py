"""A Containerfile, as far as it tells which images it begins with; the engine reads all the rest.

What is not understood here is no harm: the engine is given no image that was not found, and refuses what asks for it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Final

from bootsmith.cache.display import nearest, shown
from bootsmith.tasks.errors import StageError

LARGEST: Final = 1 << 20
"""Bytes of a Containerfile."""
SCRATCH: Final = "scratch"
_ESCAPE: Final = re.compile(r"#\s*escape\s*=\s*([\\`])\s*", re.IGNORECASE)
_DIRECTIVE: Final = re.compile(r"#\s*[A-Za-z]+\s*=.*")
_VARIABLE: Final = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^}]*))?\})")


def images(text: str, args: Mapping[str, str], target: str | None) -> dict[str, list[str]]:
    """Return the images that a Containerfile takes files of up to the stage that is the target, each as it is written.

    Engines know images by what is written, variables and all, or by what that comes to: by version.

    Raises StageError where it has no such stage, or none at all.
    """
    found: dict[str, list[str]] = {}
    stages: list[str] = []
    known: dict[str, str] = {}
    for word, rest in _instructions(text):
        if word == "ARG" and not stages:
            known |= _defaults(rest, known)
            known |= {name: args[name] for name in known if name in args}
        elif word == "FROM":
            if stages and target is not None and _is_called(target, stages, len(stages) - 1):
                return found
            written, name = _origin(rest)
            image = _expanded(written, known)
            if image.lower() not in stages and image != SCRATCH:
                found.setdefault(image, []).append(written)
            stages.append(name.lower())
        else:
            for written in _sources(word, rest):
                image = _expanded(written, known)
                if image and image.lower() not in stages and not image.isdigit():
                    found.setdefault(image, []).append(written)
    if not stages:
        raise StageError("has no FROM", "Let it begin with FROM IMAGE, or FROM scratch.")
    if target is not None and not _is_called(target, stages, len(stages) - 1):
        named = [each for each in stages if each]
        near = nearest(target, named)
        hint = f"Did you mean {near}?" if near else f"Its stages are {', '.join(map(shown, named)) or 'without names'}."
        raise StageError(f"has no stage {shown(target)}", hint)
    return found


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction, in upper case, and what follows it on its lines."""
    escape, heading, line = "\\", True, ""
    for raw in text.splitlines():
        if heading and (found := _ESCAPE.fullmatch(raw.strip())):
            escape = found[1]
        heading = heading and _DIRECTIVE.fullmatch(raw.strip()) is not None
        if raw.lstrip().startswith("#") or (line and not raw.strip()):
            continue
        if raw.rstrip().endswith(escape):
            line += raw.rstrip()[:-1] + " "
            continue
        word, _, rest = (line + raw).strip().partition(" ")
        line = ""
        if word:
            yield word.upper(), rest.strip()
    word, _, rest = line.strip().partition(" ")
    if word:
        yield word.upper(), rest.strip()


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


def _is_called(target: str, stages: list[str], number: int) -> bool:
    return target.lower() == stages[number] or target == str(number)
