"""What all tests share: Hypothesis leaves no files behind and counts no seconds; long tests have a short form."""

from __future__ import annotations

import atexit
import platform
from importlib.metadata import distributions
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

from tests.support.toy_project import ToyProject

HOME = TemporaryDirectory(prefix="hypothesis-")
atexit.register(HOME.cleanup)
set_hypothesis_home_dir(HOME.name)
settings.register_profile(
    "house", database=None, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --soak: the long form of the tests that have one."""
    parser.addoption("--soak", action="store_true", help="run the tests marked soak in their long form")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, but for --soak, the tests that have no short form."""
    if config.getoption("--soak"):
        return
    left_out = [item for item in items if (mark := item.get_closest_marker("soak")) and not mark.kwargs.get("ci")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell, where a test failed, which host programs and libraries it met: they float, and the tests do not."""
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        from bootsmith.tasks.tools import host_table

        terminalreporter.section("what was met")
        terminalreporter.write_line(host_table.report({}))
        found = sorted(f"{each.name} {each.version}" for each in distributions())
        terminalreporter.write_line(f"Python {platform.python_version()}: {', '.join(found)}")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a test marked `soak(ci=SHORT, whole=LONG)` shall try."""
    mark = request.node.get_closest_marker("soak")
    assert mark, "only a test marked soak has rounds"
    count: int = mark.kwargs["whole" if request.config.getoption("--soak") else "ci"]
    return count


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> ToyProject:
    """A toy project with a past: built, edited, edited back. It is for copies: see project_changes.copy."""
    project = ToyProject.make(tmp_path_factory.mktemp("original"))
    for text in ("first line\nsecond line\n", "another\n", "first line\nsecond line\n"):
        (project.top / "source").write_text(text)
        project.image()
    return project
