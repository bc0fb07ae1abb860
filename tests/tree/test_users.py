"""The declared users, through the real system stage."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.stages import system
from bootsmith.tasks.tree import crypt
from bootsmith.tasks.tree.merged import Tree

from tests.support.tar_members import member
from tests.support.tree_build import GROUP, PASSWD, SHADOW, TreeBuild, text

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@example"
TODAY = "20316"  # the build's epoch, in days


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    made = TreeBuild(tmp_path, monkeypatch)
    made.base()
    return made


def row(tree: Tree, file: str, name: str) -> str:
    return next(line for line in text(tree, f"etc/{file}").splitlines() if line.startswith(f"{name}:"))


def test_account_files_keep_their_attributes(build: TreeBuild) -> None:
    """Who may read /etc/shadow by its access control list may so when a user has been added."""
    shadow = member(data=SHADOW.encode(), mode=0o640)
    shadow.pax_headers["SCHILY.acl.access"] = "user::rw-,user:7:r--,group::r--,mask::r--,other::---"
    build.base({"./etc/shadow": shadow})
    found = build.tree("system: {users: {ann: {password: locked}}}").find("etc/shadow")
    assert found
    assert list(found.xattrs) == ["system.posix_acl_access"]
    assert found.mode == 0o640


def test_a_deep_skeleton(build: TreeBuild) -> None:
    """A folder in /etc/skel may lie as deep as a path can say."""
    build.base({"./etc/skel/" + "d/" * 1100 + "file": b"x"})
    tree = build.tree("system: {users: {ann: {password: locked}}}")
    assert tree.find("home/ann/" + "d/" * 1100 + "file")


def test_without_users_nobody_is_changed(build: TreeBuild) -> None:
    """Root stays locked as the packages made it, and the account files are not touched."""
    tree = build.tree("")
    assert (text(tree, "etc/passwd"), text(tree, "etc/shadow"), text(tree, "etc/group")) == (PASSWD, SHADOW, GROUP)
    assert not {"etc/passwd", "etc/shadow", "etc/group"} & set(build.added("system"))


def test_root_without_a_password(build: TreeBuild) -> None:
    """An empty password needs none; its change is dated by the build, not by the clock."""
    tree = build.tree("system: {users: {root: {password: empty}}}")
    assert row(tree, "shadow", "root") == f"root::{TODAY}:0:99999:7:::"


def test_a_locked_user(build: TreeBuild) -> None:
    """Locking takes away the password that a layer brought."""
    build.base({"./etc/shadow": b"root:$6$x$y:1:0:99999:7:::\n"})
    assert row(build.tree(""), "shadow", "root") == f"root:*:{TODAY}:0:99999:7:::"


def test_a_secret_password(build: TreeBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password from a file or from the environment is hashed, salted by seed and user; the newline does not count."""
    (build.folder / "recipes/pw").write_text("correct horse\n")
    monkeypatch.setenv("PW", "battery")
    tree = build.tree("""
seed: s
system: {users: {root: {password: {file: pw}}, ann: {password: {env: PW}}}}
""")
    assert row(tree, "shadow", "root").split(":")[1] == crypt.sha512(b"correct horse", "s\0root")
    assert row(tree, "shadow", "ann").split(":")[1] == crypt.sha512(b"battery", "s\0ann")


def test_a_hashed_password(build: TreeBuild) -> None:
    """A crypt(3) string is taken as it is."""
    tree = build.tree("system: {users: {root: {password: {hash: $y$j9T$abc$def}}}}")
    assert row(tree, "shadow", "root").split(":")[1] == "$y$j9T$abc$def"


def test_an_empty_secret_is_refused(build: TreeBuild) -> None:
    """An empty file is a mistake, not an open door."""
    (build.folder / "recipes/pw").write_text("\n")
    with pytest.raises(StageError, match=r"system\.users\.root: the password is empty"):
        build.tree("system: {users: {root: {password: {file: pw}}}}")


def test_a_secret_that_nobody_can_type_is_refused(build: TreeBuild) -> None:
    """Two lines at a console are two answers: the account would be closed to its owner."""
    (build.folder / "recipes/pw").write_text("one\ntwo\n")
    with pytest.raises(StageError, match=r"system\.users\.root: nobody can type the password"):
        build.tree("system: {users: {root: {password: {file: pw}}}}")


def test_secrets_stay_out_of_parameters(build: TreeBuild) -> None:
    """A password is named by reference in the stage: neither its text nor its file is a parameter or an input."""
    (build.folder / "recipes/pw").write_text("correct horse\n")
    recipe = build.recipe("system: {users: {root: {password: {file: pw}}}}")
    stage = system.stage(recipe, build.site, [build.site.base])
    assert "correct horse" not in repr(stage)
    assert not any(path.name == "pw" for path in stage.inputs.values())
    assert set(stage.secrets) == {"password of root"}


def test_a_new_user(build: TreeBuild) -> None:
    """A new user gets the next number, a group of its own, a home from /etc/skel that is all its own, and a shell."""
    tree = build.tree("system: {users: {ann: {groups: [adm, sudo]}, bob: {}}}")
    assert row(tree, "passwd", "ann") == "ann:x:1000:1000::/home/ann:/bin/bash"
    assert row(tree, "passwd", "bob") == "bob:x:1001:1001::/home/bob:/bin/bash"
    assert row(tree, "shadow", "ann") == f"ann:*:{TODAY}:0:99999:7:::"
    assert row(tree, "group", "ann") == "ann:x:1000:"
    assert row(tree, "group", "sudo") == "sudo:x:27:ann"
    assert row(tree, "gshadow", "adm") == "adm:*::ann"
    home, rc = tree.entries["home/ann"][1], tree.entries["home/ann/.bashrc"][1]
    assert (home.mode, home.uid, home.gid) == (0o700, 1000, 1000)
    assert (rc.mode, rc.uid, rc.gid) == (0o644, 1000, 1000)


def test_the_account_files_keep_their_modes(build: TreeBuild) -> None:
    """Password hashes stay readable by root and its group only."""
    tree = build.tree("system: {users: {ann: {}}}")
    for name, mode, gid in (("shadow", 0o640, 42), ("gshadow", 0o640, 42), ("passwd", 0o644, 0), ("group", 0o644, 0)):
        entry = tree.entries[f"etc/{name}"][1]
        assert (entry.mode, entry.uid, entry.gid) == (mode, 0, gid)


def test_numbers_given_go_first(build: TreeBuild) -> None:
    """A number the recipe gives is never taken by a user without one, whatever their order."""
    tree = build.tree("system: {users: {ann: {}, bob: {uid: 1000, shell: /bin/sh, home: /srv/bob}}}")
    assert row(tree, "passwd", "bob") == "bob:x:1000:1000::/srv/bob:/bin/sh"
    assert row(tree, "passwd", "ann").startswith("ann:x:1001:1001:")


def test_a_user_that_is_there_is_changed(build: TreeBuild) -> None:
    """Shell and groups of an existing user are set; nothing else of it is."""
    tree = build.tree("system: {users: {www-data: {shell: /bin/sh, groups: [adm]}}}")
    assert row(tree, "passwd", "www-data") == "www-data:x:33:33::/var/www:/bin/sh"
    assert row(tree, "group", "adm") == "adm:x:4:www-data"
    assert tree.find("var/www") is None


def test_ssh_keys(build: TreeBuild) -> None:
    """Keys from the recipe and from files go into authorized_keys, closed to everybody else."""
    (build.folder / "recipes/keys.pub").write_text(f"# mine\n{KEY} two\n\n{KEY} three\n")
    tree = build.tree(f'system: {{users: {{root: {{ssh_keys: ["{KEY}", keys.pub]}}, ann: {{ssh_keys: ["{KEY}"]}}}}}}')
    assert text(tree, "root/.ssh/authorized_keys") == f"{KEY}\n{KEY} two\n{KEY} three\n"
    facts = {path: tree.entries[path][1] for path in ("root/.ssh", "home/ann/.ssh", "home/ann/.ssh/authorized_keys")}
    assert [(e.mode, e.uid) for e in facts.values()] == [(0o700, 0), (0o700, 1000), (0o600, 1000)]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nx y\n", "is a private key"),
        ("# nothing\n", "holds no ssh key"),
        ("oneword\n", "holds no ssh key"),
    ],
)
def test_what_is_no_public_key_is_refused(content: str, what: str, build: TreeBuild) -> None:
    """A private key never gets into an image; an empty file is a mistake."""
    file = build.folder / "recipes/id"
    file.write_text(KEY)
    stage = system.stage(build.recipe("system: {users: {root: {ssh_keys: [id]}}}"), build.site, [build.site.base])
    file.write_text(content)  # the recipe itself refuses what it can see
    with pytest.raises(StageError, match=f"id {what}"):
        build.run(stage)


@pytest.mark.parametrize(
    ("user", "what"),
    [
        ("ann: {groups: [sudoo]}", "the tree has no group sudoo: did you mean sudo"),
        ("ann: {uid: 33}", "uid 33 is www-data's in the tree"),
        ("www-data: {uid: 34}", "uid is 34, but the tree's www-data has 33"),
    ],
)
def test_what_contradicts_the_tree_is_refused(user: str, what: str, build: TreeBuild) -> None:
    """Groups that are not there and numbers that are taken are errors with what to do."""
    with pytest.raises(StageError, match=what):
        build.tree(f"system: {{users: {{{user}}}}}")


ODD = "# users\nbroken\nann:x:1000\nroot:x:0:0::/root:/bin/bash\nlate\x0b:x:007:7::/:/bin/sh\n+@admins::::::\n+::::::\n"


def test_lines_that_are_no_accounts_stay_as_they_are(build: TreeBuild) -> None:
    """Comments, damage and what NIS is to put there are neither read nor lost; a new user comes before NIS's lines."""
    build.base(
        {"./etc/passwd": ODD.encode(), "./etc/group": b"root:x:0:\nhalf:x\n+:::\n", "./etc/shadow": b"+::::::::\n"}
    )
    tree = build.tree("system: {users: {bob: {uid: 1000}}}")
    assert text(tree, "etc/passwd") == ODD.replace("+@admins", "bob:x:1000:1000::/home/bob:/bin/bash\n+@admins")
    assert text(tree, "etc/group") == "root:x:0:\nhalf:x\nbob:x:1000:\n+:::\n"
    assert text(tree, "etc/shadow").splitlines()[-1] == "+::::::::"
    with pytest.raises(StageError, match="uid 7 is late"):
        build.tree("system: {users: {bob: {uid: 7}}}")


def test_a_damaged_line_of_a_user_is_refused(build: TreeBuild) -> None:
    """Whose line in the tree is none is told by the line, not guessed."""
    build.base({"./etc/passwd": ODD.encode()})
    with pytest.raises(StageError, match="/etc/passwd has a line for ann that is none: 'ann:x:1000'"):
        build.tree("system: {users: {ann: {}}}")
    with pytest.raises(StageError, match="/etc/passwd has a line for ann that is none"):
        build.tree("layers: [files: {/x: {content: y, owner: ann}}]\nsystem: none")


def test_a_tree_without_accounts_is_refused(build: TreeBuild) -> None:
    """V14: a tree without /etc/passwd is an error that says so."""
    build.base({"./etc/": member("d")}, only=True)
    with pytest.raises(StageError, match="no /etc/passwd"):
        build.tree("")


def test_a_tree_without_shadow(build: TreeBuild) -> None:
    """Where there is no shadow file, the password stands in passwd, as it did of old."""
    build.base({"./etc/passwd": b"root:x:0:0::/root:/bin/sh\n", "./etc/group": b"root:x:0:\n"}, only=True)
    tree = build.tree("system: {users: {root: {password: empty}}, ssh_host_keys: keep}")
    assert row(tree, "passwd", "root") == "root::0:0::/root:/bin/sh"


def test_what_a_layer_put_into_a_home_stays(build: TreeBuild) -> None:
    """Of a file that a layer brought into a new user's home and /etc/skel has too, the layer's stays."""
    tree = build.tree("""
layers: [files: {/home/ann/.bashrc: {content: mine}}]
system: {users: {ann: {}}}
""")
    assert text(tree, "home/ann/.bashrc") == "mine"
    assert tree.entries["home/ann"][1].uid == 1000
