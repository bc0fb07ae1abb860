"""What is remembered of a dodo.py: only ever what that text means there, to this Python, doit and bootsmith."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from bootsmith.cache.digest.memo import Memo
from bootsmith.tasks.command import remembered_dodo
from doit.doit_cmd import DoitConfig
from hypothesis import given, settings
from hypothesis import strategies as st

DODO = 'from bootsmith.tasks import image_tasks\nDOIT_CONFIG, task_bootsmith = image_tasks("toy.yaml")\n'


@pytest.fixture
def memo(tmp_path: Path) -> Memo:
    """The memo of a cache of its own."""
    return Memo(tmp_path / "cache/memo")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A folder with a dodo.py, that was built in."""
    folder = tmp_path / "project"
    (folder / "build").mkdir(parents=True)
    (folder / "dodo.py").write_text(DODO)
    return folder


def remember(top: Path, memo: Memo, ran: str = "") -> None:
    """Remember that `ran`, else what dodo.py says, was to doit's liking."""
    file = top / "dodo.py"
    code = compile(ran or file.read_bytes(), str(file), "exec", dont_inherit=True)
    remembered_dodo.remember(top, code, ["list", "run"], memo)


def test_the_recipe_is_remembered(top: Path, memo: Memo) -> None:
    """And nothing before there was a run of doit's."""
    assert remembered_dodo.recall(top, memo) is None
    remember(top, memo)
    assert remembered_dodo.recall(top, memo) == "toy.yaml"


@pytest.mark.parametrize("ran", [DODO.replace("toy", "yot"), f"{DODO}task_x = 1\n", "pass\n"])
def test_what_ran_is_what_counts(top: Path, memo: Memo, ran: str) -> None:
    """An edit during the run, or Python's own compiled code that is older than the text: nothing is noted."""
    remember(top, memo, ran)
    assert remembered_dodo.recall(top, memo) is None


def test_a_note_of_another_text_is_none(top: Path, memo: Memo) -> None:
    """An edit is seen that leaves size and time as they were."""
    remember(top, memo)
    before = (top / "dodo.py").stat()
    (top / "dodo.py").write_text(DODO.replace("toy", "yot"))
    os.utime(top / "dodo.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert remembered_dodo.recall(top, memo) is None


def test_another_python_asks_again(top: Path, memo: Memo, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a dodo.py means to one Python is not what it means to the next."""
    remember(top, memo)
    monkeypatch.setattr(sys, "version", "4.0")
    assert remembered_dodo.recall(top, memo) is None


def test_other_code_asks_again(top: Path, memo: Memo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bootsmith that tells otherwise what is plain, or has another command, looks itself."""
    remember(top, memo)
    monkeypatch.setattr(remembered_dodo, "joint_identity", lambda *_: "of other code")
    assert remembered_dodo.recall(top, memo) is None


@pytest.mark.parametrize("change", ["another folder", "another order", "one folder less"])
def test_where_python_looks_counts(
    top: Path, memo: Memo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Another folder may hold another doit, plugins of it, or a module called as one that is imported."""
    one, two, three = (str(tmp_path / name) for name in ("one", "two", "three"))
    monkeypatch.setattr(sys, "path", [one, two, *sys.path])
    remember(top, memo)
    changed = {"another folder": [one, two, three], "another order": [two, one], "one folder less": [two]}[change]
    monkeypatch.setattr(sys, "path", [*changed, *sys.path[2:]])
    less = change == "one folder less"  # as that of the script `doit`, which holds no modules
    assert (remembered_dodo.recall(top, memo) is not None) == less


def test_a_folder_that_cannot_be_written_is_no_fault(top: Path, memo: Memo) -> None:
    """Where nothing can be noted each run is doit's."""
    (top / "build").rmdir()
    (top / "build").write_text("mine")
    remember(top, memo)
    assert remembered_dodo.recall(top, memo) is None
    assert (top / "build").read_text() == "mine"


def test_no_dodo_is_no_note(top: Path, memo: Memo) -> None:
    """What is gone is not remembered."""
    remember(top, memo)
    (top / "dodo.py").unlink()
    assert remembered_dodo.recall(top, memo) is None


def test_the_variables_of_doit_are_known() -> None:
    """Those of the environment that doit takes for options are all known here."""
    program = (
        "from doit.doit_cmd import DoitMain; from doit.cmd_base import DodoTaskLoader\n"
        "kinds = DoitMain.DOIT_CMDS\n"
        "options = [each for kind in kinds for each in (*getattr(kind, 'base_options', ()), *kind.cmd_options)]\n"
        "print(*(each['env_var'] for each in (*options, *DodoTaskLoader.cmd_options) if each.get('env_var')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) == set(remembered_dodo.CONFIGURING)


SAYING = [
    "[tool.doit]\n", "[ tool . doit ]\n", '["tool"."doit"]\n', "[tool.'doit']\nx = 1\n", "tool.doit.x = 1\n",
    "tool = {doit = {x = 1}}\n", "[tool]\ndoit = {}\n", "[tool]\ndoit.x = 1\n", "[tool]\n'doit' = {}\n",
    "[tool.doit.commands.list]\nx = 1\n", "[[tool.doit.x]]\n", '["tool"."\\u0064oit"]\nx = 1\n',
    "[tool]\n\tdoit\t=\t{}\n", "tool = {x = 1,doit={}}\n", '[tool]\n"d\\U0000006fit".x = 1\n',
]  # fmt: skip
SILENT = [
    "", '[project]\ndependencies = ["doit>=0.37", "doit", "x", "doit"]\n', "# doit\n[tool.x]\n",
    "[tool.doit-x]\n", "[tool.mydoit]\n",
    (Path(__file__).parents[2] / "pyproject.toml").read_text(),
]  # fmt: skip


@pytest.mark.parametrize("text", [*SAYING, "no TOML", "tool = 1\n"])
def test_every_way_to_speak_to_doit_is_seen(top: Path, memo: Memo, text: str) -> None:
    """However TOML lets `tool.doit` be written, it is noticed; so is what doit could not read."""
    (top / "pyproject.toml").write_text(text)
    remember(top, memo)
    assert remembered_dodo.recall(top, memo) is None


@pytest.mark.parametrize("text", SILENT)
def test_what_only_names_doit_says_nothing_to_it(top: Path, memo: Memo, text: str) -> None:
    """A dependency on doit, a comment, another tool's name: this project's own pyproject.toml is plain."""
    (top / "pyproject.toml").write_text(text)
    remember(top, memo)
    assert remembered_dodo.recall(top, memo) == "toy.yaml"


PIECES = st.lists(
    st.sampled_from(["doit", "tool", '"', "'", ".", "=", "[", "]", "{", "}", " ", "\t", "\n", "1", "#", "x", "-", ","])
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(PIECES)
def test_no_document_speaks_to_doit_unseen(tmp_path_factory: pytest.TempPathFactory, pieces: list[str]) -> None:
    """Of any TOML document: where doit's own reader finds something, that is noticed."""
    text = "".join(pieces)
    documents = (text, f"[tool.{text}", f"tool.{text}", f"tool = {{{text}")
    for document in documents:
        try:
            if not tomllib.loads(document).get("tool", {}):
                continue
        except tomllib.TOMLDecodeError:
            continue
        top = tmp_path_factory.mktemp("top")
        (top / "build").mkdir()
        (top / "dodo.py").write_text(DODO)
        (top / "pyproject.toml").write_text(document)
        memo = Memo(top / "memo")
        remember(top, memo)
        try:
            said = DoitConfig().load_config_toml(top / "pyproject.toml", "tool.doit")
        except AttributeError:  # doit expects tables
            said = {"GLOBAL": None}
        if said:
            assert remembered_dodo.recall(top, memo) is None, document
