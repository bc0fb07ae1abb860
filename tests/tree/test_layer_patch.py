"""An overlay laid anew by the layer that it made before: the bytes of one made from nothing, less read."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.tree import layer
from bootsmith.tasks.tree.layer import LayerWriter
from bootsmith.tasks.tree.overlay_layer import OverlayParams

from tests.support.single_stage import Before, run_stage
from tests.support.tree_edits import TreeEdits

EPOCH = 7


class Overlay:
    """A folder `top`, and the layer it makes over a base with a few folders, /lib a link to one of them."""

    def __init__(self, folder: Path, to: str = "/", exclude: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.top = folder / "top"
        self.top.mkdir()
        with LayerWriter(folder / "base.tar", folder / "base.index", EPOCH) as writer:
            for path in ("", "usr", "usr/lib", "etc"):
                writer.add_directory(path)
            writer.add_symlink("lib", "usr/lib")
        self.stage = Stage(
            "layers/overlay",
            "bootsmith.tasks.tree.overlay_layer:run",
            {"overlay": self.top, "0.index": folder / "base.index"},
            {"tar": folder / "made/overlay.tar", "index": folder / "made/overlay.index"},
            OverlayParams(EPOCH, to, exclude).to_json(),
            carry="tar",
        )
        self._runs = 0
        self._before: Before | None = None

    def lay(self) -> None:
        """Make the layer, of the one before where there is one."""
        self._runs += 1
        previous, tar = None, self.stage.outputs["tar"]
        if self._before:
            previous = tar.rename(self.folder / "previous.tar")
        run_stage(self.stage, self.folder / f"runs/{self._runs}", previous=previous, earlier=self._before)
        self._before = Before(self.stage)

    def check(self) -> None:
        """Hold the layer against one made from nothing, and read all of it."""
        outputs = {role: self.folder / f"clean/{path.name}" for role, path in self.stage.outputs.items()}
        self._runs += 1
        run_stage(self.stage._replace(outputs=outputs), self.folder / f"runs/{self._runs}")
        for role, path in outputs.items():
            assert self.stage.outputs[role].read_bytes() == path.read_bytes(), role
        for entry in layer.read_index(outputs["index"]):
            if entry.type == "f":
                assert len(layer.read_member(outputs["tar"], entry)) == entry.size

    def write(self, path: str, data: bytes) -> None:
        """Write a file of the folder."""
        (self.top / path).parent.mkdir(parents=True, exist_ok=True)
        (self.top / path).write_bytes(data)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.soak(ci=25, whole=1000)
def test_any_edits_end_where_a_fresh_layer_does(tmp_path: Path, rounds: int, seed: int) -> None:
    """Added, changed, removed, renamed, linked, emptied, of other modes, in folders deep and shallow (V11)."""
    chance = random.Random(f"{seed} {rounds}")
    overlay = Overlay(tmp_path, ("/", "/srv", "/etc/deep/down")[seed], ("*.conf5", "näme1/**") if seed else ())
    edits = TreeEdits(overlay.top, chance, links=True)
    for _ in range(rounds):
        for _ in range(chance.randrange(1, 4)):
            edits.edit()
        overlay.lay()
        overlay.check()


@pytest.mark.parametrize("other", ["srv/b/g", "srv/b/deep/er/g", "srv/a/sub/g", "g"])
@pytest.mark.parametrize("first", ["srv/a/f", "srv/b/0/f"])
def test_a_file_of_several_names_is_read_again_wherever_it_is(tmp_path: Path, first: str, other: str) -> None:
    """A folder that has another name of what was written elsewhere does not hold what it held (V1, V3)."""
    overlay = Overlay(tmp_path)
    overlay.write(first, b"one" * 100)
    overlay.write("srv/c/alone", b"x")
    (overlay.top / other).parent.mkdir(parents=True, exist_ok=True)
    (overlay.top / other).hardlink_to(overlay.top / first)
    overlay.lay()
    overlay.check()
    (overlay.top / first).write_bytes(b"two" * 100)
    overlay.lay()
    overlay.check()


@pytest.mark.parametrize(
    "edit",
    [
        lambda top: (top / "srv/b/1").write_bytes(b"other"),
        lambda top: (top / "srv/b/1").write_bytes(bytes(5000)),
        lambda top: (top / "srv/b/1").unlink(),
        lambda top: [each.unlink() for each in (top / "srv/b").iterdir()],
        lambda top: (top / "srv/b").rename(top / "srv/d"),
        lambda top: (top / "srv/b").rename(top / "srv/c/b"),
        lambda top: (top / "srv/a/0").rename(top / "srv/b/0a"),
        lambda top: (top / "srv/b 1").write_bytes(b"sorts behind what is in b"),
        lambda top: (top / "srv/c/2").hardlink_to(top / "srv/b/2"),
        lambda top: (top / "srv").chmod(0o700),
        lambda top: (top / "lib").mkdir(),
        lambda top: (top / "usr/lib/x").unlink(),
        lambda _: None,
    ],
)
def test_whole_folders_stay_where_others_change(tmp_path: Path, edit: object) -> None:
    """Whatever becomes of the folder beside them, and whether links lead into them."""
    overlay = Overlay(tmp_path)
    for path in ("srv/a/0", "srv/b/1", "srv/b/2", "srv/c/0", "usr/lib/x", "usr/lib/y", "z"):
        overlay.write(path, path.encode() * 100)
    (overlay.top / "srv/empty").mkdir()
    overlay.lay()
    edit(overlay.top)  # type: ignore[operator]
    overlay.lay()
    overlay.check()


def test_what_a_link_led_elsewhere_goes_with_it(tmp_path: Path) -> None:
    """A file laid through a link stands in a folder that has another: it is gone when its own folder is."""
    overlay = Overlay(tmp_path)
    overlay.write("lib/through", b"the link")
    overlay.write("usr/lib/straight", b"x")
    overlay.lay()
    (overlay.top / "lib/through").unlink()
    overlay.lay()
    overlay.check()
    (overlay.top / "lib").rmdir()
    overlay.lay()
    overlay.check()


@pytest.mark.parametrize("folders", [10, 100])
def test_an_edit_reads_and_writes_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: int) -> None:
    """However many are beside it: its files are read, some blocks written, and the tar stays the same file."""
    overlay = Overlay(tmp_path)
    for number in range(folders * 20):
        overlay.write(f"srv/{number // 20}/{number}", b"%d" % number * 100)
    overlay.lay()
    members, blocks = [], []
    write, put = layer.write_member, os.pwrite
    monkeypatch.setattr(layer, "write_member", lambda *words: members.append(words) or write(*words))
    monkeypatch.setattr("os.pwrite", lambda *words: blocks.append(len(words[1])) or put(*words))
    inode = overlay.stage.outputs["tar"].stat().st_ino
    overlay.write("srv/5/100", b"other")
    overlay.lay()
    assert len(members) <= 25
    assert sum(blocks) < 40 * 1024
    assert overlay.stage.outputs["tar"].stat().st_ino == inode
    monkeypatch.undo()
    overlay.check()
