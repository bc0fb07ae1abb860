"""Users and groups of a tree: /etc/passwd, group, shadow and gshadow as data (passwd(5), group(5), shadow(5))."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from bootsmith.cache.display import nearest, shown
from bootsmith.tasks.errors import StageError, Together
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
    table = Table(file, tree.text(f"etc/{file}") or "")
    found = table.get(name)
    if found is None:
        kind = "user" if file == "passwd" else "group"
        raise StageError(f"{path}: the tree has no {kind} {name}{near(name, table.names())}", "Name one that it has.")
    return int(found[2])


def _free(taken: set[int], where: str) -> int:
    found = next((number for number in range(FIRST_ID, LAST_ID + 1) if number not in taken), None)
    if found is None:
        raise StageError(f"{where}: the tree has no number left from {FIRST_ID} to {LAST_ID}", "Give it a uid.")
    return found


def near(name: str, known: Iterable[str]) -> str:
    """Return ": did you mean X?" where a known name is alike."""
    found = nearest(name, known)
    return f": did you mean {shown(found)}?" if found else ""


def _is_number(text: str) -> bool:
    """Tell whether a field is the number of a user or group, as filesystems hold it."""
    return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) < 0xFFFFFFFF


class Table:
    """One of the four files: colon-separated lines, the first field a name. What is no such line stays as it is."""

    _FIELDS: Final = {"passwd": 7, "group": 4, "shadow": 9, "gshadow": 4}
    _NUMBERS: Final = {"passwd": (2, 3), "group": (2,)}

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._lines = [line.split(":") for line in text.split("\n") if line]

    @property
    def rows(self) -> list[list[str]]:
        """The lines that are whole: not a comment, nor what NIS is to put there ("+", "-")."""
        return [row for row in self._lines if self._is_whole(row)]

    def _is_whole(self, row: list[str]) -> bool:
        return (
            len(row) == self._FIELDS[self._file]
            and row[0].strip() != ""
            and row[0][0] not in "+-#"
            and all(_is_number(row[field]) for field in self._NUMBERS.get(self._file, ()))
        )

    def get(self, name: str) -> list[str] | None:
        """Return the row of a name, to be changed in place. Raises StageError where that name's line is damaged."""
        found = next((row for row in self._lines if row[0] == name), None)
        if found is not None and not self._is_whole(found):
            what = f"/etc/{self._file} has a line for {name} that is none: {':'.join(found)[:80]!r}"
            raise StageError(what, "Mend it in the tree, or bring the file in a layer.")
        return found

    def add(self, row: list[str]) -> None:
        """Add a row: behind the others, but before the first line that is NIS's, which may stand for all users."""
        at = next((number for number, line in enumerate(self._lines) if line[0][:1] in ("+", "-")), len(self._lines))
        self._lines.insert(at, row)

    def names(self) -> list[str]:
        return [row[0] for row in self.rows]

    def numbers(self) -> set[int]:
        """Return the ids in the third field."""
        return {int(row[2]) for row in self.rows}

    def text(self) -> str:
        return "".join(":".join(row) + "\n" for row in self._lines)


class Account(NamedTuple):
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
        self.passwd, self.group = Table("passwd", texts["passwd"]), Table("group", texts["group"])
        self.shadow = None if texts["shadow"] is None else Table("shadow", texts["shadow"])
        self.gshadow = None if texts["gshadow"] is None else Table("gshadow", texts["gshadow"])
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
        together = Together()
        for group in groups:
            with together:
                self._join(name, group)
        together.settle()
        return Account(name, int(row[2]), int(row[3]), row[5], new)

    def ensure_group(self, name: str, gid: int | None) -> None:
        """Make sure that a group is there, of this number where one is given. Raises StageError."""
        row = self.group.get(name)
        if row is not None:
            if gid is not None and int(row[2]) != gid:
                what = f"system.groups.{name}: gid is {gid}, but the tree's {name} has {row[2]}"
                raise StageError(what, "Leave gid out.")
            return
        owner = next((each[0] for each in self.group.rows if gid is not None and int(each[2]) == gid), None)
        if owner is not None:
            raise StageError(f"system.groups.{name}: gid {gid} is {owner}'s in the tree", "Take another.")
        number = _free(self.group.numbers() | self.passwd.numbers(), f"system.groups.{name}") if gid is None else gid
        self.group.add([name, "x", str(number), ""])
        if self.gshadow is not None and self.gshadow.get(name) is None:
            self.gshadow.add([name, "!", "", ""])

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
            self.shadow.add(row)
        if row[1] != field:
            row[1:3] = [field, self._today]

    def files(self) -> dict[str, str]:
        """Return the files' new texts."""
        found = {"passwd": self.passwd, "group": self.group, "shadow": self.shadow, "gshadow": self.gshadow}
        return {name: table.text() for name, table in found.items() if table is not None}

    def _add(self, name: str, uid: int | None, shell: str | None, home: str | None) -> list[str]:
        taken = self.passwd.numbers()
        if uid in taken:
            owner = next(row[0] for row in self.passwd.rows if int(row[2]) == uid)
            raise StageError(
                f"system.users.{name}: uid {uid} is {owner}'s in the tree", "Take another, or leave uid out."
            )
        groups = self.group.numbers()
        own = self.group.get(name)
        if uid is None:
            both = taken | groups if own is None else taken
            uid = _free(both, f"system.users.{name}")
        if own is None:
            gid = uid if uid not in groups else _free(groups, f"system.users.{name}")
            self.group.add([name, "x", str(gid), ""])
            if self.gshadow is not None:
                self.gshadow.add([name, "!", "", ""])
        else:
            gid = int(own[2])
        shell = shell or ("/bin/bash" if self._tree.find("/bin/bash") else "/bin/sh")
        row = [name, "x", str(uid), str(gid), "", home or f"/home/{name}", shell]
        self.passwd.add(row)
        return row

    def _join(self, name: str, group: str) -> None:
        for table in (self.group, self.gshadow):
            row = table.get(group) if table else None
            if row is not None:
                members = [member for member in row[3].split(",") if member]
                row[3] = ",".join([*members, *([] if name in members else [name])])
            elif table is self.group:
                what = f"system.users.{name}: the tree has no group {group}{near(group, self.group.names())}"
                raise StageError(what, "Name groups that it has, or write them in system.groups.")
