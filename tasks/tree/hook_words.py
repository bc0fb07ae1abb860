"""What the scripts that make an initramfs speak of: which new files of a tree they may take up.

They are shell scripts, and take files by name: of a new program, library or folder whose name no script has, and that
hides none of the same name, they cannot know. Whatever is not surely of that kind counts as read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import translate
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.tree import layer

if TYPE_CHECKING:
    from bootsmith.tasks.tree.merged import Tree

_TRIPLET: Final = r"[a-z0-9_]+-linux-[a-z0-9_]+"
_PROGRAMS: Final = re.compile(r"(usr/)?s?bin/[^/]+")
_LIBRARIES: Final = re.compile(rf"(usr/)?lib(64)?/({_TRIPLET}/)?[^/]+\.so(\.[^/]*)?")
_PLACES: Final = re.compile(rf"usr/(share|libexec|lib|lib/{_TRIPLET})/|etc/")
"""Where else a package's own files are, in a folder or under a name that is the package's."""
_COMMON: Final = re.compile(rf"usr|share|libexec|lib|lib64|etc|bin|sbin|{_TRIPLET}")
"""Names on the way there that say nothing."""
_ALWAYS: Final = frozenset(
    (
        *("modules", "modules-load.d", "modprobe.d", "depmod.d", "firmware", "udev", "systemd", "initramfs-tools"),
        *("crypttab", "fstab", "default", "ld.so.conf", "ld.so.conf.d", "ld.so.preload", "nsswitch.conf"),
    )
)
"""What programs read that scripts call, and that these need not name: such as those of kmod and udev."""
_SCRIPTS: Final = re.compile(
    r"(usr/)?sbin/(mkinitramfs|update-initramfs)|(usr/share|usr/lib|lib|etc)/initramfs-tools/.+"
)
_WORD: Final = re.compile(r"[\w.+@-]+")
_PATTERN: Final = re.compile(r"[\w.+@\[\]?*-]*[*?\[][\w.+@\[\]?*-]*")
_PLACE: Final = rf"/((usr/)?s?bin|usr/(share|libexec)|(usr/)?lib(64)?(/{_TRIPLET})?|etc)"
_EVERYTHING: Final = re.compile(
    rf"(^|[\s\"'=(`]){_PLACE}[\"']?/\*(?![^\s\"';)`])|\b(find|ls|cp)\s[^|;&\n]*(?<=\s)[\"']?{_PLACE}/?(?=[\s\"';)`]|$)",
    re.MULTILINE,
)
"""A script that goes through all of such a place."""
_CASE: Final = re.compile(r"^[^()$`\n]*\)", re.MULTILINE)
"""What stands at the beginning of a case: patterns of words, which name no files."""
_TOP: Final = re.compile(r"(?<=[\s\"'=(])/[\w.*?-]+(?=[\s\"';)]|$)", re.MULTILINE)
"""A name, or a pattern of some, in the tree's top, such as /lib*: of others it says nothing."""
_LARGEST: Final = 1 << 20
_LITERAL: Final = 3
"""Letters that a pattern says itself, at the least, to be about some names and not about all."""


class HookWords:
    """The words of a tree's scripts that make an initramfs, and of the scripts that these call."""

    def __init__(self, tree: Tree) -> None:
        self._names = Counter(path.rpartition("/")[2] for path in tree.entries if _is_taken_by_name(path))
        texts = [text for path in tree.entries if _SCRIPTS.fullmatch(path) and (text := _text(tree, path))]
        self._words = {word for text in texts for word in _WORD.findall(text)}
        called = {path for path in tree.entries if _PROGRAMS.fullmatch(path) and path.rpartition("/")[2] in self._words}
        texts += [text for path in sorted(called) if (text := _text(tree, path, script=True))]
        self._words |= {word for text in texts for word in _WORD.findall(text)}
        said = [_CASE.sub("", text) for text in texts]
        self._goes_through = any(_EVERYTHING.search(text) for text in said)
        patterns = {pattern for text in said for pattern in _PATTERN.findall(_TOP.sub("", text))}
        self._pattern = _either(each for each in patterns if len(re.sub(r"\[[^\]]*\]|[*?]", "", each)) >= _LITERAL)

    def may_take(self, path: str) -> bool:
        """Tell whether a script may take up what is new at a path."""
        if self._goes_through or not is_taken_by_word(path):
            return True
        names = [name for name in path.split("/") if not _COMMON.fullmatch(name)]
        if _is_taken_by_name(path) and self._names[names[-1]] > 1:  # it may be found before, or behind, another one
            return True
        return any(self._is_said(name) for name in names)

    def _is_said(self, name: str) -> bool:
        stem = name.partition(".")[0]
        if name in _ALWAYS or not self._words.isdisjoint((name, stem, stem.removeprefix("lib"))):
            return True
        return self._pattern is not None and self._pattern.fullmatch(name) is not None


def is_taken_by_word(path: str) -> bool:
    """Tell whether what is new at a path is taken up only by scripts that name it: otherwise it may always be."""
    return _is_taken_by_name(path) or _PLACES.match(path) is not None


def _is_taken_by_name(path: str) -> bool:
    return _PROGRAMS.fullmatch(path) is not None or _LIBRARIES.fullmatch(path) is not None


def _text(tree: Tree, path: str, *, script: bool = False) -> str:
    """Return a file's text, nothing for what is none, and for no `script` where one is wanted."""
    number, entry = tree.entries[path]
    if entry.type == "h":
        number, entry = tree.entries[entry.link]
    if entry.type != "f" or entry.size > _LARGEST:
        return ""
    with layer.open_member(tree.tars[number], entry) as file:
        begins = file.read(2)
        if script and begins != b"#!":
            return ""
        return (begins + file.read()).decode("utf-8", "replace")


def _either(patterns: Iterable[str]) -> re.Pattern[str] | None:
    found = "|".join(translate(each) for each in sorted(patterns))
    return re.compile(found) if found else None


def libraries(paths: Iterable[str]) -> Iterator[str]:
    """Yield those of some paths that are libraries."""
    return (path for path in paths if _LIBRARIES.fullmatch(path))
