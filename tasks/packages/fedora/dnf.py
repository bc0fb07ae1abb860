"""dnf's resolver, asked for a tree that has nothing yet: by its own library, with none of the host's settings.

Which packages a list of names comes to no command of dnf prints in full. It never fetches: repositories are folders.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.packages.fedora.mirror import MACHINE
from bootsmith.tasks.tools import host, process
from bootsmith.tasks.tools.environment import ENVIRONMENT

_SCRIPT: Final = r"""
import json, sys
import dnf
from libdnf.transaction import TransactionItemReason_USER
asked = json.load(sys.stdin)
base = dnf.Base()
conf = base.conf
conf.installroot = asked["root"]
conf.cachedir = conf.persistdir = asked["cache"]
conf.reposdir, conf.plugins, conf.varsdir = [], False, []
conf.install_weak_deps = asked["weak"]
for name, value in asked["variables"].items():
    conf.substitutions[name] = value
conf.module_platform_id = "platform:f" + asked["variables"]["releasever"]
for number, (role, folder) in enumerate(asked["repositories"].items()):
    repository = dnf.repo.Repo(role, conf)
    repository.baseurl = ["file://" + folder]
    base.repos.add(repository)
told = {"unknown": [], "wrong": "", "packages": []}
base.fill_sack(load_system_repo=False)
for name in asked["names"]:
    try:
        base.install(name)
    except dnf.exceptions.MarkingError:
        told["unknown"].append(name)
if told["unknown"]:
    told["known"] = sorted({package.name for package in base.sack.query()})
else:
    try:
        base.resolve()
    except dnf.exceptions.Error as error:
        told["wrong"] = str(error)
    else:
        told["packages"] = [
            {
                "name": each.pkg.name, "version": each.pkg.evr, "arch": each.pkg.arch, "role": each.pkg.repoid,
                "size": each.pkg.downloadsize, "sum": list(each.pkg.returnIdSum()), "file": each.pkg.location,
                "built": each.pkg.buildtime, "asked": each.reason == TransactionItemReason_USER,
            }
            for each in base.transaction
        ]
json.dump(told, sys.stdout)
"""
_PYTHON: Final = re.compile(rb"#!(/\S+/python3\S*)")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")
_VERSION: Final = re.compile(r"[0-9A-Za-z._+~^:-]{1,200}")
_FILE: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._+~^/-]{0,400}\.rpm")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Chosen(NamedTuple):
    """A package that is to be installed; `built` in seconds UTC, `size` in bytes."""

    name: str
    version: str
    arch: str
    role: str
    size: int
    sha256: str
    file: str
    built: int
    asked: bool


class Unknown(Exception):
    """No repository has packages of these names; `known` are those that there are."""

    def __init__(self, names: Sequence[str], known: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names
        self.known = known


def resolve(work: Path, release: str, repositories: Mapping[str, Path], names: Sequence[str]) -> list[Chosen]:
    """Return what packages of these names come to. Raises Unknown, StageError, ToolFailed."""
    asked = {
        "root": str(work / "root"),
        "cache": str(work / "cache"),
        "weak": False,
        "variables": {"releasever": release, "basearch": MACHINE, "arch": MACHINE},
        "repositories": {role: str(folder) for role, folder in repositories.items()},
        "names": list(names),
    }
    env = {**ENVIRONMENT, "HOME": "/nonexistent"}
    words: list[str | Path] = [_python(), "-I", "-c", _SCRIPT]
    done = process.run(words, env=env, cwd=work, input=json.dumps(asked).encode())
    told: dict[str, Any] = json.loads(done.stdout)
    if told["unknown"]:
        raise Unknown(told["unknown"], told["known"])
    if told["wrong"]:
        raise ToolFailed(
            f"{', '.join(names)} cannot be installed together",
            "Change source.fedora.packages, or add the repository that has what is missing.",
            tail=str(told["wrong"]).strip(),
        )
    return sorted(_chosen(each, repositories) for each in told["packages"])


def _python() -> Path:
    """Return the Python that dnf is written for. Raises StageError where dnf is of another kind."""
    dnf = host.find("dnf")
    with dnf.open("rb") as opened:
        found = _PYTHON.match(opened.read(256))
    if found is None:
        raise StageError(f"{dnf} is no dnf 4: it is not written in Python", "Install dnf 4 with its Python modules.")
    return Path(found[1].decode())


def _chosen(said: Mapping[str, Any], repositories: Mapping[str, Path]) -> Chosen:
    kind, sha256 = said["sum"]
    forms = ((_NAME, said["name"]), (_VERSION, said["version"]), (_NAME, said["arch"]), (_FILE, said["file"]))
    wrong = [str(value) for form, value in forms if not form.fullmatch(str(value))]
    if wrong or kind != "sha256" or not _SHA256.fullmatch(sha256) or said["role"] not in repositories:
        raise StageError(
            f"a repository lists {shown(str(said['name']))} in a way that is none: {shown(', '.join(wrong) or sha256)}",
            "Name another mirror.",
        )
    return Chosen(
        said["name"], said["version"], said["arch"], said["role"], int(said["size"]), sha256, said["file"],
        int(said["built"]), bool(said["asked"]),
    )  # fmt: skip
