"""The console's keyboard: Debian's setupcon reads /etc/default/keyboard, systemd /etc/vconsole.conf."""

from __future__ import annotations

import re
from typing import Final

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.accounts import near
from bootsmith.tasks.tree.delta import Delta
from bootsmith.tasks.tree.merged import Tree

DEBIANS: Final = "etc/default/keyboard"
SYSTEMDS: Final = "etc/vconsole.conf"
USUAL: Final = "us"
"""What Linux has without a word."""
_LAYOUTS: Final = "usr/share/X11/xkb/symbols"
_CACHE: Final = "etc/console-setup"
_FOLDERS: Final = ("usr/share/keymaps", "usr/share/kbd/keymaps", "usr/lib/kbd/keymaps", "lib/kbd/keymaps")
_MAP: Final = re.compile(r"/([^/]+)\.k?map(?:\.gz|\.xz|\.zst)?$")


def declare(delta: Delta, wanted: str | None) -> None:
    """Have the console take a keyboard's layout. Raises StageError where the tree has it not."""
    if wanted is None:
        return
    tree = delta.tree
    by_debian = tree.find("usr/bin/setupcon") is not None or tree.find("bin/setupcon") is not None
    by_systemd = tree.find("lib/systemd/systemd-vconsole-setup") is not None
    if not (by_debian or by_systemd):
        if wanted == USUAL:
            return
        raise StageError(
            f"system.keymap: nothing in the tree sets the keyboard's layout to {wanted}",
            "Add the package console-setup (kbd elsewhere than in Debian), or leave system.keymap out.",
        )
    names = set(tree.names(_LAYOUTS)) if by_debian else _maps(tree)
    if wanted not in names:
        where = _LAYOUTS if by_debian else "its keymaps"
        raise StageError(
            f"system.keymap: the tree has no keyboard's layout {wanted}{near(wanted, sorted(names))}",
            f"Name one as in /{where}." if by_debian else "Name one as `localectl list-keymaps` does.",
        )
    if by_debian:
        delta.add_file(DEBIANS, _with_layout(tree.text(DEBIANS) or "", wanted).encode("utf-8", "surrogateescape"))
        for name in tree.names(_CACHE):
            if name.startswith("cached_"):  # made of the layout before, and believed
                delta.remove(f"{_CACHE}/{name}")
    if by_systemd and tree.resolve(SYSTEMDS) != DEBIANS:
        others = [line for line in (tree.text(SYSTEMDS) or "").splitlines() if not line.startswith("KEYMAP=")]
        text = "".join(f"{line}\n" for line in [*others, f"KEYMAP={wanted}"])
        delta.add_file(SYSTEMDS, text.encode("utf-8", "surrogateescape"))


def _with_layout(text: str, layout: str) -> str:
    """Return /etc/default/keyboard with another layout, which has no variant of the one before."""
    kept = [line for line in text.splitlines() if not re.match(r"\s*XKB(LAYOUT|VARIANT)=", line)]
    model = [] if any(line.startswith("XKBMODEL=") for line in kept) else ['XKBMODEL="pc105"']
    return "\n".join([*kept, *model, f'XKBLAYOUT="{layout}"', 'XKBVARIANT=""']) + "\n"


def _maps(tree: Tree) -> set[str]:
    """Return the names of the keymaps that loadkeys finds."""
    tops = {tree.resolve(folder) for folder in _FOLDERS}
    below = tuple(f"{top}/" for top in tops)
    return {found[1] for path in tree.entries if path.startswith(below) and (found := _MAP.search(path))}
