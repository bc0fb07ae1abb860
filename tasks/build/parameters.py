"""Parameters of stages: a frozen dataclass for each, as the JSON that its key is made of, and read back from that."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.build.stage import Context, Json


class UnfitParams(StageError):
    """What is recorded are not the parameters that a stage has today."""


class Params:
    """All that shapes a stage's output beside its inputs, secrets and tools.

    Whatever runs declares its own, a frozen dataclass, and is given it by `of`; whoever plans it makes one. A field is
    a bool, int, str, None, a tuple, a mapping by str, another dataclass, or one of several of these.
    """

    @classmethod
    def of(cls, ctx: Context) -> Self:
        """Return the parameters of the stage that runs. Raises UnfitParams."""
        return cls.from_json(ctx.params)

    @classmethod
    def from_json(cls, values: Mapping[str, Json]) -> Self:
        """Return the parameters that `to_json` gave. Raises UnfitParams."""
        found: Self = _read(cls, values, "")
        return found

    def to_json(self) -> dict[str, Json]:
        """Return the parameters as a key, a record and a remembered plan have them."""
        found: dict[str, Json] = _plain(self)
        return found


def _plain(value: Any) -> Any:
    """Return mappings for dataclasses and lists for tuples, all the way down."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _read(kind: Any, value: Any, name: str) -> Any:
    """Return a value as a field's type has it; `name` tells where it stands. Raises UnfitParams."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _one_of(arguments, value, name)
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return _fields(kind, value, name)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = [arguments[0]] * len(value) if arguments[-1] is ... else [*arguments]
        if len(kinds) == len(value):
            pairs = zip(kinds, value, strict=True)
            return tuple(_read(each, item, f"{name}.{number}") for number, (each, item) in enumerate(pairs))
    elif origin is Mapping and isinstance(value, Mapping):
        return {key: _read(arguments[1], each, f"{name}.{key}") for key, each in value.items()}
    elif (origin is Literal and value in arguments) or type(value) is kind:  # True is an int otherwise
        return value
    raise UnfitParams(f"its parameter {name.lstrip('.')} cannot be {value!r}")


def _one_of(kinds: tuple[Any, ...], value: Any, name: str) -> Any:
    for kind in kinds[:-1]:
        try:
            return _read(kind, value, name)
        except UnfitParams:
            continue
    return _read(kinds[-1], value, name)


def _fields(kind: Any, values: Mapping[str, Any], name: str) -> Any:
    hints = typing.get_type_hints(kind)
    wanted = [field.name for field in dataclasses.fields(kind)]
    for each in (*wanted, *values):
        if each not in values or each not in wanted:
            what = "missing" if each in wanted else "none that it has today"
            raise UnfitParams(f"its parameter {f'{name}.{each}'.lstrip('.')} is {what}")
    return kind(**{each: _read(hints[each], values[each], f"{name}.{each}") for each in wanted})
