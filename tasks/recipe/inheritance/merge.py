"""One recipe laid over another: mappings merge, the rest is replaced, `key+` appends, `key-` removes, null drops."""

from __future__ import annotations

from collections.abc import Mapping

from bootsmith.tasks.recipe.text.nodes import COMMAND_LINE, Entry, Items, Node, Place, Table, Text, is_null, node, same
from bootsmith.tasks.recipe.text.problems import KeyPath, Problems
from bootsmith.tasks.recipe.values.scalars import Str, Type
from bootsmith.tasks.recipe.values.shapes import Choose, Key, ListOf, Named, Section, WordOr, appends


def lay(kind: Type, below: Node | None, above: Node, path: KeyPath, problems: Problems) -> Node:
    """Return `above` laid over `below`, both values of `kind`."""
    if isinstance(kind, WordOr) and not kind.is_word(above):
        below = None if below is None or kind.is_word(below) else below
        kind = kind.other
    if isinstance(kind, Section):
        above = kind.table(above)
        below = kind.table(below) if below is not None else None
    if isinstance(kind, Choose) and isinstance(below, Text):
        below = Table({below.text: Entry(below.place, Table({}, below.place))}, below.place)
    if not isinstance(above, Table):
        return above
    under = below if isinstance(below, Table) else Table({}, above.place)
    match kind:
        case Section():
            return _section(kind, under, above, path, problems)
        case Named():
            return _named(kind, under, above, path, problems)
        case Choose():
            return _choice(kind, under, above, path, problems)
        case ListOf(item=Choose() as item) if isinstance(below, Items) and above.place.file == COMMAND_LINE:
            return _options(item, below, above, path, problems)
    return above


def _section(kind: Section, below: Table, above: Table, path: KeyPath, problems: Problems) -> Table:
    merged = dict(below.entries)
    for name, entry in above.entries.items():
        word, sign = (name[:-1], name[-1:]) if name[-1:] in ("+", "-") and name[:-1] in kind.keys else (name, "")
        at = (*path, word)
        key = kind.keys.get(word)
        if sign and word in above.entries:
            problems.add(entry.place, at, f"{word} is set here and changed by {name} as well; write it once")
        elif key is None:
            merged[word] = entry  # told when it is read
        elif sign:
            old = _before(merged, word, key, entry)
            new = _append(key.type, old, entry, at, problems) if sign == "+" else _without(old, entry, at, problems)
            merged[word] = Entry(entry.place, new)
        elif is_null(entry.value):
            merged.pop(word, None)
        else:
            merged[word] = Entry(
                entry.place, lay(key.type, _before(merged, word, key, entry), entry.value, at, problems)
            )
    return Table(merged, _place(below, above))


def _before(merged: Mapping[str, Entry], word: str, key: Key, entry: Entry) -> Node | None:
    """Return what a key held so far; a list or text that nobody wrote begins with its default."""
    if word in merged:
        return merged[word].value
    return node(key.raw, entry.place) if isinstance(key.type, ListOf | Str) and key.raw is not None else None


def _place(below: Table, above: Table) -> Place:
    """Return where a merged mapping is written: in a file, if any file writes it."""
    return above.place if above.place.line else below.place


def _named(kind: Named, below: Table, above: Table, path: KeyPath, problems: Problems) -> Table:
    merged = dict(below.entries)
    for name, entry in above.entries.items():
        old = merged[name].value if name in merged else None
        if is_null(entry.value):
            merged.pop(name, None)
        else:
            merged[name] = Entry(entry.place, lay(kind.value, old, entry.value, (*path, name), problems))
    return Table(merged, _place(below, above))


def _choice(kind: Choose, below: Table, above: Table, path: KeyPath, problems: Problems) -> Table:
    """Merge the options of one kind; another kind replaces the whole."""
    merged = {}
    for word, entry in above.entries.items():
        old = below.entries.get(word)
        options = kind.kinds[word].options if word in kind.kinds else None
        if options is None or is_null(entry.value):
            merged[word] = entry
        else:
            value = lay(options, old.value if old else None, entry.value, (*path, word), problems)
            merged[word] = Entry(entry.place, value)
    return Table(merged, _place(below, above))


def _options(item: Choose, below: Items, above: Table, path: KeyPath, problems: Problems) -> Items:
    """Change the options of a list's items by their kind, as `outputs.qcow2.compress=none` asks."""
    items = list(below.items)
    for kind, entry in above.entries.items():
        found = [number for number, each in enumerate(items) if kind in _kinds(each)]
        if not found:
            problems.add(entry.place, (*path, kind), f"{path[-1]} holds no {kind}; add it with {path[-1]}+={kind}")
        for number in found:
            changed = lay(item, items[number], Table({kind: entry}, entry.place), path, problems)
            old = items[number]
            before = old.entries if isinstance(old, Table) else {}  # a layer's name stays
            items[number] = Table({**before, **changed.entries}, old.place) if isinstance(changed, Table) else changed
    return Items(tuple(items), below.place)


def _kinds(item: Node) -> list[str]:
    return list(item.entries) if isinstance(item, Table) else [item.text] if isinstance(item, Text) else []


def _append(kind: Type, old: Node | None, entry: Entry, path: KeyPath, problems: Problems) -> Node:
    more = entry.value
    if isinstance(kind, ListOf):
        if isinstance(more, Items):
            return Items((*old.items, *more.items), more.place) if isinstance(old, Items) else more
        problems.add(more.place, path, "a list is appended to a list; write it in []")
    elif appends(kind):
        if isinstance(more, Text):
            before = old.text if isinstance(old, Text) and not old.null else ""
            text = f"{before} {more.text}".strip() if not more.null else before
            return Text(text, plain=False, place=more.place)
        problems.add(more.place, path, "only text is appended to text; write one value")
    else:
        what = "mappings merge by themselves" if isinstance(kind, (Section, Named)) else f"{kind.said} cannot grow"
        problems.add(entry.place, path, f"{what}; write {path[-1]}: without +")
    return old or more


def _without(old: Node | None, entry: Entry, path: KeyPath, problems: Problems) -> Node:
    """Return a list without some items, each named in full or, where it has options, by its kind or name alone."""
    less = entry.value
    if not isinstance(less, Items) or not isinstance(old, Items):
        problems.add(entry.place, path, f"only items of lists can be removed; write {path[-1]}- with a list")
        return old or less
    left = list(old.items)
    for each in less.items:
        found = [item for item in left if same(item, each) or (isinstance(each, Text) and each.text in _titles(item))]
        if not found:
            said = each.text if isinstance(each, Text) else "this"
            problems.add(each.place, path, f"{said} is not in the list, so it cannot be removed; remove this line")
        left = [item for item in left if item not in found]
    return Items(tuple(left), old.place)


def _titles(item: Node) -> list[str]:
    """Return the words by which an item with options can be named: its kind, and its `name`."""
    if not isinstance(item, Table):
        return []
    own = item.get("name")
    return [*item.entries, *([own.text] if isinstance(own, Text) else [])]
