"""Users and groups of a tree: /etc/passwd, group, shadow and gshadow as data (passwd(5), group(5), shadow(5))."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.merged import Tree

FIRST_ID: Final = 1000
LAST_ID: Final = 59_999
LOCKED: Final = "*"
"""A password that nothing matches. Not "!": without PAM, sshd refuses even keys to who has that."""
DAY: Final = 86_400


def is_name(*owners: str) -> bool:
    """Tell whether one of the owners is a name that only the tree's own files can tell the number of."""
    return any(owner != "root" and not owner.isdigit() for owner in owners)


def ids(tree: Tree, owner: str, group: str, path: str) -> tuple[int, int]:
    """Return the numbers of an owner and a group, by the tree's own files. Raises StageError with near names."""
    return _number(tree, "passwd", owner, path), _number(tree, "group", group, path)


def _number(tree: Tree, file: str, name: str, path: str) -> int:
    if not is_name(name):
        return 0 if name == "root" else int(name)
    table = Table(tree.text(f"etc/{file}") or "")
    found = table.get(name)
    if found is None:
        kind = "user" if file == "passwd" else "group"
        raise StageError(f"{path}: the tree has no {kind} {name}{near(name, table.names())}", "Name one that it has.")
    return int(found[2])


def near(name: str, known: Iterable[str]) -> str:
    """Return ": did you mean X?" where a known name is alike."""
    import difflib  # only mistakes pay for it

    found = difflib.get_close_matches(name, list(known), n=1)
    return f": did you mean {found[0]}?" if found else ""


class Table:
    """A file of colon-separated lines, the first field a name; lines keep their order."""

    def __init__(self, text: str) -> None:
        self.rows = [line.split(":") for line in text.splitlines() if line]

    def get(self, name: str) -> list[str] | None:
        """Return the row of a name, to be changed in place."""
        return next((row for row in self.rows if row[0] == name), None)

    def names(self) -> list[str]:
        return [row[0] for row in self.rows]

    def numbers(self) -> set[int]:
        """Return the ids in the third field."""
        return {int(row[2]) for row in self.rows if len(row) > 2 and row[2].isdigit()}

    def text(self) -> str:
        return "".join(":".join(row) + "\n" for row in self.rows)


@dataclass(frozen=True, slots=True)
class Account:
    """A user as the tree has it."""

    name: str
    uid: int
    gid: int
    home: str
    new: bool


class Accounts:
    """The four files of a tree together; `epoch` dates password changes."""

    FILES: Final = ("passwd", "group", "shadow", "gshadow")

    def __init__(self, tree: Tree, epoch: int) -> None:
        texts = {name: tree.text(f"etc/{name}") for name in self.FILES}
        if texts["passwd"] is None or texts["group"] is None:
            raise StageError(
                "the tree has no /etc/passwd and /etc/group, so it can have no users",
                "Install a distribution's base files, bring both files in a layer, or write `system: none`.",
            )
        self.passwd, self.group = Table(texts["passwd"]), Table(texts["group"])
        self.shadow = None if texts["shadow"] is None else Table(texts["shadow"])
        self.gshadow = None if texts["gshadow"] is None else Table(texts["gshadow"])
        self._today = str(epoch // DAY)
        self._tree = tree

    def ensure(
        self, name: str, *, uid: int | None, groups: Iterable[str], shell: str | None, home: str | None
    ) -> Account:
        """Make sure that a user is there, with these properties. Raises StageError."""
        row = self.passwd.get(name)
        new = row is None
        if row is None:
            row = self._add(name, uid, shell, home)
        if uid is not None and int(row[2]) != uid:
            raise StageError(f"system.users.{name}: uid is {uid}, but the tree's {name} has {row[2]}", "Leave uid out.")
        row[5] = home or row[5]
        row[6] = shell or row[6]
        for group in groups:
            self._join(name, group)
        return Account(name, int(row[2]), int(row[3]), row[5], new)

    def set_password(self, name: str, field: str) -> None:
        """Set what stands for a user's password in /etc/shadow: a hash, "" (none needed), or LOCKED."""
        if self.shadow is None:
            row = self.passwd.get(name)
            assert row is not None, "ensure() came first"
            row[1] = field
            return
        row = self.shadow.get(name)
        if row is None:
            row = [name, field, self._today, "0", "99999", "7", "", "", ""]
            self.shadow.rows.append(row)
        if row[1] != field:
            row[1:3] = [field, self._today]

    def files(self) -> dict[str, str]:
        """Return the files' new texts."""
        found = {"passwd": self.passwd, "group": self.group, "shadow": self.shadow, "gshadow": self.gshadow}
        return {name: table.text() for name, table in found.items() if table is not None}

    def _add(self, name: str, uid: int | None, shell: str | None, home: str | None) -> list[str]:
        taken = self.passwd.numbers()
        if uid in taken:
            owner = next(row[0] for row in self.passwd.rows if row[2] == str(uid))
            raise StageError(
                f"system.users.{name}: uid {uid} is {owner}'s in the tree", "Take another, or leave uid out."
            )
        groups = self.group.numbers()
        own = self.group.get(name)
        if uid is None:
            both = taken | groups if own is None else taken
            uid = next(number for number in range(FIRST_ID, LAST_ID) if number not in both)
        if own is None:
            gid = uid if uid not in groups else next(n for n in range(FIRST_ID, LAST_ID) if n not in groups)
            self.group.rows.append([name, "x", str(gid), ""])
            if self.gshadow is not None:
                self.gshadow.rows.append([name, "!", "", ""])
        else:
            gid = int(own[2])
        shell = shell or ("/bin/bash" if self._tree.find("/bin/bash") else "/bin/sh")
        row = [name, "x", str(uid), str(gid), "", home or f"/home/{name}", shell]
        self.passwd.rows.append(row)
        return row

    def _join(self, name: str, group: str) -> None:
        for table in (self.group, self.gshadow):
            row = table.get(group) if table else None
            if row is not None:
                members = [member for member in row[3].split(",") if member]
                row[3] = ",".join([*members, *([] if name in members else [name])])
            elif table is self.group:
                what = f"system.users.{name}: the tree has no group {group}{near(group, self.group.names())}"
                raise StageError(what, "Name groups that it has.")
