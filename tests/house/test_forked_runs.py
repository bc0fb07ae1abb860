"""A run in a fork of a Python that waits is what it would be in a Python of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import forked_runs
from tests.support.toy_project import ToyProject

ABOUT = """
import gc, json, locale, os, random, resource, signal, sys, tempfile, threading, warnings
def stream(each):
    return [each.encoding, each.errors, each.line_buffering, each.write_through, each.isatty(), each.name, each.mode]
mask = os.umask(0)
print(json.dumps({
    "argv": sys.argv,
    "folder": os.getcwd(),
    "environment": dict(os.environ),
    "umask": mask,
    "path": sys.path,
    "name": __name__,
    "signals": [str(signal.getsignal(each)) for each in sorted(signal.valid_signals())],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "streams": [stream(each) for each in (sys.stdin, sys.stdout, sys.stderr)],
    "open": sorted(int(each) for each in os.listdir("/proc/self/fd"))[:4],
    "threads": threading.active_count(),
    "thread": threading.current_thread() is threading.main_thread(),
    "limits": [resource.getrlimit(each) for each in range(16)],
    "group": os.getpgrp(), "session": os.getsid(0), "users": [os.getresuid(), os.getresgid(), os.getgroups()],
    "locale": locale.setlocale(locale.LC_ALL),
    "flags": str(sys.flags),
    "writes": sys.dont_write_bytecode,
    "warnings": [str(each) for each in warnings.filters],
    "temporary": tempfile.gettempdir(),
    "ours": [name for name in sys.modules if name.partition(".")[0] in ("bootsmith", "doit", "toyplan", "dodo")],
    "prefix": [sys.prefix, sys.executable, sys.orig_argv[1:]],
    "collected": gc.isenabled(),
}))
"""
"""A program that tells of the process it is."""


def both(project: ToyProject, *argv: str) -> list[subprocess.CompletedProcess[str]]:
    """Run `python ARGV...` in a process of its own and in a fork; return what came of them."""
    own = subprocess.run(
        [sys.executable, *argv], cwd=project.top, env=project.environment(), text=True, capture_output=True, check=False
    )
    forked = forked_runs.run(argv, project.top, project.environment(), modules=forked_runs.STANDARD)
    return [own, forked]


@pytest.fixture
def project(tmp_path: Path) -> ToyProject:
    """A toy project in which nothing was built."""
    return ToyProject.make(tmp_path)


def about(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_is_a_process_like_any_other(project: ToyProject) -> None:
    """Folder, environment, umask, paths, streams, signals, limits and what is loaded of ours are a new process's."""
    project.variables |= {"ODD": "\udcff\n=", "LC_ALL": "C.UTF-8", "TMPDIR": str(project.top)}
    previous = os.umask(0o027)
    try:
        (project.top / "about.py").write_text(ABOUT)
        for argv in (("-c", ABOUT, "a word", "-m"), ("-m", "about", "a word", "-c")):
            own, forked = map(about, both(project, *argv))
            assert forked["environment"].pop("ODD") == own["environment"].pop("ODD") == "\udcff\n="
            assert own.keys() == forked.keys()
            assert {name: (own[name], forked[name]) for name in own if own[name] != forked[name]} == {}
            assert own["umask"] == 0o027
    finally:
        os.umask(previous)


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("print('said')", 0),
        ("import sys; sys.exit('no')", 1),
        ("import os; os.write(1, b'x'); os._exit(7)", 7),
        ("import atexit; atexit.register(print, 'late'); print('early'); raise SystemExit(3)", 3),
        ("import os, signal; print('lost'); os.kill(os.getpid(), signal.SIGTERM)", -15),
        ("1 / 0", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", -2),
        ("import sys; sys.stdout.write('no line'); sys.stderr.write('err\\r\\n')", 0),
        ("import threading; threading.Thread(target=lambda: print('of a thread')).start()", 0),
        ("import sys; print(repr(sys.stdin.read()))", 0),
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1)'])", 0),
    ],
    ids=range(11),
)
def test_it_ends_as_it_would(project: ToyProject, program: str, status: int) -> None:
    """What was printed, to the last buffer, the error and the exit status or signal are those of a new process."""
    own, forked = both(project, "-c", program)
    assert (own.returncode, own.stdout) == (forked.returncode, forked.stdout)
    assert own.stderr.splitlines()[-1:] == forked.stderr.splitlines()[-1:]  # a traceback has more lines in a fork
    assert forked.returncode == status


def test_nothing_is_left_of_an_earlier_run(project: ToyProject) -> None:
    """A module that an earlier run loaded is read again; a change of anything global is gone."""
    first = "import toystages, sys, os; toystages.mark = 1; sys.path.clear(); os.environ['X'] = 'x'; os.chdir('/')"
    (again,) = both(project, "-c", first)[1:]
    assert again.returncode == 0
    (project.top / "toystages.py").write_text("VALUE = 'edited'\n")
    program = "import sys, os; assert 'toystages' not in sys.modules; import toystages\n"
    program += "print(toystages.VALUE, hasattr(toystages, 'mark'), os.getcwd() == sys.argv[1], 'X' in os.environ)"
    for done in both(project, "-c", program, str(project.top)):
        assert (done.stdout, done.stderr) == ("edited False True False\n", "")


def test_runs_at_once_do_not_wait_for_each_other(project: ToyProject) -> None:
    """One run can wait for another, as two processes can."""
    from concurrent.futures import ThreadPoolExecutor

    os.mkfifo(project.top / "pipe")
    words = [("-c", "open('pipe', 'w').write('through')"), ("-c", "print(open('pipe').read())")]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda argv: forked_runs.run(argv, project.top, project.environment()), words))
    assert [each.stdout for each in done] == ["", "through\n"]


def test_what_takes_too_long_is_killed(project: ToyProject) -> None:
    """A run that never ends fails the test that waits for it, and is gone."""
    os.mkfifo(project.top / "pipe")
    program = "import os; print(os.getpid(), file=open('who', 'w'), flush=True); open('pipe').read()"
    with pytest.raises(subprocess.TimeoutExpired):
        forked_runs.run(("-c", program), project.top, project.environment(), timeout=2)
    who = int((project.top / "who").read_text())
    forked_runs.run(("-c", "pass"), project.top, project.environment())  # by then its end was noticed
    assert not Path(f"/proc/{who}").exists()
