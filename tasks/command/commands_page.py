"""The page docs/reference/commands.md, as far as it follows from the table of commands.

`python -m bootsmith.tasks.command.commands_page` writes it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path

from bootsmith.tasks.command.command import (
    Command,
    HostCommand,
    ImageCommand,
    Param,
    PlanCommand,
    RecipeCommand,
    TreeCommand,
)
from bootsmith.tasks.command.table import COMMANDS, GROUPS, IMAGE, KERNEL, MACHINE

MARK = "<!-- Below: made from tasks/command/table.py by `python -m bootsmith.tasks.command.commands_page`. -->\n\n"
PAGE = Path(__file__).resolve().parents[2] / "docs/reference/commands.md"
KINDS = {
    ImageCommand: "About an image",
    TreeCommand: "About a tree without a recipe",
    PlanCommand: "About builds",
    RecipeCommand: "About recipes",
    HostCommand: "About this host",
}
SHARED = {"Options of a machine": MACHINE, "Options of a kernel": KERNEL}
"""Options that several commands have, told once."""


def page(before: str) -> str:
    """Return the text of the page: what people wrote `before` the mark, and every command and option after it."""
    return before.partition(MARK)[0] + MARK + "\n".join(_sections()) + "\n"


def _sections() -> Iterator[str]:
    yield "## Stages, and groups of them\n"
    yield from (f"- `{name}`: {doc}" for name, doc in GROUPS.items())
    yield "\nOf `image`, behind its name:\n"
    yield from _options(IMAGE)
    for kind, title in KINDS.items():
        yield f"\n## {title}\n\n{inspect.getdoc(kind)}"
        for command in COMMANDS:
            if type(command) is kind:
                yield from _command(command)
    for title, params in SHARED.items():
        yield f"\n## {title}\n"
        yield from _options(params)


def _command(command: Command) -> Iterator[str]:
    yield f"\n### `{command.name}`\n\n`{_usage(command)}`: {command.doc}."
    params = command.params
    shared = [title for title, each in SHARED.items() if set(map(id, each)) <= set(map(id, params))]
    told = {id(param) for title in shared for param in SHARED[title]}
    own = [param for param in params if id(param) not in told]
    if params:
        yield ""
    yield from _options(own)
    yield from (f"- [{title[0].lower()}{title[1:]}](#{title.lower().replace(' ', '-')})" for title in shared)


def _usage(command: Command) -> str:
    words = command.positional.upper() if command.positional else ""
    if isinstance(command, HostCommand) and words:
        words = f"[{words}...]"
    elif isinstance(command, ImageCommand) and words:
        words = f"[{words}]"
    return " ".join(filter(None, (command.name, "[OPTION...]" if command.params else "", words)))


def _options(params: Iterable[Param]) -> Iterator[str]:
    for param in params:
        names = [f"-{param['short']}"] if param["short"] else []
        value = "" if param["type"] is bool else " VALUE"
        yield f"- {', '.join(f'`{name}{value}`' for name in (*names, '--' + param['long']))}: {param['help']}"


def write(file: Path = PAGE) -> None:
    """Write the page."""
    file.write_text(page(file.read_text()))


if __name__ == "__main__":
    write()
