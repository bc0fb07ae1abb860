"""What a recipe's `layers` add and remove, through their real stages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import layers

from tests.support.deep_tree import deep_tree
from tests.support.tar_members import member
from tests.support.tree_build import EPOCH, TreeBuild, text


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    made = TreeBuild(tmp_path, monkeypatch)
    made.base({"./usr/share/doc/a/x": b"1", "./usr/share/doc/b": b"2", "./usr/share/man/c": b"3"})
    return made


def overlay(build: TreeBuild) -> Path:
    """Return a folder for the recipe's overlay."""
    folder = build.folder / "recipes/files"
    folder.mkdir(exist_ok=True)
    return folder


def test_an_overlay_is_roots_by_the_exec_bit(build: TreeBuild) -> None:
    """Files are root's, 0755 where executable, else 0644, whatever the checkout's umask made of them."""
    folder = overlay(build)
    for name, mode in (("plain", 0o600), ("open", 0o666), ("run", 0o700), ("own", 0o654), ("suid", 0o4755)):
        (folder / name).write_text(name)
        (folder / name).chmod(mode)
    build.tree("layers: [overlay: files]")
    entries = build.added("1-overlay")
    assert {name: entry.mode for name, entry in entries.items()} == {
        "open": 0o644, "own": 0o755, "plain": 0o644, "run": 0o755, "suid": 0o755,
    }  # fmt: skip
    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries.values()} == {(0, 0, EPOCH)}


def test_an_overlay_keeps_links_and_empty_folders(build: TreeBuild) -> None:
    """Links stay links, leading nowhere or not; empty folders come; nothing is left out by its name."""
    folder = overlay(build)
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("/run/nowhere")
    (folder / "a~").write_text("backup")
    (folder / ".hidden").write_text("h")
    Path(os.fsdecode(os.fsencode(folder) + b"/latin\xe9")).write_text("l")
    tree = build.tree("layers: [overlay: files]")
    entry = tree.link("link")
    assert entry is not None
    assert (entry.type, entry.link) == ("l", "/run/nowhere")
    assert tree.entries["empty"][1].type == "d"
    assert [text(tree, name) for name in ("a~", ".hidden", "latin\udce9")] == ["backup", "h", "l"]


def test_an_overlay_leaves_directories_as_they_are(build: TreeBuild) -> None:
    """A folder that the tree has keeps its mode: laying over /root or /tmp does not open or close them."""
    folder = overlay(build)
    for name in ("root", "tmp"):
        (folder / name).mkdir()
        (folder / name / "file").touch()
    tree = build.tree("layers: [overlay: files]")
    assert (tree.entries["root"][1].mode, tree.entries["tmp"][1].mode) == (0o700, 0o1777)


def test_an_overlay_follows_the_trees_links(build: TreeBuild) -> None:
    """A file below /lib or /bin lands in /usr where the tree has merged them: the link is not replaced by a folder."""
    folder = overlay(build)
    (folder / "lib/firmware").mkdir(parents=True)
    (folder / "lib/firmware/a").write_text("fw")
    tree = build.tree("layers: [overlay: files]")
    assert tree.entries["lib"][1].type == "l"
    assert text(tree, "usr/lib/firmware/a") == "fw"


def test_an_overlay_replaces_a_link_by_a_file(build: TreeBuild) -> None:
    """A file where the tree has a link takes the link's place, not that of what it leads to."""
    (overlay(build) / "etc").mkdir()
    (overlay(build) / "etc/os-release").write_text("mine")
    tree = build.tree("layers: [overlay: files]")
    assert text(tree, "etc/os-release") == "mine"
    assert "ID=debian" in text(tree, "usr/lib/os-release")


def test_an_overlay_elsewhere_and_without_some(build: TreeBuild) -> None:
    """`to` puts the folder there, `exclude` leaves out names anywhere and paths from the folder's top."""
    folder = overlay(build)
    (folder / "sub").mkdir()
    for name in ("a.c", "a.o", "sub/b.o", "sub/b.c", "notes"):
        (folder / name).touch()
    build.tree('layers: [overlay: {from: files, to: /srv/app, exclude: ["*.o", "/notes"]}]')
    assert set(build.added("1-overlay")) == {"srv", "srv/app", "srv/app/a.c", "srv/app/sub", "srv/app/sub/b.c"}


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda folder: (folder / "etc").touch(), "/etc is to be a file, but the tree has a directory"),
        (lambda folder: (folder / "etc").symlink_to("x"), "/etc is to be a link, but the tree has a directory"),
        (
            lambda folder: (folder / "etc/motd").mkdir(parents=True),
            "/etc/motd is to be a directory, but the tree has a file",
        ),
        (lambda folder: os.mkfifo(folder / "pipe"), "pipe is no file, folder or link"),
    ],
)
def test_an_overlay_that_does_not_fit_is_refused(make: object, what: str, build: TreeBuild) -> None:
    """A file over a directory, a directory over a file, and what is neither are errors, not silent losses."""
    make(overlay(build))  # type: ignore[operator]
    with pytest.raises(StageError, match=what):
        build.tree("layers: [overlay: files]")


def test_a_name_that_does_not_fit_is_told_in_one_line(build: TreeBuild) -> None:
    """Whatever bytes an overlay's name is made of: the message moves no cursor, and the bytes can be told from it."""
    os.mkfifo(os.fsencode(overlay(build)) + b"/pipe\n\x1b[2J\xff")
    with pytest.raises(StageError, match=r"pipe\\n\\x1b\[2J\\xff is no file") as error:
        build.tree("layers: [overlay: files]")
    assert error.value.message.isprintable()


def test_an_overlay_may_be_deep(build: TreeBuild) -> None:
    """Depth is limited by what a path can say alone, and links lead where they say, to the letter."""
    with deep_tree(overlay(build), 1050) as last:
        os.symlink("././/a/", "link", dir_fd=last)
        tree = build.tree("layers: [overlay: files]")
    entry = tree.entries["d/" * 1050 + "link"][1]
    assert (entry.type, entry.link) == ("l", "././/a/")


def test_two_checkouts_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """V11: the same files at another time, by another umask, in another order give the same layer."""
    made = []
    for name, umask in (("one", 0o022), ("other", 0o077)):
        (tmp_path / name).mkdir()
        build = TreeBuild(tmp_path / name, monkeypatch)
        build.base()
        before = os.umask(umask)
        folder = overlay(build)
        for each in sorted("abc", reverse=umask == 0o077):
            (folder / each).write_text(each)
            os.utime(folder / each, (umask, umask))
        os.umask(before)
        build.tree("layers: [overlay: files]")
        made.append([path.read_bytes() for path in (build.site.layer("1-overlay").tar, build.site.layer("system").tar)])
    assert made[0] == made[1]


def test_files_have_mode_and_owner(build: TreeBuild) -> None:
    """A file has the mode, owner and group the recipe says, by the tree's own numbers."""
    (build.folder / "recipes/here").write_bytes(b"from a file")
    tree = build.tree("""
layers:
  - files:
      /etc/app.conf: here
      /srv/secret: {content: "hush\\n", mode: 0640, owner: www-data, group: adm}
      /usr/local/bin/run: {content: "#!", mode: 4755, owner: 5, group: 6}
""")
    assert text(tree, "etc/app.conf") == "from a file"
    entries = build.added("1-files")
    assert [
        (e.mode, e.uid, e.gid) for e in (entries["etc/app.conf"], entries["srv/secret"], entries["usr/local/bin/run"])
    ] == [
        (0o644, 0, 0),
        (0o640, 33, 4),
        (0o4755, 5, 6),
    ]


def test_an_unknown_owner_has_near_names(build: TreeBuild) -> None:
    """A user the tree does not have is an error with the nearest it has."""
    with pytest.raises(StageError, match="/x: the tree has no user www-dat: did you mean www-data"):
        build.tree("layers: [files: {/x: {content: a, owner: www-dat}}]")


def test_a_layer_may_use_the_users_of_one_below(build: TreeBuild) -> None:
    """Owners are looked up in the tree as the layers below have made it."""
    tree = build.tree("""
layers:
  - files: {/etc/passwd: {content: "root:x:0:0::/:/bin/sh\\napp:x:123:0::/:/bin/sh\\n"}}
  - files: {/srv/a: {content: a, owner: app}}
""")
    assert tree.entries["srv/a"][1].uid == 123


def test_directories(build: TreeBuild) -> None:
    """Directories are made with mode and owner; those there are get them; through links too."""
    tree = build.tree("""
layers:
  - directories: {/srv/data: {mode: 2770, owner: www-data, group: adm}, /etc: {mode: 0700}, /lib/x: {}}
""")
    made = tree.entries["srv/data"][1]
    assert (made.mode, made.uid, made.gid) == (0o2770, 33, 4)
    assert tree.entries["etc"][1].mode == 0o700
    assert tree.entries["usr/lib/x"][1].mode == 0o755
    assert text(tree, "etc/motd") == "welcome\n"


def test_links(build: TreeBuild) -> None:
    """Links are made, also over links and files, wherever they lead."""
    tree = build.tree("layers: [links: {/etc/motd: ../run/motd, /lib/sh: /bin/bash, /new/l: gone}]")
    assert [tree.entries[path][1].link for path in ("etc/motd", "usr/lib/sh", "new/l")] == [
        "../run/motd",
        "/bin/bash",
        "gone",
    ]


def test_removals(build: TreeBuild) -> None:
    """Patterns remove files and folders with their content; a later layer may bring them back."""
    tree = build.tree("""
layers:
  - remove: ["/usr/share/doc/*", /etc/motd, "/lib/os-*", "/usr/share/**/c"]
  - files: {/etc/motd: {content: again}}
""")
    assert {path for path in tree.entries if path.startswith("usr/share")} == {
        "usr/share",
        "usr/share/doc",
        "usr/share/man",
    }
    assert tree.find("usr/lib/os-release") is None
    assert text(tree, "etc/motd") == "again"


def test_a_path_that_is_not_there_cannot_be_removed(build: TreeBuild) -> None:
    """A plain path that matches nothing is a mistake; a pattern may match nothing."""
    build.tree('layers: [remove: ["/usr/share/none*"]]')
    with pytest.raises(StageError, match="remove: /etc/modt is not in the tree"):
        build.tree("layers: [remove: [/etc/modt]]")


def test_a_folder_is_removed_once(build: TreeBuild) -> None:
    """What lies in a removed folder needs no whiteout of its own."""
    build.tree('layers: [remove: ["/usr/share/doc/**", "/usr/share/doc"]]')
    assert set(build.added("1-remove")) == {"usr/share/.wh.doc", "usr/share/doc/.wh.a", "usr/share/doc/.wh.b"}


def test_stages_are_one_for_each_layer(build: TreeBuild) -> None:
    """Each layer is a stage of its own under its name, on those below, the system last."""
    recipe = build.recipe("layers: [{overlay: ., name: mine}, {links: {/a: b}}]")
    site = Site("x", Path("/b"), Path("/l"), 1)
    stages = layers.stages(recipe, site)
    assert [stage.name for stage in stages] == ["layers/mine", "layers/2-links", "layers/system"]
    assert stages[1].inputs == {"0.index": site.base.index, "1.index": site.layer("mine").index}


def test_hard_links_below_are_no_obstacle(build: TreeBuild) -> None:
    """Replacing one name of a file leaves its other name as it was."""
    build.base({"./usr/a": b"both", "./usr/b": member("h", linkname="./usr/a")})
    tree = build.tree("layers: [files: {/usr/a: {content: new}}]")
    assert (text(tree, "usr/a"), text(tree, "usr/b")) == ("new", "both")


@pytest.mark.parametrize(
    "layers", ["[overlay: over]", "[files: {/etc/.wh.passwd: {content: x}}]", "[links: {/etc/.wh.passwd: x}]"]
)
def test_no_layer_removes_by_a_name(build: TreeBuild, layers: str) -> None:
    """A file called as layers say that another is removed is refused: it would be lost, and the other with it."""
    build.base()
    (build.folder / "recipes/over/etc").mkdir(parents=True)
    (build.folder / "recipes/over/etc/.wh.passwd").touch()
    with pytest.raises(StageError, match=r"/etc/\.wh\.passwd cannot be added: layers mean something else"):
        build.tree(f"layers: {layers}\n")
