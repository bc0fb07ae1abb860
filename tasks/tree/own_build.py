"""A file made by a command of the recipe's own: run on a copy of its inputs, where little else of the host is seen.

The root that the command sees is made for it: the host's programs and libraries, read-only, a /proc of its own, the
usual devices, and the inputs below /build, the same place on every machine. What it was not told of is not there.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bootsmith.cache.display import shown
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.tree import host_files

TOOLS: Final = ("sh", "unshare", "mount", "setpriv", "chroot", "env", "mkdir", "ln")
INPUT: Final = "input/"
"""What the role of an input begins with; its place in the copy follows."""
SCRATCH: Final = "scratch"
"""The hint that tells where folders stand that are kept from one run to the next."""
_HOME: Final = "/build"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SYSTEM: Final = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store", "gnu/store")
_SETTINGS: Final = ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "java*")
_NETWORK: Final = ("resolv.conf", "hosts", "nsswitch.conf", "ssl", "ca-certificates", "pki", "services", "protocols")
_DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
_READ_ONLY: Final = ("sys", "irq", "bus", "fs")
_RIGHTS: Final = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+sys_chroot"
_ACCOUNTS: Final = {"passwd": "root:x:0:0:root:/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
                    "group": "root:x:0:\nnogroup:x:65534:\n"}  # fmt: skip

# $1: the root to be; for each place "r" or "w", what is to be there, and where; "--"; the rest runs there.
_INSIDE: Final = rf"""
set -eu
root=$1
shift
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
    mount --bind "$2" "$root/$3" 2>/dev/null || mount --rbind "$2" "$root/$3"
    [ "$1" = w ] || mount -o remount,bind,ro "$root/$3"
    shift 3
done
shift
cd "$root"
mount -t proc -o nosuid,nodev,noexec proc proc 2>/dev/null || mount --rbind /proc proc
for folder in {" ".join(_READ_ONLY)}; do
    [ -d "proc/$folder" ] || continue
    mount --bind "proc/$folder" "proc/$folder"
    mount -o remount,bind,ro,nosuid,nodev,noexec "proc/$folder" "proc/$folder"
done
mount -t tmpfs -o mode=0755,nosuid,size=64m tmpfs dev
for node in {" ".join(_DEVICES)}; do
    [ -e "/dev/$node" ] || continue
    : >"dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mkdir -m 1777 dev/shm
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -n --move "$root" /
exec "$@" </dev/null
"""
_START: Final = f'cd {_HOME}; unset OLDPWD; while [ "$1" != -- ]; do export "$1"; shift; done; shift; exec "$@"'


@dataclass(frozen=True)
class BuildParams(Params):
    """The command, and what it finds: variables, folders that are kept, a network or none.

    `output` is what it makes, from the top of the copy. Of inputs that are single files those in `executable` may be
    run; `links` are such as stand beside them, with their targets.
    """

    epoch: int
    name: str
    command: tuple[str, ...]
    output: str
    env: Mapping[str, str]
    scratch: tuple[str, ...]
    network: bool
    executable: tuple[str, ...]
    links: Mapping[str, str]


def run(ctx: Context) -> None:
    """Run the command; take what it made."""
    params = BuildParams.of(ctx)
    top = ctx.work / "copy"
    top.mkdir()
    ctx.say("copying the inputs")
    for role, path in ctx.inputs.items():
        inside = role.removeprefix(INPUT)
        _copy(path, top / inside, params.epoch, executable=inside in params.executable)
    for inside, target in params.links.items():
        _link(top / inside, target, params.epoch)
    root = ctx.work / "root"
    places = [*_system(root, network=params.network), ("w", str(top), _HOME.lstrip("/"))]
    places += _kept(ctx, params, top)
    (root / "build").mkdir()
    _settle(root, params.epoch)
    _settle(top, params.epoch)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    env = {
        "PATH": _PATH,
        "HOME": "/tmp",  # noqa: S108  the sandbox's own
        "TMPDIR": "/tmp",  # noqa: S108
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(params.epoch),
        "MAKEFLAGS": f"-j{len(os.sched_getaffinity(0))}",
        **params.env,
    }
    words: list[str | Path] = ["--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", _INSIDE, "sh", root]
    words += [word for place in places for word in place]
    words += ["--", ctx.tool("env"), "-i", f"PATH={_PATH}"]
    words += [ctx.tool("setpriv"), f"--bounding-set={_RIGHTS}", "--inh-caps=-all", "--no-new-privs", "--"]
    words += [ctx.tool("chroot"), ".", "/bin/sh", "-c", _START, "sh"]
    words += [*(f"{name}={value}" for name, value in env.items()), "--", *params.command]
    ctx.say(f"running {params.name}")
    try:
        ctx.run("unshare", *words, root=True, network=params.network)
    except ToolFailed as error:
        hint = "It sees its inputs and the host's programs alone: name in inputs what else it reads. " + error.hint
        raise ToolFailed(f"the build {params.name} failed", hint, tail=error.tail, status=error.status) from error
    shutil.copyfile(_made(top, params), ctx.outputs["file"])


def _made(top: Path, params: BuildParams) -> Path:
    """Return the file that a command made: no link leads out of the copy. Raises StageError."""
    made = top / params.output
    if not os.path.lexists(made):
        raise StageError(
            f"the build {params.name} made no {shown(params.output)}", "Let it, or name in output what it does make."
        )
    there = Path(os.path.realpath(made))  # Path.resolve() fails where a link leads to itself
    if not there.is_relative_to(os.path.realpath(top)) or not there.is_file():
        what = "a folder: let the command pack it into a file" if made.is_dir() else "no file"
        raise StageError(f"{shown(params.output)} of the build {params.name} is {what}", "A build makes one file.")
    return made


def _kept(ctx: Context, params: BuildParams, top: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the places of folders that are kept from one run to the next."""
    for number, name in enumerate(params.scratch):
        folder = Path(str(ctx.hints[SCRATCH])) / str(number)
        if not folder.is_dir():  # one that is kept may be another's, of the user namespace that made it
            folder.mkdir(parents=True)
            folder.chmod(0o755)
        _make_place(top, name, params.name)
        yield "w", str(folder), f"{_HOME.lstrip('/')}/{name}"


def _make_place(top: Path, name: str, build: str) -> None:
    """Make the folder that a kept one is mounted on, none of whose steps is led out of the copy by a link."""
    at = top
    for step in name.split("/"):
        at /= step
        if at.is_symlink() or (at.exists() and not at.is_dir()):
            what = f"{shown(at.relative_to(top))} of the build {build} is among its inputs, and is no folder"
            raise StageError(what, f"Let scratch name another folder than {shown(name)}, or leave that out of inputs.")
        if not at.exists():
            at.mkdir()


def _system(root: Path, *, network: bool) -> Iterator[tuple[str, str, str]]:
    """Make a root; yield what of the host is to be in it, and where."""
    for name in ("proc", "dev", "etc", "tmp", "var/tmp", "run"):
        (root / name).mkdir(parents=True)
    for name in _SYSTEM:
        there = Path("/", name)
        if there.is_symlink():
            (root / name).symlink_to(there.readlink())
        elif there.is_dir():
            (root / name).mkdir(parents=True)
            yield "r", str(there), name
    yield from _settings(root, network=network)


def _settings(root: Path, *, network: bool) -> Iterator[tuple[str, str, str]]:
    """Make /etc: who there is, and of the host's what its programs need to find each other, or others elsewhere."""
    for name, text in _ACCOUNTS.items():
        (root / "etc" / name).write_text(text)
        (root / "etc" / name).chmod(0o644)
    for pattern in (*_SETTINGS, *(_NETWORK if network else ())):
        for there in sorted(Path("/etc").glob(pattern)):
            place = root / "etc" / there.name
            if there.is_dir():
                place.mkdir()
            elif there.is_file():
                place.touch()
            else:
                continue
            yield "r", str(there.resolve()), f"etc/{there.name}"


def _copy(source: Path, target: Path, epoch: int, *, executable: bool) -> None:
    """Copy an input: a file or a folder, 0755 or 0644 by the exec bit, of one time, links as they are.

    Folders have their mode and time of `_settle`: whatever is made in one changes its time.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not source.is_dir():
        if not source.is_file():
            raise StageError(f"{shown(source)} is no file or folder", "Name in inputs what is there.")
        _copy_file(source, target, 0o755 if executable else 0o644, epoch)
        return
    target.mkdir(exist_ok=True)
    with host_files.steady(source):
        for path, file, status in host_files.below(source):
            place = target / path
            if stat.S_ISDIR(status.st_mode):
                place.mkdir(exist_ok=True)
            elif stat.S_ISREG(status.st_mode):
                _copy_file(file, place, status.st_mode, epoch)
            elif stat.S_ISLNK(status.st_mode):
                _link(place, os.readlink(file), epoch)  # noqa: PTH115  any bytes, as they are
            else:
                raise StageError(
                    f"{shown(file)} is no file, folder or link", "Remove it, or name what is needed of it."
                )


def _link(place: Path, target: str, epoch: int) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)
    os.utime(place, (epoch, epoch), follow_symlinks=False)


def _copy_file(source: str | Path, target: Path, mode: int, epoch: int) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o755 if mode & 0o111 else 0o644)
    os.utime(target, (epoch, epoch))


def _settle(top: Path, epoch: int) -> None:
    """Give a folder and all folders below it one mode and one time, whatever our umask and the clock are."""
    for folder, _, _ in os.walk(top, topdown=False):
        Path(folder).chmod(0o755)
        os.utime(folder, (epoch, epoch))
