"""Keys: the digest of everything a stage depends on, and in words what differs between two of them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeGuard

from xxhash import xxh3_128_hexdigest

Value: TypeAlias = "bool | int | float | str | bytes | Sequence[Value] | Mapping[str, Value] | None"
Parts: TypeAlias = Mapping[str, Value]

_SIZE = struct.Struct("<Q").pack
_FLOAT = struct.Struct(">d").pack
SHOWN = 60  # characters of a value in words
NOUNS = {"inputs": "input", "tools": "tool", "secrets": "secret"}


def key(parts: Parts) -> str:
    """Return the key of a stage's parts: 32 hex digits."""
    return xxh3_128_hexdigest(encode(parts))


def encode(value: object) -> bytes:
    """Return the one encoding of a value; different values never encode alike. Raises TypeError for other types.

    Keys of a mapping may be bytes too. A path is refused: it would tie the key to this machine.
    """
    pieces: list[bytes] = []
    _encode(value, pieces.append)
    return b"".join(pieces)


def _encode(value: object, add: Callable[[bytes], object]) -> None:
    if isinstance(value, str):
        _add(b"s", value.encode("utf-8", "surrogatepass"), add)  # surrogateescape would make two texts alike
    elif isinstance(value, bytes):
        _add(b"b", value, add)
    elif value is None or isinstance(value, bool | int | float):
        _encode_scalar(value, add)
    elif isinstance(value, Mapping):
        add(b"m" + _SIZE(len(value)))
        for name, item in sorted((encode(name), item) for name, item in value.items()):
            add(name)
            _encode(item, add)
    elif isinstance(value, Sequence):
        add(b"l" + _SIZE(len(value)))
        for item in value:
            _encode(item, add)
    else:
        raise TypeError(f"a key cannot be made of {type(value).__name__} {value!r}")


def _encode_scalar(value: float | None, add: Callable[[bytes], object]) -> None:
    if value is None:
        add(b"N")
    elif isinstance(value, bool):  # before int, of which it is one
        add(b"T" if value else b"F")
    elif isinstance(value, int):
        _add(b"i", b"%d" % value, add)
    else:
        add(b"d" + _FLOAT(value))


def _add(tag: bytes, data: bytes, add: Callable[[bytes], object]) -> None:
    add(tag + _SIZE(len(data)))
    add(data)


def diff(old: Parts, new: Parts) -> list[str]:
    """Tell which parts differ, one sentence each: "input overlay changed", "parameter cmdline: 'a' -> 'b'"."""
    return [
        sentence
        for part in dict.fromkeys([*old, *new])
        if part not in old or part not in new or encode(old[part]) != encode(new[part])
        for sentence in _part(part, old.get(part), new.get(part))
    ]


def _part(part: str, old: Value, new: Value) -> Iterator[str]:
    if part == "params" and isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _mapping("parameter ", old, new)
    elif part in NOUNS and isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            if name not in new:
                yield f"{NOUNS[part]} {name} removed"
            elif name not in old:
                yield f"{NOUNS[part]} {name} added"
            elif encode(old[name]) != encode(new[name]):
                yield f"{NOUNS[part]} {name} changed"  # digests would tell nobody anything
    elif part in {"name", "outputs"}:
        yield from _value(part, old, new)
    else:
        yield f"{part} changed"


def _mapping(path: str, old: Mapping[str, Value], new: Mapping[str, Value]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        place = path + name if name else path.removesuffix(".")
        if name not in new:
            yield f"{place} removed (was {_short(old[name])})"
        elif name not in old:
            yield f"{place} added: {_short(new[name])}"
        elif encode(old[name]) != encode(new[name]):
            yield from _value(place, old[name], new[name])


def _value(path: str, old: Value, new: Value) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _mapping(f"{path}.", old, new)
    elif _is_list(old) and _is_list(new):
        before, after = _by_name(old), _by_name(new)
        sentences = [*_mapping(f"{path}.", before, after)] if before and after else []
        yield from sentences or [f"{path}: {_items(old, new)}"]
    elif _is_digest(old) and _is_digest(new):
        yield f"{path} changed"
    else:
        yield f"{path}: {_short(old)} -> {_short(new)}"


def _is_digest(value: Value) -> bool:
    """Tell whether a value is as `key` gives them, which would tell nobody anything."""
    return isinstance(value, str) and len(value) == 32 and not value.strip("0123456789abcdef")


def _is_list(value: Value) -> TypeGuard[Sequence[Value]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _by_name(values: Sequence[Value]) -> dict[str, Value]:
    """Return things that each have a name of their own by that; nothing where they have none."""
    found: dict[str, Value] = {
        str(each["name"]): each for each in values if isinstance(each, Mapping) and "name" in each
    }
    return found if len(found) == len(values) else {}


def _items(old: Sequence[Value], new: Sequence[Value]) -> str:
    """Tell which items of a list came and went."""
    before, after = [encode(item) for item in old], [encode(item) for item in new]
    came = [f"+{_short(item)}" for item, code in zip(new, after, strict=True) if code not in before]
    went = [f"-{_short(item)}" for item, code in zip(old, before, strict=True) if code not in after]
    return " ".join(came + went) or "the same items, in another order or number"


def _short(value: Value) -> str:
    text = _said(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _said(value: Value) -> str:
    """Return a value as a recipe would write it, texts in quotes."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_said(each)}" for name, each in value.items()) + "}"
    return f"[{', '.join(map(_said, value))}]" if _is_list(value) else repr(value)
