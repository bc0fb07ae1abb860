"""The account files of a tree as data: what they say is understood or left alone, never guessed and never lost."""

from __future__ import annotations

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import accounts
from bootsmith.tasks.tree.accounts import FIRST_ID, LAST_ID, Account, Accounts, Table
from bootsmith.tasks.tree.layer import Entry
from bootsmith.tasks.tree.merged import Tree

PASSWD = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000:Ann,,:/home/ann:/bin/sh\n"
GROUP = "root:x:0:\nann:x:1000:\nadm:x:4:root\n"


class Texts(Tree):
    """A tree of account files alone."""

    def __init__(self, **files: str) -> None:
        super().__init__([])
        self._texts = {"passwd": PASSWD, "group": GROUP, **files}

    def text(self, path: str) -> str | None:
        return self._texts.get(path.removeprefix("etc/"))

    def find(self, path: str) -> Entry | None:
        assert path == "/bin/bash"
        return None


def ensure(made: Accounts, name: str, uid: int | None = None, *groups: str) -> Account:
    return made.ensure(name, uid=uid, groups=groups, shell=None, home=None)


DAMAGED = [
    "#root:x:0:0::/:/bin/sh", "half:x:5", "long:x:5:5::/:/bin/sh:", ":x:5:5::/:/bin/sh", " :x:5:5::/:/bin/sh",
    "no:x::5::/:/bin/sh", "no:x:-5:5::/:/bin/sh", "no:x:5.0:5::/:/bin/sh", "no:x:\u0665:5::/:/bin/sh",
    "no:x:5:a::/:/bin/sh", "no:x:4294967295:5::/:/bin/sh",
    f"no:x:{'9' * 5000}:5::/:/bin/sh", "+nis::::::", "-nis::::::", "\udcff", "::::::", "\x00",
]  # fmt: skip


@pytest.mark.parametrize("line", DAMAGED)
def test_a_line_that_is_none_is_neither_read_nor_lost(line: str) -> None:
    """Damage, comments and NIS's rows are no accounts, and come back as they were, in their place."""
    text = f"root:x:0:0::/root:/bin/sh\n{line}\nlate:x:7:7::/:/bin/sh\n"
    table = Table("passwd", text)
    assert table.names() == ["root", "late"]
    assert table.numbers() == {0, 7}
    assert table.text() == text


def test_a_damaged_line_is_refused_where_it_is_asked_for() -> None:
    """Whose line is none is told by its beginning, however long it is."""
    table = Table("passwd", f"ann:{'x' * 10_000}\n")
    with pytest.raises(StageError, match="/etc/passwd has a line for ann that is none: 'ann:xxx") as raised:
        table.get("ann")
    assert len(raised.value.message) < 200
    assert table.get("bob") is None


@pytest.mark.parametrize("text", ["", "\n\n", "root:x:0:", "\nroot:x:0:\n\n"])
def test_empty_lines_go(text: str) -> None:
    """A file without its last newline, or with empty lines, is read, and written whole."""
    table = Table("group", text)
    table.add(["new", "x", "5", ""])
    assert table.text() == "".join(f"{line}\n" for line in text.split() if line) + "new:x:5:\n"


def test_nis_comes_last() -> None:
    """A new row stands before the first row that may stand for all users."""
    table = Table("group", "root:x:0:\n-:::\nadm:x:4:\n+:::\n")
    table.add(["new", "x", "5", ""])
    assert table.text() == "root:x:0:\nnew:x:5:\n-:::\nadm:x:4:\n+:::\n"


@pytest.mark.parametrize(
    ("owner", "group", "found"),
    [("root", "root", (0, 0)), ("ann", "adm", (1000, 4)), ("5", "7", (5, 7)), ("ann", "0", (1000, 0))],
)
def test_owners_by_name_and_number(owner: str, group: str, found: tuple[int, int]) -> None:
    """A name is what the tree's own files say, a number itself."""
    assert accounts.ids(Texts(), owner, group, "/x") == found


def test_an_owner_that_the_tree_lacks() -> None:
    """The near name is told, of users for users and of groups for groups."""
    with pytest.raises(StageError, match="/x: the tree has no user anna: did you mean ann"):
        accounts.ids(Texts(), "anna", "root", "/x")
    with pytest.raises(StageError, match="/x: the tree has no group admn: did you mean adm"):
        accounts.ids(Texts(), "root", "admn", "/x")
    with pytest.raises(StageError, match=r"the tree has no user ann\n"):
        accounts.ids(Texts(passwd=""), "ann", "root", "/x")


def test_only_names_need_the_tree() -> None:
    """root and numbers are the same in every tree."""
    assert not accounts.is_name("root", "0", "1000")
    assert accounts.is_name("root", "ann")
    assert accounts.ids(Texts(passwd="", group=""), "root", "33", "/x") == (0, 33)


def test_a_number_that_a_group_has_is_not_taken() -> None:
    """A new user's number is free among users and groups, so that its own group has the same."""
    made = Accounts(Texts(group=GROUP + "video:x:1001:\n"), 0)
    assert ensure(made, "bob") == Account("bob", 1002, 1002, "/home/bob", new=True)
    assert ensure(made, "ann") == Account("ann", 1000, 1000, "/home/ann", new=False)


def test_a_group_of_the_user_s_name_is_its_own() -> None:
    """A group that is there already is taken, whatever its number; a number given may be a group's, too."""
    made = Accounts(Texts(group=GROUP + "bob:x:77:\nvideo:x:1001:\n"), 0)
    assert ensure(made, "bob").gid == 77
    assert ensure(made, "eve", 1005) == Account("eve", 1005, 1005, "/home/eve", new=True)
    assert ensure(made, "joe", 4).gid == 1002  # adm's number: a group of its own gets the next free one


def test_no_number_is_left() -> None:
    """A tree whose numbers are all taken is refused, not given a number that means something else."""
    full = "".join(f"u{number}:x:{number}:0::/:/bin/sh\n" for number in range(FIRST_ID, LAST_ID + 1))
    with pytest.raises(StageError, match=r"system\.users\.bob: the tree has no number left from 1000 to 59999"):
        ensure(Accounts(Texts(passwd=full), 0), "bob")


def test_who_is_in_a_group_already_is_not_put_there_again() -> None:
    """Members keep their order; empty places between commas go; a group that lacks a shadow line is no error."""
    made = Accounts(Texts(group="root:x:0:\nadm:x:4:root,,ann\nsudo:x:27:,\n", gshadow="adm:*::\n"), 0)
    ensure(made, "ann", None, "adm", "sudo", "sudo")
    assert made.files()["group"] == "root:x:0:\nadm:x:4:root,ann\nsudo:x:27:ann\n"
    assert made.files()["gshadow"] == "adm:*::ann\n"


def test_a_password_that_is_set_already_keeps_its_date() -> None:
    """The same password again changes nothing; another one is dated; a user without a line gets one."""
    made = Accounts(Texts(shadow="root:*:1:0:99999:7:::\n"), 10 * accounts.DAY + 5)
    made.set_password("root", accounts.LOCKED)
    assert made.files()["shadow"] == "root:*:1:0:99999:7:::\n"
    made.set_password("root", "")
    made.set_password("ann", "$6$x")
    assert made.files()["shadow"] == "root::10:0:99999:7:::\nann:$6$x:10:0:99999:7:::\n"


def test_what_is_no_utf_8_survives() -> None:
    """Foreign bytes in a name or comment are written back as they came."""
    text = PASSWD + b"o\xff:x:5:5:\xfe:/:/bin/sh\n".decode("utf-8", "surrogateescape")
    made = Accounts(Texts(passwd=text), 0)
    assert made.files()["passwd"] == text
