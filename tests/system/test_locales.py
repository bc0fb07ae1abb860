"""Names of files are bytes, whatever locale a command is run in."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import tiny_kernel
from tests.support.project import dodo, environment
from tests.support.tar_members import member, write_tar

NAMES = ("\u0150", "caf\u00e9-\udce9\udcff", "\u65e5\u672c")
"""Of Latin-2, of bytes that are no text, and of Japan."""
BOX = """\
source: {tar: tree.tar}
system: none
layers: [{overlay: over}]
boot: {loader: direct, kernel: linux, initrd: tree}
outputs: [initramfs]
"""


CHARACTERS = f"""\
<code_set_name> ISO-8859-1
<comment_char> %
<escape_char> /
<mb_cur_min> 1
<mb_cur_max> 1
CHARMAP
{"".join(f"<U{number:04X}> /x{number:02x} BYTE{chr(10)}" for number in range(256))}END CHARMAP
"""
LOCALE = """\
comment_char %
escape_char /
LC_CTYPE
upper <U0041>
lower <U0061>
toupper (<U0061>,<U0041>)
tolower (<U0041>,<U0061>)
END LC_CTYPE
"""


def latin_1(folder: Path) -> Path:
    """Make a locale of that encoding, of which little more is said: what others are made of is a package by itself."""
    made = folder / "latin-1"
    (folder / "characters").write_text(CHARACTERS)
    (folder / "locale").write_text(LOCALE)
    words = ["localedef", "-c", "-i", folder / "locale", "-f", folder / "characters", made]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert (made / "LC_CTYPE").is_file(), done.stderr
    return made


@pytest.fixture(name="locales", scope="module")
def fixture_locales(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, str]]:
    """The environment of several locales, one of them made here."""
    folder = tmp_path_factory.mktemp("locales")
    made = latin_1(folder)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    return {
        "UTF-8": plain | {"LC_ALL": "C.UTF-8"},
        "Latin-1": plain | {"LOCPATH": str(folder), "LC_ALL": made.name},
        "ASCII": plain | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    }


@pytest.fixture(name="top")
def fixture_top(tmp_path: Path) -> Path:
    """A project in a folder of an odd name, its tree and an overlay full of them."""
    top = tmp_path / f"here-{NAMES[0]}"
    (top / "over/folder").mkdir(parents=True)
    for name in NAMES:
        (top / "over/folder" / name).write_text(name, errors="surrogateescape")
    init = {"./init": member(data=b"#!/bin/sh\n", mode=0o755)}
    write_tar(top / "tree.tar", init | {f"./{name}": name.encode("utf-8", "surrogateescape") for name in NAMES})
    (top / "linux").write_bytes(tiny_kernel.kernel())
    (top / "dodo.py").write_text(dodo("box.yaml"))
    (top / "box.yaml").write_text(BOX)
    return top


def run(top: Path, locale: Mapping[str, str], *argv: str) -> tuple[int, str]:
    """Run a Python module in a locale; return its status and what it printed."""
    mine = {name: value for name, value in environment(top).items() if name in ("PYTHONPATH", "BOOTSMITH_CACHE")}
    done = subprocess.run(
        [sys.executable, "-m", *argv], cwd=top, env=dict(locale) | mine, capture_output=True, timeout=300, check=False
    )
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


@pytest.mark.parametrize("entry", ["doit", "bootsmith.tasks.command.start"])
@pytest.mark.parametrize("name", ["Latin-1", "ASCII"])
def test_an_image_is_the_same_in_every_locale(
    locales: Mapping[str, Mapping[str, str]], top: Path, name: str, entry: str
) -> None:
    """Its bytes and its keys: what was built in one locale is fresh in the other, and holds the names as they are."""
    status, said = run(top, locales[name], entry, "image")
    assert status == 0, said
    initramfs = gzip.decompress((top / "build/box/box.initramfs").read_bytes())
    for each in NAMES:
        assert each.encode("utf-8", "surrogateescape") + b"\0" in initramfs
    status, said = run(top, locales["UTF-8"], entry, "image")
    assert (status, "fresh" in said, "made" in said) == (0, True, False), said


@pytest.mark.parametrize("name", ["UTF-8", "Latin-1", "ASCII"])
def test_a_name_that_cannot_be_printed_is_escaped(
    locales: Mapping[str, Mapping[str, str]], top: Path, name: str
) -> None:
    """A message about it is one line, on however strict a terminal."""
    odd = top / "over" / f".wh.{NAMES[0]}-{NAMES[1]}"
    odd.touch()
    status, said = run(top, locales[name] | {"PYTHONIOENCODING": "ascii:strict"}, "doit", "image")
    assert status == 1
    assert "Traceback" not in said
    assert ".wh.\\u0150-caf\\xe9-\\xe9\\xff" in said


@pytest.mark.parametrize("name", ["Latin-1", "ASCII"])
def test_a_cache_is_looked_after_in_every_locale(
    locales: Mapping[str, Mapping[str, str]], top: Path, name: str
) -> None:
    """What a build needs, in a folder of whatever name, is found and kept by gc; a tree's memo is only a short cut."""
    assert run(top, locales["UTF-8"], "doit", "image")[0] == 0
    files = [path for path in (top / "cache").rglob("*") if path.is_file()]
    before = [path.name for path in files if path.parent.name != "memo.trees"]
    status, said = run(top, locales[name], "bootsmith.cache", "gc", "--size", "0")
    assert status == 0, said
    after = {path.name for path in (top / "cache").rglob("*") if path.is_file()}
    assert "Traceback" not in said
    assert {each for each in before if len(each) == 32} <= after
