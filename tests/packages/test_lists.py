"""A release's package lists, and what they say of themselves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import lists, request
from bootsmith.tasks.recipe.load import load

NEWER = "Sat, 15 Mar 2025 09:30:00 UTC"
SECONDS = 1742031000


def write(folder: Path, *dates: str) -> None:
    for number, each in enumerate(dates):
        (folder / f"{number}_InRelease").write_text(f"Origin: x\nDate: {each}\nSuite: trixie\n")


def test_the_newest_release_dates_the_lists(tmp_path: Path) -> None:
    """Of several releases, in any order and any time zone."""
    write(tmp_path, "Sat, 15 Mar 2025 09:29:59 UTC", NEWER, "Sat, 15 Mar 2025 10:00:00 +0100")
    assert lists.date(tmp_path) == SECONDS


@pytest.mark.parametrize("date", ["Sat, 15 Mar 2025 09:30:00", "Sat, 15 Mar 2025 09:30:00 -0000"])
def test_a_date_of_no_zone_is_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    """Wherever the host is: it becomes the times of files."""
    monkeypatch.setenv("TZ", "Asia/Tokyo-9")
    time.tzset()
    try:
        write(tmp_path, date)
        assert lists.date(tmp_path) == SECONDS
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "nonsense", ["soon", "Sat, 99 Mar 2025 09:30:00 UTC", "Sat, 15 Mar 99999999 09:30:00 UTC", "\x1b[2J"]
)
def test_a_date_that_is_none_is_passed_over(tmp_path: Path, nonsense: str) -> None:
    """A repository of somebody's own may say anything; the others date the lists."""
    write(tmp_path, nonsense, NEWER)
    assert lists.date(tmp_path) == SECONDS


def test_lists_without_a_date_are_refused(tmp_path: Path) -> None:
    """What nobody dated dates no image."""
    write(tmp_path, "soon")
    with pytest.raises(StageError, match="says when it was made"):
        lists.date(tmp_path)


@pytest.mark.parametrize(
    ("words", "asked"), [(("", ""), True), ((", security: false", ""), True), ((", security: false",) * 2, False)]
)
def test_files_may_do_without_security_updates(tmp_path: Path, words: tuple[str, str], asked: bool) -> None:
    """The security archive of a release is asked unless all files out of it do without; the lock file knows."""
    files = "".join(
        f"    /{n}: {{from: {{package: hello{n}, suite: bookworm, path: /x{word}}}}}\n" for n, word in enumerate(words)
    )
    rest = "boot: {loader: direct, kernel: linux, initrd: tree}\noutputs: [initramfs]\n"
    (tmp_path / "x.yaml").write_text(f"source: none\nsystem: none\nlayers:\n- files:\n{files}    /init: init\n{rest}")
    (tmp_path / "linux").touch()
    (tmp_path / "init").touch(0o755)
    recipe = load(tmp_path / "x.yaml")
    (release,) = lists.releases(recipe)
    assert (release.security, "security" in release.roles) == (asked, asked)
    assert request.request(recipe)["files"].count("/without-security") == len([word for word in words if word])


def test_packages_and_files_are_resolved_release_by_release(tmp_path: Path) -> None:
    """What the tree is of comes once, with its source; a file out of another brings that one, with none.

    Whether security updates are wanted is said of all.
    """
    (tmp_path / "x.yaml").write_text(
        "source: {debian: {suite: trixie, components: [main, contrib], security: false}}\n"
        "layers:\n- files:\n"
        "    /a: {from: {package: hello, suite: bookworm, arch: i386, path: /usr/bin/hello}}\n"
        "    /b: {from: {package: hello, path: /usr/bin/hello}}\n"
    )
    own, other = lists.releases(load(tmp_path / "x.yaml"))
    assert (own.suite, own.arch, own.components, own.security) == ("trixie", "amd64", ("main", "contrib"), False)
    assert [file.package for file in own.files] == ["hello"]
    assert (other.suite, other.arch, other.components, other.security) == ("bookworm", "i386", ("main",), False)
    assert other.source is None
