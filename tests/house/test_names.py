"""What pages, docstrings and comments name of this house is there: whoever follows them arrives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.document_pages import PAGES
from tests.support.named_things import Line, names, of_page, of_source, wrong

SUPERSEDED = re.compile(r"^Superseded by \[\d+\]\((\d{4}-[\w-]+\.md)\)\.$", re.MULTILINE)
"""What a decision says that holds no more: it names what was. So does the change log."""
DECISIONS = sorted((CHECKOUT / "docs/adr").glob("*.md"))
MADE = re.compile(r"(NAME|PATH)\.py|recipes/((lites|tiny)\.lock|x\.yaml)")
"""Names of files that whoever reads of them makes, or that are any."""
SOURCES = [
    path
    for room in ("tasks", "cache", "src", "tests", "benchmarks")
    for path in (CHECKOUT / room).rglob("*.py")
    if "__pycache__" not in path.parts and path != Path(__file__)
]


def test_what_pages_name_is_there() -> None:
    """A path or a module that a page names leads to a file, a folder or a module; a decision may name what was."""
    pages = [*PAGES, *(page for page in DECISIONS if not SUPERSEDED.search(page.read_text()))]
    assert sum(len(names(line)) for page in pages for line in of_page(page)) > 100
    named = [(line.place, name) for page in pages for line in of_page(page) for name in wrong(line)]
    assert [each for each in named if not MADE.search(each[1])] == []


def test_what_sources_name_is_there() -> None:
    """A file or module that a comment or docstring refers to is there, under that name alone."""
    assert len(SOURCES) > 200
    doubtful = [
        path for path in SOURCES if wrong(Line(path, 1, path.read_text()))
    ]  # what else it holds is cheaper read
    named = [(line.place, name) for path in doubtful for line in of_source(path) for name in wrong(line)]
    assert [each for each in named if not MADE.search(each[1])] == []


def test_a_decision_that_holds_no_more_says_which_does() -> None:
    """What a decision was superseded by is there, and mentions it."""
    said = {page: match[1] for page in DECISIONS if (match := SUPERSEDED.search(page.read_text()))}
    assert said
    assert all(page.name in (page.parent / later).read_text() for page, later in said.items())


@pytest.mark.parametrize(
    ("text", "stale"),
    [
        ("see `tasks/plan.py`", ["tasks/plan.py"]),
        ("see plan_of_old.py for more", ["plan_of_old.py"]),
        ("see disk.py", ["disk.py of 4"]),
        ("see build/plan.py, `__init__.py`, tasks/build/ and docs/adr/0021-fresh-before-doit.md", []),
        ("`bootsmith.tasks.plan` and `bootsmith.tasks.build.plan`", ["bootsmith.tasks.plan"]),
        ("`bootsmith.tasks.build.plan.Plan`, `tasks.build.plan.Plane`", ["tasks.build.plan.Plane"]),
        ("a user's ~/tasks/plan.py, `machine.cache` and build/NAME/tasks", []),
    ],
)
def test_a_stale_name_is_found(text: str, stale: list[str]) -> None:
    """The tests above see a path and a module that are not there, and take nothing else for one."""
    assert wrong(Line(CHECKOUT / "README.md", 1, text)) == stale
