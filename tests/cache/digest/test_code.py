"""cache/digest/code.py: a byte changed in any source a stage runs changes its identity; other sources do not."""

from __future__ import annotations

import ast
import itertools
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from bootsmith.cache.digest import code
from bootsmith.cache.digest.code import module_identity, sources
from bootsmith.cache.digest.memo import Memo
from bootsmith.cache.files import clock

from tests.support import other_process

NUMBERS = itertools.count()
ONLY_LOOKS = """
import sys
from bootsmith.cache.digest.code import module_identity
before = set(sys.modules)
module_identity("bootsmith.cache.store.store")
print(*sorted(name for name in set(sys.modules) - before if name.startswith("bootsmith")))
"""


class House:
    """A package of its own name in a folder, so that no test sees another's."""

    def __init__(self, top: Path) -> None:
        self.name = f"house{next(NUMBERS)}"
        self.folder = top / self.name
        self.folder.mkdir()

    def write(self, module: str, source: str) -> None:
        """Write a module's source; HOUSE in it is the package's name."""
        path = self.folder / f"{module.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source.replace("HOUSE", self.name))

    def identity(self, module: str, memo: Memo | None = None, **options: bool) -> str:
        """Return a module's identity, with this package as the only one that counts."""
        return module_identity(f"{self.name}.{module}", (self.name,), memo, **options)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A package with a stage that imports nothing yet, and two more modules."""
    monkeypatch.syspath_prepend(tmp_path)
    found = House(tmp_path)
    found.write("__init__", "")
    found.write("stage", "raise SystemExit('a stage was imported')\n")
    found.write("other", "raise SystemExit('imported')\nvalue = 1\n")
    found.write("deep.inner", "raise SystemExit('imported')\n")
    return found


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("import HOUSE.other", "other"),
        ("import HOUSE.other as renamed", "other"),
        ("import os, HOUSE.deep.inner", "deep.inner"),
        ("from HOUSE import other", "other"),
        ("from HOUSE.other import value", "other"),
        ("from HOUSE.other import *", "other"),
        ("from HOUSE.deep import inner", "deep.inner"),
        ("from HOUSE.deep.inner import anything as something", "deep.inner"),
        ("from . import other", "other"),
        ("from .other import value", "other"),
        ("from .deep import inner", "deep.inner"),
        ("def run(ctx):\n    from HOUSE.deep import inner", "deep.inner"),
        ("class A:\n    import HOUSE.other", "other"),
        ("try:\n    import HOUSE.other\nexcept ImportError:\n    pass", "other"),
        ("import typing\nif typing.TYPE_CHECKING:\n    from HOUSE import other", "other"),
    ],
)
def test_every_form_of_import_counts(house: House, source: str, module: str) -> None:
    """Wherever it stands and however it is written, what is imported is part of the code (V10)."""
    house.write("stage", source)
    before = house.identity("stage")
    house.write(module, "# edited")
    assert house.identity("stage") != before


def test_relative_imports_climb(house: House) -> None:
    """Two dots lead to the package above, from a module and from a package's own source."""
    house.write("deep.inner", "from ..other import value")
    house.write("deep.package.__init__", "from ...other import value")
    before = house.identity("deep.inner"), house.identity("deep.package")
    house.write("other", "value = 2")
    after = house.identity("deep.inner"), house.identity("deep.package")
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_imports_of_imports_count(house: House) -> None:
    """However far away, and in circles too."""
    house.write("stage", "from . import other")
    house.write("other", "from .deep import inner")
    house.write("deep.inner", "from .. import stage")
    before = house.identity("stage")
    house.write("deep.inner", "from .. import stage  # edited")
    assert house.identity("stage") != before


def test_what_is_not_imported_does_not_count(house: House) -> None:
    """An edit elsewhere rebuilds nothing, not even in the `__init__` above."""
    house.write("stage", "import json\nfrom .deep import inner")
    before = house.identity("stage")
    house.write("other", "value = 2")
    house.write("__init__", "from . import other")
    assert house.identity("stage") == before


def test_what_a_package_itself_gives_counts(house: House) -> None:
    """A name taken from a package, and no module of it, comes from its `__init__`."""
    house.write("stage", "from HOUSE import version")
    house.write("__init__", "version = 1")
    before = house.identity("stage")
    house.write("__init__", "version = 2")
    assert house.identity("stage") != before


def test_any_byte_counts(house: House) -> None:
    """A comment, a space: code is not second-guessed."""
    before = house.identity("stage")
    source = (house.folder / "stage.py").read_text()
    (house.folder / "stage.py").write_text(source + "\n")
    assert house.identity("stage") != before
    (house.folder / "stage.py").write_text(source)
    assert house.identity("stage") == before


def test_a_module_that_appears_counts(house: House) -> None:
    """What could not be imported before may be found now."""
    house.write("stage", "try:\n    from .fast import run\nexcept ImportError:\n    run = None")
    before = house.identity("stage")
    house.write("fast", "run = 1")
    assert house.identity("stage") != before


def test_code_that_moves_to_another_module_counts(house: House) -> None:
    """Two modules that swap their sources are changed code."""
    house.write("stage", "from . import one, two")
    house.write("one", "a = 1")
    house.write("two", "a = 2")
    before = house.identity("stage")
    house.write("one", "a = 2")
    house.write("two", "a = 1")
    assert house.identity("stage") != before


def test_folders_without_init_are_packages_too(house: House) -> None:
    """Modules below such a folder are found as Python finds them."""
    (house.folder / "deep/plain/below").mkdir(parents=True)
    house.write("deep.plain.below.module", "a = 1")
    house.write("stage", "from HOUSE.deep.plain.below import module")
    before = house.identity("stage")
    house.write("deep.plain.below.module", "a = 2")
    assert house.identity("stage") != before


def test_a_package_comes_before_a_module_of_its_name(house: House) -> None:
    """As in Python itself."""
    house.write("twice", "a = 1")
    house.write("twice.__init__", "a = 1")
    house.write("stage", "from HOUSE.twice import a")
    before = house.identity("stage")
    house.write("twice", "a = 2")
    assert house.identity("stage") == before
    house.write("twice.__init__", "a = 2")
    assert house.identity("stage") != before


def test_a_missing_module_is_an_error(house: House) -> None:
    """A stage whose module does not exist has no identity."""
    for name in ("missing", "other.below", "deep"):  # `deep` has no source of its own
        with pytest.raises(ModuleNotFoundError, match=name):
            house.identity(name)


def test_a_source_that_does_not_parse_has_an_identity_still(house: House) -> None:
    """`doit list` works while a module is being edited; running it tells the mistake."""
    house.write("stage", "from . import other")
    house.write("other", "def broken(:")
    before = house.identity("stage")
    house.write("other", "def mended(): pass")
    assert house.identity("stage") != before


def test_two_checkouts_agree(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the source lies is no part of it (V11)."""
    house.write("stage", "from . import other")
    before = house.identity("stage")
    (tmp_path / "elsewhere").mkdir()
    house.folder.rename(tmp_path / "elsewhere" / house.name)
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    assert house.identity("stage") == before


def test_the_sources_of_an_identity_can_be_named(house: House) -> None:
    """Every file that counts, and no other, by its module's name."""
    house.write("stage", "from . import other, missing")
    assert sources(f"{house.name}.stage", (house.name,)) == {
        house.name: house.folder / "__init__.py",  # `missing` is looked for there
        f"{house.name}.stage": house.folder / "stage.py",
        f"{house.name}.other": house.folder / "other.py",
    }


def test_looking_imports_nothing() -> None:
    """Asking for a stage's identity runs none of its code."""
    assert other_process.run(ONLY_LOOKS).split() == []


def test_our_own_code_is_followed() -> None:
    """The store's identity takes in what the store imports, and not what it does not."""
    index = code._SourceIndex(None)
    store = index.module("bootsmith.cache.store.store")
    assert store is not None
    found = index.imported(store, ("bootsmith.",))
    assert "bootsmith.cache.store.blobs" in found
    assert "bootsmith.cache.digest.code" not in found
    assert module_identity("bootsmith.cache.store.store") != module_identity("bootsmith.cache.store.blobs")


@pytest.fixture
def memo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Memo:
    """A memo that takes every file for rested."""
    monkeypatch.setattr(clock, "settled", lambda _: 0)
    return Memo(tmp_path / "memo")


def test_with_a_memo_the_identity_is_the_same(house: House, memo: Memo) -> None:
    """Remembering changes no answer."""
    house.write("stage", "from . import other\nfrom .deep import inner")
    plain = house.identity("stage")
    assert house.identity("stage", memo) == plain
    assert house.identity("stage", memo) == plain
    memo.save()
    assert house.identity("stage", Memo(memo.path)) == plain


def test_the_next_process_parses_nothing(house: House, memo: Memo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A no-op only looks at the sources' stat."""
    house.write("stage", "from . import other\nfrom .deep import inner")
    before = house.identity("stage", memo)
    memo.save()
    monkeypatch.setattr(code, "_scan", lambda _: pytest.fail("parsed"))
    monkeypatch.setattr("bootsmith.cache.digest.fingerprint.of_descriptor", lambda _: pytest.fail("read"))
    assert house.identity("stage", Memo(memo.path)) == before


def test_an_edit_is_seen_by_the_next_process_or_when_asked(house: House, memo: Memo) -> None:
    """Within a process sources are looked at once, unless it asks again (V5)."""
    before = house.identity("stage", memo)
    (house.folder / "new").write_text("an edit by an editor: a new file under the old name")
    (house.folder / "new").replace(house.folder / "stage.py")
    assert house.identity("stage", memo) == before
    again = house.identity("stage", memo, reread=True)
    assert again != before
    assert house.identity("stage", memo) == again
    assert house.identity("stage", Memo(memo.path)) == again


def test_asking_again_looks_at_sources_and_not_at_the_notes(
    house: House, memo: Memo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a source imports follows from what it holds: once known in a process, it is neither loaded nor parsed."""
    house.write("stage", "from . import other")
    before = house.identity("stage", memo)
    monkeypatch.setattr(code, "_scan", lambda _: pytest.fail("parsed"))
    monkeypatch.setattr("bootsmith.cache.files.sealed.read", lambda *_: pytest.fail("loaded"))
    assert house.identity("stage", memo, reread=True) == before


@pytest.mark.parametrize("content", [b"", b"bootsmith imports 1 00\n{}", b"\xff" * 100])
def test_damaged_notes_are_made_anew(house: House, memo: Memo, content: bytes) -> None:
    """Losing what was parsed costs parsing (V4)."""
    house.write("stage", "from . import other")
    before = house.identity("stage", memo)
    notes = memo.path.with_name("memo.imports")
    assert notes.exists()
    notes.write_bytes(content)
    assert house.identity("stage", Memo(memo.path)) == before
    assert notes.read_bytes() != content


def test_notes_that_cannot_be_written_cost_nothing_else(house: House, tmp_path: Path) -> None:
    """A memo below a place that is no directory still answers."""
    (tmp_path / "file").touch()
    assert house.identity("stage", Memo(tmp_path / "file/memo")) == house.identity("stage")


def test_an_edit_between_hashing_and_parsing_is_not_kept(
    house: House, memo: Memo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The imports of the new source are never noted under the old one's name (V5)."""
    house.write("stage", "from . import other")
    real = code.fingerprint

    def edited_after(path: str, known: Memo | None) -> str:
        found = real(path, known)
        if path.endswith("stage.py"):
            house.write("stage", "pass")
        return found

    monkeypatch.setattr(code, "fingerprint", edited_after)
    house.identity("stage", memo)
    monkeypatch.undo()
    monkeypatch.syspath_prepend(house.folder.parent)
    house.write("stage", "from . import other")
    before = house.identity("stage", Memo(memo.path))
    house.write("other", "# edited")
    assert house.identity("stage", Memo(memo.path)) != before


def test_modules_of_other_packages_do_not_count(house: House, tmp_path: Path) -> None:
    """A library's own identity is its version, elsewhere; only the packages named are followed."""
    (tmp_path / f"{house.name}like.py").write_text("a = 1")
    house.write("stage", "import HOUSElike, json")
    before = house.identity("stage")
    (tmp_path / f"{house.name}like.py").write_text("a = 2")
    assert house.identity("stage") == before
    assert module_identity(f"{house.name}.stage", (house.name, f"{house.name}like")) != before
    assert house.name not in sys.modules


def test_threads_parse_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that are made at once parse sources at once, of which Python 3.11 makes a SystemError now and then."""
    both, met, really = threading.Barrier(2), [], ast.parse

    def parse(source: bytes) -> ast.Module:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
            met.append(source)
        return really(source)

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(ast, "parse", parse)
        found = [*pool.map(lambda source: list(code._scan(source)), [b"import a", b"import b"])]
    assert found == [[(0, "a", [])], [(0, "b", [])]]
    assert met == []
