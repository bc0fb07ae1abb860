"""Why a stage is not fresh, in words and as data: what its record says, against what is so now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bootsmith.cache.digest import key as keys
from bootsmith.cache.display import shown

if TYPE_CHECKING:
    from bootsmith.tasks.build.identities import Identities
    from bootsmith.tasks.build.stage import Stage

Kind = Literal[
    "always", "code", "depends", "forgotten", "input", "lock", "missing", "output", "parameter", "record", "secret",
    "tool",
]  # fmt: skip
NAMED = 8  # changes that a text names; the data has them all

KINDS = {"0": "a hard link", "1": "a fifo", "2": "a device", "4": "a folder", "6": "a device", "8": "a file",
         "10": "a link", "12": "a socket"}  # fmt: skip


NOTHING: Mapping[str, Any] = MappingProxyType({})


class Reason(NamedTuple):
    """One reason. `name` is the role, parameter or tool; `data` what `text` says, for programs.

    `short` is the text where the stage's name stands before it already; empty for what follows from another stage.
    """

    kind: Kind
    name: str
    text: str
    data: Mapping[str, Any] = NOTHING
    short: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the reason as data."""
        return {"kind": self.kind, "name": self.name, "text": self.text, **self.data}


class Side(NamedTuple):
    """One of the two that are compared: the parts of a key, and what tells what is known beyond them.

    `told` returns of an input's role what `evidence.of_input` told of it, `code` the fingerprints of modules by name;
    None: not known. Both are asked only about what differs.
    """

    parts: Mapping[str, Any]
    told: Callable[[str], Mapping[str, Any]]
    code: Callable[[], Mapping[str, str] | None]

    @classmethod
    def kept(cls, parts: Mapping[str, Any], evidence: Mapping[str, Any], identities: Identities) -> Side:
        """Return a side whose evidence was kept in the store under the names given."""
        inputs: Mapping[str, str] = evidence.get("inputs", NOTHING)
        return cls(
            parts,
            lambda role: identities.kept(inputs.get(role)) or NOTHING,
            lambda: identities.kept(evidence.get("code")),
        )


class Comparison(NamedTuple):
    """What a stage was made of, against what it would be made of now; `makers` tells which stage makes a file."""

    stage: Stage
    makers: Mapping[Path, str]
    identities: Identities
    old: Side
    new: Side

    def reasons(self) -> list[Reason]:
        """Return what differs."""
        old, new = self.old.parts, self.new.parts
        changed = [part for part in dict.fromkeys([*old, *new]) if _differs(old, new, part)]
        return [reason for part in changed for reason in self._part(part, old.get(part), new.get(part))]

    def _part(self, part: str, was: Any, now: Any) -> list[Reason]:
        if part == "code":
            return [_code(str(was), str(now), self.old.code(), self.new.code())]
        one = {"params": self._parameter, "inputs": self._input, "tools": self._tool, "secrets": self._secret}.get(part)
        if one and isinstance(was, Mapping) and isinstance(now, Mapping):
            return [one(name, _Change(was, now, name)) for name in sorted({*was, *now}) if _differs(was, now, name)]
        text = "; ".join(keys.diff({part: was}, {part: now}))
        return [Reason("parameter", part, text, {"was": was, "now": now}, text)]

    def _parameter(self, name: str, change: _Change) -> Reason:
        text = change.words("params")
        sides = {"was": change.was, "now": change.now}
        data = {side: each[name] for side, each in sides.items() if name in each}
        return Reason("parameter", name, text, {"change": change.how, **data}, text.removeprefix("parameter "))

    def _secret(self, name: str, change: _Change) -> Reason:
        text = change.words("secrets")
        return Reason("secret", name, text, {"change": change.how}, text)

    def _tool(self, name: str, change: _Change) -> Reason:
        """Tell how a host program changed: its version, else which of its files."""
        old, new = (self.identities.about_tool(each.get(name, "")) for each in (change.was, change.now))
        data: dict[str, Any] = {"change": change.how}
        if not old or not new:
            text = change.words("tools")
            return Reason("tool", name, text, data, text.removeprefix("tool "))
        before, after = old["files"], new["files"]
        files = [path for path in sorted({*before, *after}) if before.get(path) != after.get(path)]
        if old["version"] != new["version"]:
            text = f"{name} {old['version'] or '?'} -> {new['version'] or '?'}"
        else:
            text = f"{name} {old['version']}".rstrip() + f", other bytes: {_listed(files)}"
        data |= {"was": old["version"], "now": new["version"], "files": files}
        return Reason("tool", name, f"tool {text}", data, text)

    def _input(self, role: str, change: _Change) -> Reason:
        path = self.stage.inputs.get(role)
        maker = self.makers.get(path) if path else None
        data: dict[str, Any] = {"change": change.how}
        if maker:
            return Reason("input", role, f"input {role} {change.how}, which {maker} makes", {**data, "stage": maker})
        place = shown(path) if path else role
        data["path"] = place
        old = self.old.told(role)
        new = self.new.told(role) if old else NOTHING
        words: list[str] = []
        if "tree" in old and "tree" in new:
            data["files"], words = _tree(old["tree"], new["tree"])
        elif "packages" in old and "packages" in new:
            data["packages"], words = _packages(old["packages"], new["packages"])
        if words:
            text = _listed(words)
            return Reason("input", role, f"input {role}: {text}", data, text)
        return Reason("input", role, f"input {role} {change.how}: {place}", data, f"{place} {change.how}")


class _Change(NamedTuple):
    """One name of a mapping that is not what it was."""

    was: Mapping[str, Any]
    now: Mapping[str, Any]
    name: str

    @property
    def how(self) -> str:
        return "removed" if self.name not in self.now else "added" if self.name not in self.was else "changed"

    def words(self, part: str) -> str:
        old, new = ({part: {self.name: side[self.name]} if self.name in side else {}} for side in (self.was, self.now))
        return "; ".join(keys.diff(old, new))


def _differs(was: Mapping[str, Any], now: Mapping[str, Any], name: str) -> bool:
    return (name in was) != (name in now) or keys.encode(was.get(name)) != keys.encode(now.get(name))


def _tree(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[list[dict[str, str]], list[str]]:
    """Return what differs between two listings (see cache/digest/fingerprint.py), as data and in words."""
    data, words = [], []
    for path in sorted({*old, *new}):
        if old.get(path) == new.get(path):
            continue
        name = shown(path)
        if path not in new or path not in old:
            change = text = "added" if path in new else "removed"
        else:
            was, now = old[path].split(" "), new[path].split(" ")
            if was[0] != now[0]:
                change, text = "kind", f"is now {KINDS.get(now[0], 'something else')}"
            elif was[2] == now[2]:
                change, text = "mode", f"mode {was[1]} -> {now[1]}"
            else:
                change = text = "changed"
        data.append({"path": name, "change": change})
        words.append(f"{name} {text}")
    return data, words


def _packages(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[list[dict[str, str]], list[str]]:
    """Return which packages came, went or changed, as data and in words."""
    data, words = [], []
    for each in sorted({*old, *new}):
        was, now = old.get(each), new.get(each)
        if was == now:
            continue
        name = each.partition(" ")[0]
        text = f"+{name} {now}" if was is None else f"-{name}" if now is None else f"{name} {was} -> {now}"
        data.append({"package": name, **({"was": was} if was else {}), **({"now": now} if now else {})})
        words.append(text)
    return data, words


def _code(old: str, new: str, was: Mapping[str, str] | None, now: Mapping[str, str] | None) -> Reason:
    python = [each.rpartition(" ")[2] for each in (old, new)]
    words = [f"Python {python[0]} -> {python[1]}"] if python[0] != python[1] else []
    data: dict[str, Any] = {"python": dict(zip(("was", "now"), python, strict=True))} if words else {}
    if was and now:
        changed = {_file(name): _change(was.get(name), now.get(name)) for name in sorted({*was, *now})
                   if was.get(name) != now.get(name)}  # fmt: skip
        data["modules"] = [{"path": path, "change": change} for path, change in changed.items()]
        words += [f"{path} {change}" for path, change in changed.items()]
    text = _listed(words) or "code changed"
    return Reason("code", "code", text if not words else f"code: {text}", data, text)


def _change(was: str | None, now: str | None) -> str:
    return "added" if not was else "removed" if not now else "changed"


def _file(module: str) -> str:
    return module.removeprefix("bootsmith.").replace(".", "/") + ".py"


def causes(reasons: Iterable[Reason]) -> str:
    """Return in a few words what of a stage itself is another now; empty where only other stages are why."""
    own = [each.short for each in reasons if each.short]
    return own[0] + (f", and {len(own) - 1} more" if own[1:] else "") if own else ""


def _listed(words: list[str]) -> str:
    more = len(words) - NAMED
    return ", ".join(words[:NAMED]) + (f", and {more} more" if more > 0 else "")
