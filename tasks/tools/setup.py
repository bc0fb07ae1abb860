"""What `doitw` does before doit: missing host programs brought in, all by one command, then the virtual environment.

Run by the host's own Python, as `python3 -m bootsmith.tasks.tools.setup CHECKOUT`. Everything it says goes to stderr.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bootsmith.cache.display import escaped
from bootsmith.cache.files import encoding
from bootsmith.tasks.errors import BootsmithError, ToolMissing, UsageError
from bootsmith.tasks.tools import host, virtualenv
from bootsmith.tasks.tools.catalogue import TOOLS
from bootsmith.tasks.tools.package_manager import install_command, package_manager, packages
from bootsmith.tasks.tools.tool import Tool

CERTIFICATES = Tool(
    "ca-certificates",
    "lets package indexes be trusted",
    dict.fromkeys(("apt", "dnf", "pacman", "apk"), "ca-certificates"),
    files=("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"),
)
VENV = Tool(
    "python3-venv",
    "makes the virtual environment",
    {"apt": "python3-venv", "dnf": "python3-pip", "pacman": "python", "apk": "python3"},
)


def main(arguments: Sequence[str]) -> int:
    """Set a checkout up; return the exit status."""
    try:
        encoding.settle()
        checkout = Path(arguments[0]).resolve()
        absent = missing(checkout)
        if absent:
            install(absent)
            still = missing(checkout)
            if still:
                raise ToolMissing(f"still missing: {', '.join(tool.name for tool in still)}")
        virtualenv.ensure(checkout)
        programs = [host.find(name) for name in TOOLS]
        (checkout / ".venv/programs").write_text("".join(f"{path}\n" for path in programs))
    except BootsmithError as error:
        say(f"doitw: {error}")
        return error.exit_code if not isinstance(error, ToolMissing) else UsageError.exit_code
    except OSError as error:
        say(f"doitw: {error.filename}: {error.strerror}\n  The checkout must be writable to set it up.")
        return 1
    return 0


def missing(checkout: Path) -> list[Tool]:
    """Return all that is missing here: host programs, and what the virtual environment needs to be made."""
    absent = host.missing()
    if not any(Path(place).exists() for place in CERTIFICATES.files):
        absent.append(CERTIFICATES)
    importlib.invalidate_caches()
    made = virtualenv.is_current(checkout / ".venv", checkout)
    if not made and importlib.util.find_spec("ensurepip") is None:
        absent.append(VENV)
    return absent


def install(absent: Sequence[Tool]) -> None:
    """Print the one command that installs what is missing and run it, where that is allowed. Raises ToolMissing."""
    width = max(len(tool.name) for tool in absent)
    say("Missing on this host:")
    for tool in absent:
        say(f"  {tool.name.ljust(width)}  {tool.purpose}")
    manager = package_manager()
    if manager is None:
        raise ToolMissing("this distribution is not known", f"Install these {install_command(absent)}")
    root = os.geteuid() == 0
    command = [*manager.install, *packages(absent, manager)]
    say(f"Install it:\n  {'' if root else 'sudo '}{shlex.join(command)}")
    how = permission(root=root)
    if manager.refresh:
        _run([*how, *manager.refresh])  # one broken repository must not keep the others from serving
    if _run([*how, *command]):
        raise ToolMissing(f"{manager.name} did not install what is missing")


def permission(*, root: bool) -> list[str]:
    """Return the words before a command that installs. Raises ToolMissing where none may be run."""
    wish = os.environ.get("BOOTSMITH_INSTALL", "")
    if wish == "no":
        raise ToolMissing("nothing is installed, since BOOTSMITH_INSTALL=no", "Run the command above.")
    if root:
        return []
    if not shutil.which("sudo"):
        raise ToolMissing("there is no sudo here", "Run the command above as root, without the word sudo.")
    if wish == "yes":
        return ["sudo"]
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ToolMissing("nobody is here to be asked", "Run the command above, or set BOOTSMITH_INSTALL=yes.")
    sys.stderr.write("Run it now? [Y/n] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("", "y", "yes"):
        raise ToolMissing("nothing was installed", "Run the command above.")
    return ["sudo"]


def say(text: str) -> None:
    """Tell the user; stdout belongs to doit."""
    print(escaped(text), file=sys.stderr, flush=True)  # noqa: T201  the program's own voice


def _run(words: Sequence[str]) -> int:
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
    position = 1 if words[0] == "sudo" else 0
    return subprocess.run([*words[:position], *quiet, *words[position:]], check=False, stdout=sys.stderr).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
