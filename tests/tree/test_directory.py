"""A tree that is there already, or none, as the base layer."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.tree import acl, layer, ownership
from bootsmith.tasks.tree.merged import Tree

from tests.support.deep_tree import deep_tree
from tests.support.single_stage import run_stage

EPOCH = 1_755_331_200
REST = "\nboot: {loader: direct, kernel: k, initrd: tree}\noutputs: [initramfs]\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "k").write_bytes(b"kernel")
    return Site("x", tmp_path / "build/x", tmp_path / "x.lock", EPOCH)


def pack(site: Site, run: str = "1") -> Tree:
    """Make the base layer of the folder `tree` beside the recipe; return it."""
    top = site.lock.parent
    (top / "tree").mkdir(exist_ok=True)
    init = top / "tree/init"
    if not init.exists():
        init.write_bytes(b"#!/x\n")
        init.chmod(0o755)
    (top / "x.yaml").write_text("source: {directory: tree}" + REST)
    run_stage(rootfs.stage(load(top / "x.yaml"), site), top / f"scratch-{run}")
    return Tree([site.base.index], [site.base.tar])


def test_it_is_as_it_is_but_roots(site: Site) -> None:
    """Modes, links, empty folders, pipes, dot files and odd names stay; the owner is root, the time the image's. A2."""
    top = site.lock.parent / "tree"
    (top / "usr/bin").mkdir(parents=True)
    (top / "usr/bin/su").write_bytes(b"su")
    (top / "usr/bin/su").chmod(0o4755)
    (top / "bin").symlink_to("usr/bin")
    (top / "secret").mkdir(mode=0o700)
    (top / ".hidden").write_text("x")
    (top / ".hidden").chmod(0o640)
    Path(os.fsdecode(os.fsencode(top) + b"/b\xffd\nname")).write_text("y")
    os.mkfifo(top / "pipe", 0o622)
    (top / "pipe").chmod(0o622)
    found = {path: entry for path, (_, entry) in pack(site).entries.items()}
    assert {(entry.uid, entry.gid, entry.mtime) for entry in found.values()} == {(0, 0, EPOCH)}
    assert {path: (entry.type, entry.mode) for path, entry in found.items()} == {
        "": ("d", 0o755),
        ".hidden": ("f", 0o640),
        "bin": ("l", 0o777),
        "b\udcffd\nname": ("f", (top / os.fsdecode(b"b\xffd\nname")).stat().st_mode & 0o7777),
        "init": ("f", 0o755),
        "pipe": ("p", 0o622),
        "secret": ("d", 0o700),
        "usr": ("d", (top / "usr").stat().st_mode & 0o7777),
        "usr/bin": ("d", (top / "usr/bin").stat().st_mode & 0o7777),
        "usr/bin/su": ("f", 0o4755),
    }
    assert found["bin"].link == "usr/bin"


def test_hard_links_stay(site: Site) -> None:
    """Names of one file inside the tree are names of one file in the layer; a name outside does not count. A2."""
    top = site.lock.parent / "tree"
    (top / "z").mkdir(parents=True)
    (top / "z/one").write_bytes(b"one")
    (top / "two").hardlink_to(top / "z/one")
    (top / "alone").write_bytes(b"alone")
    (top.parent / "outside").hardlink_to(top / "alone")
    tree = pack(site)
    found = {path: entry.type for path, (_, entry) in tree.entries.items()}
    assert (found["two"], found["z/one"], found["alone"]) == ("f", "h", "f")
    assert tree.read("z/one") == b"one"


def test_attributes_stay(site: Site) -> None:
    """Extended attributes of the tree's own go with it. A2."""
    top = site.lock.parent / "tree"
    top.mkdir()
    (top / "x").write_bytes(b"x")
    try:
        os.setxattr(top / "x", "user.mark", b"\0\1")
    except OSError:
        pytest.fail(f"{top} is on a file system without user attributes: set TMPDIR to one that has them")
    assert pack(site).entries["x"][1].xattrs == {"user.mark": b"\0\1"}


def test_the_same_tree_elsewhere_is_the_same_layer(site: Site, tmp_path: Path) -> None:
    """Where a tree lies, and when it was made, shapes nothing. V11."""
    top = tmp_path / "tree"
    (top / "etc").mkdir(parents=True)
    (top / "etc/x").write_text("x")
    pack(site)
    before = site.base.tar.read_bytes()
    top.rename(tmp_path / "old")
    (top / "etc").mkdir(parents=True)
    (top / "etc/x").write_text("x")
    os.utime(top / "etc/x", (1, 1))
    pack(site, "2")
    assert site.base.tar.read_bytes() == before


def test_a_checkout_s_umask_shapes_nothing_where_the_recipe_says_so(site: Site, tmp_path: Path) -> None:
    """`modes: exec`: checkouts with other umasks give the same bytes, 0755 or 0644 as an overlay does. V11."""
    text = "source: {directory: {path: tree, modes: exec}}" + REST
    (tmp_path / "x.yaml").write_text(text)
    made = []
    for umask in (0o022, 0o077, 0o002):
        before = os.umask(umask)
        try:
            (tmp_path / "tree/etc").mkdir(parents=True)
            (tmp_path / "tree/etc/conf").write_text("x")
            (tmp_path / "tree/init").write_text("#!/x\n")
            (tmp_path / "tree/init").chmod(0o777 & ~umask)
            (tmp_path / "tree/link").symlink_to("init")
        finally:
            os.umask(before)
        run_stage(rootfs.stage(load(tmp_path / "x.yaml"), site), tmp_path / f"scratch-{umask}")
        made.append(site.base.tar.read_bytes())
        (tmp_path / "tree").rename(tmp_path / f"tree-{umask}")
    assert made[0] == made[1] == made[2]
    modes = {each.path: each.mode for each in layer.read_index(site.base.index)}
    assert modes == {"": 0o755, "etc": 0o755, "etc/conf": 0o644, "init": 0o755, "link": 0o777}


def test_a_file_that_goes_while_it_is_packed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody removes a file in the midst: an error in words, not a traceback."""
    (site.lock.parent / "tree").mkdir()
    (site.lock.parent / "tree/gone").write_text("x")
    really = layer.LayerWriter.close

    def close(writer: layer.LayerWriter) -> None:
        (site.lock.parent / "tree/gone").unlink()
        really(writer)

    monkeypatch.setattr(layer.LayerWriter, "close", close)
    with pytest.raises(StageError, match=r"tree/gone went away while .*tree was packed"):
        pack(site)


def test_depth_is_limited_by_what_a_path_can_say_alone(site: Site) -> None:
    """Directories a thousand deep and more are packed; what no program could name by its path is refused, by name."""
    top = site.lock.parent / "tree"
    with deep_tree(top, 1050) as last:
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=last))
        assert "d/" * 1050 + "file" in pack(site).entries
        assert [len(each) for each in ownership.facts(top)] == [32, 32]
    with deep_tree(top, 5000), pytest.raises(StageError, match=r"d/d/d.*….*d/d has a path of more than the 4095 bytes"):
        pack(site, "deeper")


def test_names_are_no_lines_of_a_message(site: Site, tmp_path: Path) -> None:
    """A name with a line end, an escape or bytes that are no text is one line, from which its bytes can be told."""
    (tmp_path / "tree").mkdir()
    os.mkfifo(os.fsencode(tmp_path) + b"/tree/.wh.a\n\x1b[2J\xff")
    with pytest.raises(StageError, match=r"tree/\.wh\.a\\n\\x1b\[2J\\xff: layers mean") as error:
        pack(site)
    assert error.value.message.isprintable()


def test_owners_are_kept_where_the_recipe_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns the top is root; others keep their number, and another owner is another stage. V2."""
    here = site.lock.parent
    pack(site)
    text = "source: {directory: {path: tree, owner: keep}}" + REST
    (here / "x.yaml").write_text(text)
    stage = rootfs.stage(load(here / "x.yaml"), site)
    run_stage(stage, here / "scratch-own")
    assert {(each.uid, each.gid) for each in layer.read_index(site.base.index)} == {(0, 0)}
    monkeypatch.setattr(
        ownership, "of", lambda _: SimpleNamespace(inside=lambda *_: (7, 8), uid=0, gid=0, uids=(), gids=())
    )  # as if another's
    other = rootfs.stage(load(here / "x.yaml"), site)
    assert other.params != stage.params
    run_stage(other, here / "scratch-other")
    (init,) = (each for each in layer.read_index(site.base.index) if each.path == "init")
    assert (init.uid, init.gid) == (7, 8)
    with pytest.raises(StageError, match="owners changed"):
        run_stage(stage, here / "scratch-changed")


def test_times_are_kept_where_the_recipe_says_so(site: Site) -> None:
    """`times: keep`: each file's own, the top's too, and `touch` is an edit; without it `touch` changes nothing. V2."""
    here = site.lock.parent
    pack(site)
    (here / "tree/etc").mkdir()
    (here / "tree/link").symlink_to("init")
    wanted = {"": 1_100_000_000, "etc": 1_200_000_000, "init": 1_300_000_000, "link": -5}

    def touch(more: int) -> None:
        for path, time in wanted.items():
            os.utime(here / "tree" / path, ns=(0, (time + more) * 10**9), follow_symlinks=False)

    found = {}
    for times in ("epoch", "keep"):
        touch(0)
        text = f"source: {{directory: {{path: tree, times: {times}}}}}" + REST
        (here / "x.yaml").write_text(text)
        stage = rootfs.stage(load(here / "x.yaml"), site)
        run_stage(stage, here / f"scratch-{times}")
        found[times] = {each.path: each.mtime for each in layer.read_index(site.base.index)}
        touch(7)
        again = rootfs.stage(load(here / "x.yaml"), site)
        assert (again.params != stage.params) == (times == "keep")
    assert found == {"epoch": dict.fromkeys(wanted, EPOCH), "keep": wanted}
    with pytest.raises(StageError, match="times changed"):
        run_stage(stage, here / "scratch-changed")


LIST = acl.encode([(1, 2**32 - 1, 6), (2, 5, 4), (4, 2**32 - 1, 4), (8, 6, 4), (16, 2**32 - 1, 4), (32, 2**32 - 1, 0)])


def test_access_control_lists_are_kept_with_owners(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is named in one is who that is in the tree, on files of every kind; where all becomes root's, nobody is."""
    tree = site.lock.parent / "tree"
    tree.mkdir()
    os.mkfifo(tree / "pipe")
    for path, name in ((tree / "pipe", acl.ACCESS), (tree, acl.DEFAULT)):
        os.setxattr(path, name, LIST)
    (tree / "below").mkdir()
    os.setxattr(tree / "below", acl.DEFAULT, LIST)
    with pytest.raises(StageError, match=r"(pipe|below): its access control list names users or groups of this host"):
        pack(site)
    (tree.parent / "x.yaml").write_text("source: {directory: {path: tree, modes: exec}}" + REST)
    run_stage(rootfs.stage(load(tree.parent / "x.yaml"), site), tree.parent / "scratch-exec")
    assert not any(entry.xattrs for entry in layer.read_index(site.base.index))  # a list is an umask to a checkout
    (tree.parent / "x.yaml").write_text("source: {directory: {path: tree, owner: keep}}" + REST)
    monkeypatch.setattr(
        ownership, "of", lambda _: SimpleNamespace(inside=lambda *_: (1005, 1006), uid=0, gid=0, uids=(), gids=())
    )
    run_stage(rootfs.stage(load(tree.parent / "x.yaml"), site), tree.parent / "scratch-keep")
    found = {entry.path: entry.xattrs for entry in layer.read_index(site.base.index)}
    wanted = [(who, 1005 if who == 2 else 1006 if who == 8 else number, may) for who, number, may in acl.decode(LIST)]
    assert found["pipe"] == {acl.ACCESS: acl.encode(wanted)}
    assert found["below"][acl.DEFAULT] == acl.encode(wanted)


@pytest.mark.parametrize(("name", "what"), [("socket", "is a socket"), (".wh.x", "layers mean something else")])
def test_what_no_layer_holds_is_refused(
    name: str, what: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket, or a name that means a removal, is an error that names it."""
    (tmp_path / "tree").mkdir()
    monkeypatch.chdir(tmp_path / "tree")  # a socket's whole path must be short
    if name == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(name)
    else:
        Path(name).write_text("")
    with pytest.raises(StageError, match=what):
        pack(site)


def test_nothing_is_an_empty_tree(site: Site) -> None:
    """`source: none` begins with nothing but the top."""
    top = site.lock.parent
    (top / "init").write_text("#!/x\n")
    (top / "x.yaml").write_text("source: none\nlayers: [{files: {/init: {from: init, mode: 0755}}}]" + REST)
    run_stage(rootfs.stage(load(top / "x.yaml"), site), top / "scratch")
    (entry,) = layer.read_index(site.base.index)
    assert (entry.path, entry.type, entry.mode, entry.uid) == ("", "d", 0o755, 0)
