"""A bootloader in a user's own file: its facts, its mistakes with their lines, and its disk booted."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from bootsmith.cache.digest import code
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.machine import guest, qemu
from bootsmith.tasks.machine.accelerator import choose
from bootsmith.tasks.machine.console import Console
from bootsmith.tasks.recipe.loaders import own as own_loader

from tests.support.disk_build import DiskBuild
from tests.support.machine_keys import machine
from tests.support.project import dodo, doit
from tests.support.tar_members import member

LONG = 120

# A boot sector: cld; xor ax, ax; mov ds, ax; mov si, text; mov dx, 0x3f8; next: lodsb; test al, al; jz end; out dx, al;
# jmp next; end: hlt; jmp end. The text stands behind its 22 bytes, and it at 0x7c00.
LOADER = '''
"""Prints what its configuration says, and hangs."""

FIRMWARE = "bios"
LAYOUTS = {"mbr": {"root": {"fs": "ext2", "mount": "/", "active": "true"}}}
CONFIG = ["banner.txt"]

CODE = bytes.fromhex("fc 31c0 8ed8 be167c baf803 ac 84c0 7403 ee ebf8 f4 ebfd")


def make(making):
    banner = making.configured("banner.txt", b"no banner")
    text = banner if isinstance(banner, bytes) else banner.read_bytes()
    making.embed(CODE + text + b"\\r\\n\\0")
    making.add("boot/loader.txt", b"was here", partition="root")
'''
RECIPE = """
source: none
layers:
  - directories: {/boot: {}}
system: none
boot: {loader: ./mine.py, kernel: none, initrd: none, root: none, config: {banner.txt: banner.txt}}
outputs: [raw]
"""


def make_image(project: Path) -> list[str]:
    """Build the project's image; return what was made."""
    rows = [line.split() for line in doit(project, "image").splitlines()]
    return [row[1] for row in rows if row and row[0] in ("built", "restored")]


@pytest.mark.boot
def test_a_loader_of_ones_own_boots(tmp_path: Path) -> None:
    """In a project of somebody's own: made, booted under SeaBIOS, and made again when its file is edited (C12)."""
    (tmp_path / "recipes").mkdir()
    for name, text in (("recipes/own.yaml", RECIPE), ("recipes/mine.py", LOADER), ("dodo.py", dodo("recipes/own.yaml")),
                       ("recipes/banner.txt", "my own loader runs")):  # fmt: skip
        (tmp_path / name).write_text(text)
    make_image(tmp_path)
    disk = tmp_path / "build/own/own.raw"
    accel = choose("tcg", memory=tmp_path / "accelerator.json")

    def command(chardevs: qemu.Chardevs) -> list[str]:
        return qemu.command(
            machine(memory=64 << 20), disk=disk, format="raw", firmware=None, accel=accel, chardevs=chardevs
        )

    with guest.start(command, Console(), tmp_path / "log") as running:
        end = time.monotonic() + LONG
        while "my own loader runs" not in running.console.heard:
            assert time.monotonic() < end, running.console.last_lines
            running.pump(1)
    assert make_image(tmp_path) == []
    (tmp_path / "recipes/mine.py").write_text(LOADER.replace("was here", "was there"))
    assert "bootloader" in make_image(tmp_path)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    made = DiskBuild(tmp_path, monkeypatch)
    made.base({"./": member("d")})
    return made


def test_its_place_is_no_part_of_the_key(build: DiskBuild) -> None:
    """What it holds is an input of the stage; no parameter says where it stands."""
    file = build.folder / "mine.py"
    file.write_text('FIRMWARE = "uefi"\ndef make(making): ...\n')
    build.write_recipe("boot: {loader: mine.py}\n")
    stage = build.stages()["bootloader"]
    assert stage.inputs["loader/0"] == file
    assert str(build.folder) not in str(stage.params)
    assert list(build.recipe.disk.partitions) == ["esp", "root"]
    assert file in build.recipe.files


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("    making.add('a', b'1')\n    1 / 0\n", r"mine\.py:4: ZeroDivisionError: division by zero"),
        ("    making.nothing()\n", r"mine\.py:3: AttributeError: .*nothing"),
        ("    making.ctx.run('dd')\n", r"mine\.py:3: AssertionError: bootloader runs 'dd', which it does not declare"),
        ("    len(\n        5)\n", r"mine\.py:3: TypeError"),
    ],
)
def test_what_goes_wrong_in_it_is_told_with_its_line(build: DiskBuild, body: str, told: str) -> None:
    """The user's own mistake is no traceback of ours."""
    (build.folder / "mine.py").write_text(f'FIRMWARE = "uefi"\ndef make(making):\n{body}')
    build.write_recipe("boot: {loader: mine.py}\n")
    with pytest.raises(StageError, match=told):
        build.run("bootloader")


REACHING = (
    "open({sibling!r})",
    "__import__('pathlib').Path({sibling!r}).read_text()",
    "__import__('os').listdir({folder!r})",
    "next(__import__('pathlib').Path({folder!r}).iterdir())",
    "open('/etc/hostname')",
    "__import__('sys').path.insert(0, {folder!r}); __import__('sibling')",
    "__import__('importlib.util'); __import__('runpy').run_path({sibling!r})",
    "__import__('subprocess').run(['true'])",
    "__import__('os').system('true')",
    "__import__('socket').create_connection(('127.0.0.1', 9))",
)


@pytest.mark.parametrize("caught", [False, True])
@pytest.mark.parametrize("line", REACHING)
def test_what_no_key_sees_is_refused(
    build: DiskBuild, line: str, caught: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sibling file, the host's, a program: an edit of it would go unnoticed. Caught or not, its line is told."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (build.folder / "sibling.py").write_text("A = 1\n")
    line = line.format(sibling=str(build.folder / "sibling.py"), folder=str(build.folder))
    body = f"    try: {line}\n    except Exception: pass\n" if caught else f"    {line}\n"
    (build.folder / "mine.py").write_text(f'FIRMWARE = "uefi"\ndef make(making):\n{body}')
    build.write_recipe("boot: {loader: mine.py}\n")
    with pytest.raises(StageError, match=r"mine\.py:3: it (reaches|runs).*, which no key sees"):
        build.run("bootloader")


def test_what_the_stage_gives_is_there(build: DiskBuild) -> None:
    """Its configuration, its work folder, its own file, Python's modules, and what we read for it."""
    (build.folder / "banner.txt").write_text("hello")
    (build.folder / "mine.py").write_text(
        'import wave, json\nFIRMWARE = "uefi"\nCONFIG = ["banner.txt"]\n'
        "def make(making):\n    import colorsys, ctypes\n"
        "    (making.ctx.work / 'x').write_bytes(making.configured('banner.txt', b'').read_bytes())\n"
        "    list(making.ctx.work.iterdir())\n    open(__file__).close()\n"
        "    making.add('x', making.ctx.work / 'x')\n    making.tree_files('etc', ('',))\n"
    )
    build.write_recipe("boot: {loader: mine.py, config: {banner.txt: banner.txt}}\n")
    build.run("bootloader")


def test_what_it_may_import_is_the_stages_code() -> None:
    """All that such a file is allowed to import counts in the stage's key."""
    known = code.sources("bootsmith.tasks.boot.loader_layer")
    assert {*own_loader.OURS} <= {*known}
