"""Files made by a recipe's own commands: run for real, and what they see of the host, which is little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.tree import own_build
from bootsmith.tasks.tree.own_build import BuildParams

from tests.support.ordinary_user import ordinary_user
from tests.support.project import dodo, doit, environment
from tests.support.single_stage import run_stage
from tests.support.tar_members import EPOCH


def make(
    folder: Path,
    command: str,
    output: str = "out",
    env: dict[str, str] | None = None,
    scratch: tuple[str, ...] = (),
    kept: Path | None = None,
) -> bytes:
    """Run a command on a copy of `sources`; return what it made."""
    sources = folder / "sources"
    (sources / "deep/er").mkdir(parents=True, exist_ok=True)
    (sources / "deep/er/a").write_text("a")
    (sources / "deep/link").symlink_to("er/a") if not (sources / "deep/link").is_symlink() else None
    (sources / "tool").write_text("#!/bin/sh\necho tool\n")
    (sources / "tool").chmod(0o700)
    (sources / "beside").write_text("beside")
    words = ("/bin/sh", "-eu", "-c", command)
    params = BuildParams(EPOCH, "it", words, output, env or {}, scratch, network=False, executable=("tool",), links={})
    inputs = {f"input/{name}": sources / name for name in ("deep", "tool")}
    stage = Stage("build/it", "bootsmith.tasks.tree.own_build:run", inputs, {"file": folder / "made"}, params.to_json(),
                  own_build.TOOLS, hints={"scratch": str(kept or folder / "kept")})  # fmt: skip
    work = folder / f"work-{len([*folder.iterdir()])}"
    run_stage(stage, work)
    return (folder / "made").read_bytes()


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_what_a_command_finds(tmp_path: Path, mask: int) -> None:
    """L14: its inputs, in a folder called the same everywhere; clock, locale, parallel make by variables; no more.

    The umask of who builds gets into none of it.
    """
    before = os.umask(mask)
    try:
        said = make(
            tmp_path,
            "{ pwd; ls -R .; ./tool; cat deep/link; echo; stat -c '%a %Y' tool deep/er/a deep/er deep kept; "
            "stat -c %Y deep/link; stat -c %a . /etc /etc/passwd /tmp kept/folder; "
            "echo $SOURCE_DATE_EPOCH $MAKEFLAGS $LC_ALL $TZ $MINE; env | cut -d= -f1 | sort; } >out",
            env={"MINE": "a b"},
            scratch=("kept/folder",),
        ).decode()
    finally:
        os.umask(before)
    cpus = len(os.sched_getaffinity(0))
    assert said == (
        "/build\n.:\ndeep\nkept\nout\ntool\n\n./deep:\ner\nlink\n\n./deep/er:\na\n\n./kept:\nfolder\n\n./kept/folder:\n"
        f"tool\na\n755 {EPOCH}\n644 {EPOCH}\n755 {EPOCH}\n755 {EPOCH}\n755 {EPOCH}\n{EPOCH}\n"
        "755\n755\n644\n1777\n755\n"
        f"{EPOCH} -j{cpus} C.UTF-8 UTC a b\n"
        "HOME\nLC_ALL\nMAKEFLAGS\nMINE\nPATH\nPWD\nSOURCE_DATE_EPOCH\nTMPDIR\nTZ\n"
    )


@pytest.mark.parametrize("what", ["HERE/sources/beside", "../beside", "/etc/hostname", "/root", "/home", "HERE"])
def test_what_is_not_told_of_is_not_there(tmp_path: Path, what: str) -> None:
    """An undeclared read fails: a file beside the inputs, the host's settings, whoever's home; it says what to do."""
    with pytest.raises(ToolFailed, match="the build it failed") as failed:
        make(tmp_path, f"cat {what.replace('HERE', str(tmp_path))} >out")
    assert "No such file" in failed.value.tail
    assert "name in inputs what else it reads" in failed.value.hint


def test_the_host_s_programs_cannot_be_changed(tmp_path: Path) -> None:
    """They are there to be run; and there is no network."""
    said = make(tmp_path, "touch /usr/bin/x 2>out || true; cat /proc/net/route | wc -l >>out")
    assert b"Read-only file system" in said
    assert b"\n0\n" in said


def test_folders_that_are_kept(tmp_path: Path) -> None:
    """They hold what the last run left there, and are in no key: a hint tells where they stand."""
    command = "echo run >>cache/log; wc -l <cache/log >out"
    assert make(tmp_path, command, scratch=("cache",)) == b"1\n"
    assert make(tmp_path, command, scratch=("cache",)) == b"2\n"
    assert make(tmp_path, command, scratch=("cache",), kept=tmp_path / "elsewhere") == b"1\n"


@pytest.mark.parametrize("scratch", ["deep/link", "deep/link/below", "deep/er/a", "away", "away/sub", "lost/sub"])
def test_no_kept_folder_leads_out(tmp_path: Path, scratch: str) -> None:
    """A link among the inputs, or a file, is none; nothing is made where it leads (V14)."""
    (tmp_path / "host").mkdir()
    (tmp_path / "sources/deep").mkdir(parents=True)
    (tmp_path / "sources/deep/away").symlink_to(tmp_path / "host")
    (tmp_path / "sources/deep/lost").symlink_to("nowhere")
    name = f"deep/{scratch}" if scratch.startswith(("away", "lost")) else scratch
    with pytest.raises(StageError, match="is among its inputs, and is no folder"):
        make(tmp_path, "touch out", scratch=(name,))
    assert [*(tmp_path / "host").iterdir()] == []


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("true", "the build it made no out"),
        ("mkdir out", "out of the build it is a folder"),
        ("ln -s /etc/passwd out", "out of the build it is no file"),
        ("ln -s ../../../../../../../../../../etc/passwd out", "out of the build it is no file"),
        ("ln -s out out", "out of the build it is no file"),
        ("mkfifo out", "out of the build it is no file"),
    ],
)
def test_what_it_did_not_make(tmp_path: Path, command: str, message: str) -> None:
    """Nothing, a folder, or a link to the host's own files: refused."""
    with pytest.raises(StageError, match=message):
        make(tmp_path, command)


RECIPE = """
build:
  greeting:
    run: [/bin/sh, -eu, -c, 'cat words/*.txt >greeting']
    dir: src
    inputs: ["src/words/*.txt"]
    output: greeting
source: none
layers: [files: {/etc/motd: {build: greeting}}]
system: none
boot: {kernel: none}
outputs: [manifest]
"""


def test_an_ordinary_user_builds(tmp_path: Path) -> None:
    """Into a tree, once for each content; what the pattern comes to match is a change, what is beside it is none."""
    user = ordinary_user(tmp_path)
    top = user.home / "project"
    (top / "src/words").mkdir(parents=True)
    (top / "src/words/a.txt").write_text("hello\n")
    (top / "box.yaml").write_text(RECIPE)
    (top / "dodo.py").write_text(dodo("box.yaml"))

    def image() -> dict[str, str]:
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "61184:61184", top], check=True)
        done = subprocess.run(user.command(sys.executable, "-m", "doit", "image"), cwd=top, env=environment(top),
                              text=True, capture_output=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        rows = [line.split() for line in done.stdout.splitlines()]
        return {row[1]: row[0] for row in rows if row and row[0] in ("built", "fresh", "restored")}

    def size() -> int:
        told = json.loads((top / "build/box/box-manifest.json").read_text())
        return next(each["size"] for each in told["files"] if each["path"] == "/etc/motd")

    assert image()["build/greeting"] == "built"
    assert size() == 6
    assert {*image().values()} == {"fresh"}
    (top / "src/words/none").write_text("x")
    assert {*image().values()} == {"fresh"}
    (top / "src/words/b.txt").write_text("you\n")
    assert image()["build/greeting"] == "built"
    assert size() == 10


AT_TOP = """
build:
  it: {run: "{ cat word; [ ! -x tool ] || echo run; readlink link; ls; } >out", inputs: [.], output: out}
source: none
layers: [files: {/out: {build: it}}]
system: none
boot: {kernel: none}
outputs: [tar]
"""


def test_a_folder_that_holds_the_builds(tmp_path: Path) -> None:
    """What is built there is left out; a mode, a link and a new name at its top are edits (L14)."""
    top = tmp_path / "project"
    top.mkdir()
    for name, text in {"box.yaml": AT_TOP, "dodo.py": dodo("box.yaml"), "word": "word\n", "tool": "tool"}.items():
        (top / name).write_text(text)
    (top / "link").symlink_to("word")

    def made() -> tuple[bool, str]:
        said = doit(top, "image", BOOTSMITH_CACHE=str(tmp_path / "cache"), PYTHONDONTWRITEBYTECODE="1")
        with tarfile.open(top / "build/box/box.tar") as tar:
            file = tar.extractfile("out")
            assert file is not None
            return "built    build/it" in said, file.read().decode()

    names = "box.yaml\ndodo.py\nlink\nout\ntool\nword\n"
    assert made() == (True, f"word\nword\n{names}")
    assert made() == (False, f"word\nword\n{names}")
    (top / "tool").chmod(0o755)
    assert made() == (True, f"word\nrun\nword\n{names}")
    (top / "link").unlink()
    (top / "link").symlink_to("tool")
    assert made() == (True, f"word\nrun\ntool\n{names}")
