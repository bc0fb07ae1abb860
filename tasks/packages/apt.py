"""apt with directories and a configuration of its own: the host's package state is neither read nor changed.

Of the host's configuration it gets what it is given: where the mirrors are and how to reach them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.tools import host, process
from bootsmith.tasks.tools.environment import ENVIRONMENT

if TYPE_CHECKING:
    from bootsmith.tasks.tools.process import Completed

_PASSED_ON: Final = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository as apt is told of it."""

    role: str
    uri: str
    suite: str
    components: tuple[str, ...]
    key: Path

    @property
    def printed(self) -> str:
        """The URI as apt prints it."""
        return re.sub("^(file|copy):/+", r"\1:/", self.uri.rstrip("/"))

    def stanza(self) -> str:
        components = f"Components: {' '.join(self.components)}\n" if self.components else ""
        return f"Types: deb\nURIs: {self.uri}\nSuites: {self.suite}\n{components}Signed-By: {self.key}\n"


class Apt:
    """apt-get and apt-cache for one architecture, all their files below `folder`."""

    def __init__(self, folder: Path, arch: str, settings: Mapping[str, str]) -> None:
        self.folder = folder
        for name in ("lists/partial", "cache/archives/partial", "none", "keys"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        if not (folder / "status").exists():
            (folder / "status").write_bytes(b"")
        lines = {
            "Dir": "/",
            "Dir::State": folder,
            "Dir::State::Lists": folder / "lists",
            "Dir::State::Status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Log": folder / "none",
            "Dir::Etc": folder / "none",
            "Dir::Etc::Main": "/dev/null",
            "Dir::Etc::Parts": folder / "none",
            "Dir::Etc::SourceList": folder / "debian.sources",
            "Dir::Etc::SourceParts": folder / "none",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": folder / "none",
            "Dir::Etc::Trusted": "/dev/null",
            "Dir::Etc::TrustedParts": folder / "none",
            "APT::Architecture": arch,
            "APT::Architectures": arch,
            "APT::Sandbox::User": "",
            "APT::Update::Error-Mode": "any",
            "APT::Get::Update::SourceListWarnings": "false",
            "Acquire::Languages": "none",
            "Acquire::PDiffs": "false",
            "Acquire::ForceHash": "SHA256",
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "20",
            "Acquire::https::Timeout": "20",
            **settings,
        }
        config = "".join(f'{name} "{value}";\n' for name, value in lines.items())
        (folder / "apt.conf").write_text(config)

    def take_for_installed(self, status: str) -> None:
        """Have apt believe that what a status file says is installed, "" for nothing.

        The same as last time is left as it is: by its time apt tells whether what it has worked out, in most of the
        time that it takes, holds still.
        """
        file, data = self.folder / "status", status.encode("utf-8", "replace")
        if file.read_bytes() == data:
            return
        before = file.stat()
        file.write_bytes(data)
        if len(data) == before.st_size and int(file.stat().st_mtime) == int(before.st_mtime):  # else apt sees no change
            os.utime(file, (before.st_mtime + 1, before.st_mtime + 1))

    def keep_key(self, name: str, keyrings: Sequence[Path]) -> Path:
        """Return a file of the keys in all `keyrings` together, where apt's verifier may read it."""
        data = b"".join(keyring.read_bytes() for keyring in keyrings)
        path = self.folder / "keys" / (name + (".asc" if data.startswith(b"-----BEGIN") else ".gpg"))
        path.write_bytes(data)
        return path

    def update(self, repositories: Sequence[Repository]) -> str:
        """Fetch the package lists; return apt's complaints, "" where there are none."""
        (self.folder / "debian.sources").write_text("\n".join(each.stanza() for each in repositories))
        done = self.run("apt-get", "update")
        return (done.stdout + done.stderr).decode(errors="replace") if done.status else ""

    def lists(self) -> Iterator[tuple[int, str]]:
        """Yield the text of every package list, with its repository's number in the order they were given."""
        for number, path in self.list_files():
            yield number, path.read_text(encoding="utf-8", errors="replace")

    def list_files(self) -> Iterator[tuple[int, Path]]:
        """Yield the file of every package list, with its repository's number."""
        form = "$(SOURCESENTRY)\t$(FILENAME)"
        for line in self.text("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines():
            entry, path = line.split("\t")
            yield int(entry.rpartition(":")[2]) - 1, Path(path)

    def text(self, tool: str, *args: str) -> str:
        """Return what a tool of apt printed. Raises ToolFailed."""
        return self.run(tool, *args, check=True).stdout.decode(errors="replace")

    def run(self, tool: str, *args: str, check: bool = False) -> Completed:
        env = {**ENVIRONMENT, "APT_CONFIG": str(self.folder / "apt.conf")}
        env |= {name: value for name, value in os.environ.items() if name.lower() in _PASSED_ON}
        return process.run([host.find(tool), *args], env=env, cwd=self.folder, network=True, check=check)
