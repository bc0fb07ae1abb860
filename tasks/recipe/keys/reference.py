"""The pages in docs/reference that follow from the keys.

`python -m bootsmith.tasks.recipe.keys.reference` writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bootsmith.tasks.recipe.keys import schema
from bootsmith.tasks.recipe.keys.all import RECIPE
from bootsmith.tasks.recipe.text.writing import flow
from bootsmith.tasks.recipe.values.scalars import Type
from bootsmith.tasks.recipe.values.shapes import Choose, Key, ListOf, Named, Section, WordOr

MARK = "<!-- Below: made from tasks/recipe/keys/ by `python -m bootsmith.tasks.recipe.keys.reference`. -->\n\n"
FOLDER = Path(__file__).resolve().parents[3] / "docs/reference"


def page(before: str) -> str:
    """Return the text of recipe.md: what people wrote `before` the mark, and every key after it."""
    return before.partition(MARK)[0] + MARK + "".join(f"{line}\n" for line in _section(RECIPE, "", 3))


def _section(section: Section, path: str, depth: int) -> Iterator[str]:
    """Yield a section's keys, one line each, then the keys of those that have their own."""
    for name, key in section.keys.items():
        yield f"- `{name}` ({_taken(key)}): {key.doc}"
    for name, key in section.keys.items():
        yield from _inside(key.type, f"{path}.{name}".lstrip("."), key.doc, depth)


def _inside(kind: Type, path: str, doc: str, depth: int) -> Iterator[str]:
    """Yield what a value of some kind holds, where it holds more than one value."""
    match kind:
        case Section():
            yield f"\n{'#' * min(depth, 4)} `{path}`\n\n{doc[:1].upper()}{doc[1:]}.\n"
            if kind.bare:
                yield f"A value alone is `{kind.bare}`.\n"
            yield from _section(kind, path, depth + 1)
        case WordOr():
            yield from _inside(kind.other, path, doc, depth)
        case Named():
            yield from _inside(kind.value, f"{path}.{kind.name.said}", doc, depth)
        case ListOf():
            yield from _inside(kind.item, path, doc, depth)
        case Choose(kinds=kinds):
            for name, each in kinds.items():
                lines = list(_inside(each.options, f"{path}.{name}", each.doc, depth))
                alone = f"\n{'#' * min(depth, 4)} `{path}.{name}`\n\n`{each.options.said}`: {each.doc}."
                yield from lines or [alone]


def _taken(key: Key) -> str:
    """Return what a key takes, and what it is unless it is written."""
    if key.required:
        return f"`{key.type.said}`, required"
    if key.raw is not None:
        return f"`{key.type.said}`, default `{flow(key.raw, Path('/'))}`"
    return f"`{key.type.said}`, default: {key.derived or 'none'}"


def write(folder: Path = FOLDER) -> None:
    """Write the pages into `folder`."""
    text = folder / "recipe.md"
    text.write_text(page(text.read_text()))
    (folder / "recipe.schema.json").write_text(schema.text())


if __name__ == "__main__":
    write()
