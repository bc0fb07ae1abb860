"""A layer of packages: installed and removed by the tree's own apt and dpkg, exactly those of the lock file.

Nobody is asked anything, no service starts, and nothing is fetched: the packages come into the tree as a repository.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import installed_identities, sandbox
from bootsmith.tasks.tree.sandbox import OURS, Added, Work

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.packages.lockfile import LayerPackages
    from bootsmith.tasks.tree.changes import Changes
    from bootsmith.tasks.tree.merged import Tree

TOOLS: Final = (*sandbox.TOOLS, "dpkg-deb")
GROWTH: Final = 8
"""Bytes of files and unpacked packages per byte of package, as for a whole tree."""
DOCUMENTATION: Final = ("doc", "man", "info", "groff", "lintian", "linda")
"""Folders of /usr/share that a tree without documentation leaves out, but for copyright files."""

_APT_CONF: Final = f"""\
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "/{OURS}/none";
Dir::Etc::SourceList "/{OURS}/sources.list";
Dir::Etc::SourceParts "/{OURS}/none";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/{OURS}/none";
Dir::State::Lists "/{OURS}/lists";
Dir::Cache "/{OURS}/cache";
Dir::Log "/{OURS}/log";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Get::Assume-Yes "true";
APT::Get::Purge "true";
APT::Get::AutomaticRemove "false";
APT::Get::allow-downgrades "true";
APT::Get::allow-change-held-packages "true";
Acquire::Languages "none";
DPkg::Use-Pty "false";
DPkg::Options {{ "--force-confdef"; "--force-confold"; "--force-unsafe-io"; }};
"""
_INSTALL: Final = f"""\
#!/bin/sh
set -eu
export APT_CONFIG=/{OURS}/apt.conf
[ ! -s /{OURS}/preseed ] || debconf-set-selections /{OURS}/preseed
[ ! -s /{OURS}/sources.list ] || apt-get -q update
[ -z "$changes" ] || apt-get -q install $changes
[ -z "$needed" ] || apt-mark auto $needed >/dev/null
"""
_KEY: Final = re.compile(rb"^-----BEGIN ([A-Z]+ )*PRIVATE KEY( BLOCK)?-----", re.MULTILINE)
_LARGEST_KEY: Final = 1 << 20
_LISTING: Final = re.compile(r"var/lib/dpkg/info/[^/]+\.list")
_SSH_KEYS: Final = ("etc/ssh/ssh_host_*_key", "etc/ssh/ssh_host_*_key.pub")


@dataclass(frozen=True)
class PackagesParams(Params):
    """When all of it was made, whether documentation is part of it, and answers for debconf, a line each."""

    epoch: int
    docs: bool
    preseed: tuple[str, ...]


def run(ctx: Context) -> None:
    """Fetch the packages, install them in the tree below and remove others; write what that changed."""
    from bootsmith.tasks.packages import lockfile
    from bootsmith.tasks.tree import changes, layer
    from bootsmith.tasks.tree.merged import tree_below

    params, tree = PackagesParams.of(ctx), tree_below(ctx)
    lock = lockfile.read(ctx.inputs["lock"])
    wanted = next(iter(lock.layers.values()))
    if not (wanted.packages or wanted.removed or params.preseed):
        with layer.LayerWriter(ctx.outputs["tar"], ctx.outputs["index"], params.epoch):
            return
    _check(tree, params)
    began = int(time.time())
    after = sandbox.run(ctx, tree, _work(ctx, wanted, lock.request.get("suite", ""), params))
    found = changes.Changes(tree, after, network=False)
    _verify(found, wanted)
    _leave_out_identities(ctx, found)
    with layer.LayerWriter(ctx.outputs["tar"], ctx.outputs["index"], params.epoch) as writer:
        found.write(writer, params.epoch, began)


def _check(tree: Tree, params: PackagesParams) -> None:
    programs = ["usr/bin/apt-get", "usr/bin/dpkg", *(["usr/bin/debconf-set-selections"] if params.preseed else [])]
    for program in programs:
        if not tree.find(program):
            name = program.rpartition("/")[2]
            raise StageError(
                f"the tree has no {name}, by which packages are installed", "Let no layer below remove it."
            )


def _work(ctx: Context, wanted: LayerPackages, suite: str, params: PackagesParams) -> Work:
    """Return what is to be done in the tree."""
    from bootsmith.tasks.packages import debs

    repository: Path | None = None
    if wanted.packages:
        found = ctx.fetch([package.download for package in wanted.packages])
        ctx.say("unpacking the packages")
        repository = ctx.work / "packages"
        debs.write_repository(
            repository,
            suite,
            [(package, found[package.sha256]) for package in wanted.packages],
            lambda deb: ctx.run("dpkg-deb", "--field", deb).stdout,
        )
    conf = _APT_CONF if params.docs else _APT_CONF + _without_documentation()
    added = {
        f"{OURS}/none": Added(None, 0o755),
        f"{OURS}/packages": Added(None, 0o755),
        f"{OURS}/lists/partial": Added(None, 0o755),
        f"{OURS}/cache/archives/partial": Added(None, 0o755),
        f"{OURS}/log": Added(None, 0o755),
        f"{OURS}/apt.conf": Added(conf.encode()),
        f"{OURS}/preseed": Added("".join(f"{line}\n" for line in params.preseed).encode()),
        f"{OURS}/sources.list": Added(f"deb [trusted=yes] file:/{OURS}/packages ./\n".encode() if repository else b""),
        f"{OURS}/install": Added(_INSTALL.encode(), 0o755),
    }
    words = [f"{package.name}={package.version}" for package in wanted.packages]
    words += [f"{name}-" for name in wanted.removed]
    env = {
        "changes": " ".join(words),
        "needed": " ".join(package.name for package in wanted.packages if not package.asked),
    }
    room = GROWTH * sum(package.size for package in wanted.packages) + sandbox.ROOM
    return Work("apt-get", [f"/{OURS}/install"], params.epoch, env, added, room=room, packages=repository)


def _without_documentation() -> str:
    options = [f"--path-exclude=/usr/share/{folder}/*" for folder in DOCUMENTATION]
    options.append("--path-include=/usr/share/doc/*/copyright")
    return f"DPkg::Options {{ {' '.join(f'{chr(34)}{each}{chr(34)};' for each in options)} }};\n"


def _verify(found: Changes, wanted: LayerPackages) -> None:
    """Refuse a tree that has not become what was locked. Raises StageError."""
    states = {}
    for stanza in found.text("var/lib/dpkg/status").split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version): (.*)$", stanza, re.MULTILINE))
        if fields:
            states[fields.get("Package", "")] = (fields.get("Status", ""), fields.get("Version", ""))
    wrong = [
        f"{package.name} {package.version}"
        for package in wanted.packages
        if states.get(package.name) != ("install ok installed", package.version)
    ]
    kept = [name for name in wanted.removed if states.get(name, ("", ""))[0].endswith(" installed")]
    if wrong or kept:
        what = [f"{', '.join(wrong)} not installed"] if wrong else []
        what += [f"{', '.join(kept)} not removed"] if kept else []
        raise StageError(
            f"the packages are not as they were locked: {'; '.join(what)}", "Run `doit update` to resolve them again."
        )


def _leave_out_identities(ctx: Context, found: Changes) -> None:
    """Leave out what packages made for one machine, as in the tree that the layers begin with; tell of it."""
    removed: dict[str, str | None] = {}  # path -> the package, "" where it is not known which, None to say nothing
    for path in found.changed:
        entry = found.file(path)
        package = installed_identities.of(path)
        of_certificate = path.startswith("etc/ssl/certs/") and entry.link == "ssl-cert-snakeoil.pem"
        if (entry.type == "l" and of_certificate) or any(fnmatchcase(path, pattern) for pattern in _SSH_KEYS):
            removed[path] = None
        elif entry.type == "f" and package is not None:
            removed[path] = package
        elif entry.type == "f" and path.startswith(("etc/", "var/lib/")) and _is_key(found, path):
            removed[path] = ""
    found.leave_out(removed)
    told = [f"{package}\t{path}" for path, package in removed.items() if package is not None]
    named = [f"{package}\t{path}" for path in found.changed if (package := installed_identities.named(path))]
    for line in installed_identities.told("\n".join(told), "\n".join(named)):
        ctx.tell(line)


def _is_key(found: Changes, path: str) -> bool:
    """Tell whether a file holds a private key that no package brought."""
    entry = found.file(path)
    if entry.size >= _LARGEST_KEY or not _KEY.search(found.data(path)):
        return False
    return not any(f"/{path}" in found.text(each).splitlines() for each in found.after if _LISTING.fullmatch(each))
