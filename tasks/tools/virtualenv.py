"""The virtual environment of a checkout: made beside the old one, under a lock, and put in place whole.

It holds what requirements.txt locks, by the hashes of its files, and a .pth file that names the checkout's `src`, as an
editable install's does. The checkout's own modules are compiled with it. Needs nothing beyond the standard library.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from bootsmith.tasks.errors import BootsmithError

POINTER = "bootsmith-checkout.pth"
LOCK = "requirements.txt"


def ensure(checkout: Path) -> None:
    """Make `.venv`, unless it is there and holds what is locked. Raises BootsmithError, OSError."""
    final = checkout / ".venv"
    with (checkout / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_current(final, checkout):
            sys.stderr.write("Setting up .venv, once ...\n")
            new = checkout / ".venv.new"
            shutil.rmtree(new, ignore_errors=True)
            _make(new, final, checkout)
            _replace(new, final)
        _compile(final / "bin/python", checkout)


def is_current(venv: Path, checkout: Path) -> bool:
    """Tell whether an environment was finished here, for a Python that still exists, with what is locked now."""
    if not os.access(venv / "bin/python", os.X_OK):
        return False
    return _content(venv / "checkout") == f"{checkout}\n" and _content(venv / LOCK) == (checkout / LOCK).read_text()


def base_python() -> Path:
    """Return the Python to make environments with, by its version: a name such as python3 may be another's tomorrow."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def _make(new: Path, final: Path, checkout: Path) -> None:
    """Make a whole environment at `new` that works at `final`; what says that it is whole is written last."""
    _step([base_python(), "-m", "venv", "--prompt", "bootsmith", new])
    python = new / "bin/python"
    lock = (checkout / LOCK).read_text()
    (new / LOCK).write_text(lock)  # what is installed, though the other be edited meanwhile
    quiet = ("--quiet", "--no-input", "--disable-pip-version-check", "--no-compile")
    _step([python, "-m", "pip", "install", *quiet, "--require-hashes", "-r", new / LOCK])
    (packages,) = new.glob("lib/python*/site-packages")
    (packages / POINTER).write_text(f"{checkout}/src\n")
    _step(
        [python, "-m", "compileall", "-q", "-s", new, "-p", final, packages], check=False
    )  # broken examples are no harm
    for script in (new / "pyvenv.cfg", *(new / "bin").iterdir()):
        content = script.read_bytes()
        if not script.is_symlink() and not content.startswith(b"\x7fELF"):
            script.write_bytes(content.replace(os.fsencode(new), os.fsencode(final)))
    (new / "checkout").write_text(f"{checkout}\n")


def _compile(python: Path, checkout: Path) -> None:
    """Compile the checkout's modules: where PYTHONDONTWRITEBYTECODE is set, every start would do it again."""
    package = checkout / "src/bootsmith"
    places = (package / "__init__.py", package / "tasks", package / "cache", checkout / "dodo.py")
    with suppress(OSError):  # without compiled code all is slower, and right
        _step([python, "-m", "bootsmith.cache.digest.bytecode", *places], check=False)


def _replace(new: Path, final: Path) -> None:
    old = final.with_name(".venv.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.is_symlink():
        final.unlink()
    elif final.exists():
        final.rename(old)
    new.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def _step(words: list[str | Path], *, check: bool = True) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(words, check=False, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if check and done.returncode:
        raise BootsmithError(
            f"the virtual environment could not be made: {' '.join(map(str, words[1:4]))} ... failed:\n"
            f"{(done.stderr or done.stdout).strip()}",
            "Check the network and pip's settings, then run it again.",
        )


def _content(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
