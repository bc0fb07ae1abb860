"""Work as uid 0 on a tree that is thrown away."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.cache.store.store import Store
from bootsmith.tasks.build import running
from bootsmith.tasks.build.stage import Context, Stage
from bootsmith.tasks.errors import ToolFailed
from bootsmith.tasks.tools import capacity, host
from bootsmith.tasks.tree import scratch

PLACES = pytest.mark.parametrize("memory", [True, False], ids=["in memory", "on disk"])


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    (tmp_path / "work").mkdir()
    stage = Stage("toy", "x:y", {}, {}, tools=scratch.TOOLS)
    return running.context(stage, {}, tmp_path / "work", lambda: Store(tmp_path / "store"))


def run(ctx: Context, script: str, memory: bool, monkeypatch: pytest.MonkeyPatch) -> str:
    if not memory:
        monkeypatch.setattr(capacity, "memory_available", lambda: 0)
    return scratch.run_as_root(ctx, "toy", 1 << 20, host.find("sh"), "-ec", script).stdout.decode()


@PLACES
def test_files_have_any_owner(memory: bool, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is uid 0 in an empty directory of its own, where files may belong to anybody."""
    script = 'cd "$TMPDIR"; id -u; ls -A; : >f; chown 33:42 f; stat -c "%u:%g %a" f'
    assert run(ctx, script, memory, monkeypatch).split() == ["0", "33:42", "644"]


@PLACES
def test_nothing_stays(memory: bool, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the program has ended, well or not, its tree is gone, whatever it mounted there and whoever owned it."""
    script = 'mkdir -p "$TMPDIR/a/proc"; chown 33 "$TMPDIR/a"; chmod 0 "$TMPDIR/a"; mount -t proc p "$TMPDIR/a/proc"'
    run(ctx, script, memory, monkeypatch)
    assert not list(ctx.work.glob("tree/*"))
    if memory:
        (ctx.work / "tree").rmdir()
    with pytest.raises(ToolFailed, match="toy failed"):
        run(ctx, f"{script}; exit 3", memory, monkeypatch)
    assert not list(ctx.work.glob("tree/*"))


@PLACES
def test_the_host_has_no_name(memory: bool, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs see neither the host's name nor its name servers, and an umask that is always the same."""
    script = "cat /proc/sys/kernel/hostname /etc/hostname; cat /etc/resolv.conf; umask"
    found = run(ctx, script, memory, monkeypatch).split()
    assert found in (["localhost", "localhost", "0022"], ["localhost", "0022"])


def test_room_is_asked_for(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is used when there is enough beside a reserve, disk otherwise."""
    script = 'stat -f -c %T "$TMPDIR"'
    monkeypatch.setattr(capacity, "memory_available", lambda: scratch.RESERVE + (1 << 21))
    assert scratch.run_as_root(ctx, "toy", 1 << 20, host.find("sh"), "-ec", script).stdout == b"tmpfs\n"
    (ctx.work / "tree").rmdir()
    monkeypatch.setattr(capacity, "memory_available", lambda: scratch.RESERVE + (1 << 19))
    assert scratch.run_as_root(ctx, "toy", 1 << 20, host.find("sh"), "-ec", 'touch "$TMPDIR/x"').status == 0


def test_nothing_of_the_host_s_package_settings_is_seen(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """How the host's own packages are installed is no business of an image's (V10)."""
    script = """
        for file in apt/apt.conf dpkg/dpkg.cfg; do [ ! -s "/etc/$file" ] || echo "$file"; done
        for folder in apt/apt.conf.d dpkg/dpkg.cfg.d; do [ ! -d "/etc/$folder" ] || ls "/etc/$folder"; done
        echo seen
    """
    assert run(ctx, script, True, monkeypatch).splitlines() == ["seen"]
