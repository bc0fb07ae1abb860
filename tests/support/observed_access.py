"""What a stage really reaches for while it runs: our modules, and files, its programs' too where strace looks on."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bootsmith.cache.digest.code import modules
from bootsmith.cache.digest.memo import Memo
from bootsmith.tasks.build.identities import entry_modules
from bootsmith.tasks.build.secret import read_secret
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.tools import host, identity

from tests.support.checkout import CHECKOUT

_LIBRARIES = "c m z bz2 lzma ffi uuid crypto ssl pthread cap-ng attr seccomp"

REASONS = {
    r"(.*/)?libcrypt\.so\.[12][.\d]*": "crypt(3) by SHA-512 is one function in all of them, and its result is checked",
    r"/etc/(passwd|group|subuid|subgid|nsswitch\.conf)": "which subordinate ids are the caller's",
    r"/etc/ld\.so\.(cache|preload)": "which libraries programs are given: their identities count those",
    rf"/usr/lib\S*/lib({'|'.join(_LIBRARIES.split())})[.-][\w.]*": "of Python's own modules, the walls, coreutils",
    r"/usr/lib/locale/C\.utf8/.*|/etc/locale\.alias": "C.UTF-8 is the locale of every program: messages, and no other",
    r".*/gconv/gconv-modules\.cache": "where conversions are; the one that matters is FAT's code page, counted as data",
    r"/usr/share/zoneinfo/(Etc/)?UTC": "TZ=UTC is the time zone of every program: it has no rules",
    r"/etc/ssl/openssl\.cnf": "Python's hashes begin by it; openssl, the program, is given none",
    r"/usr/bin/(setpriv|unshare|dash|sh)": "the walls round programs, which write nothing",
    r"/etc/mtools\.conf": "all of mtools' settings are overruled by ours",
}
"""What may be reached for besides, and why it shapes no output: patterns of whole paths."""

PACKAGES = {"bootsmith", "bootsmith.tasks", "bootsmith.cache"}
"""What importing a module below runs besides: names and paths, and nothing that makes anything."""

PROGRAM = """
import importlib, json, os, pickle, sys
from pathlib import Path
from bootsmith.tasks.build.context import StageContext

stage, outputs, work, told, tools, secrets = pickle.loads(Path(sys.argv[1]).read_bytes())
opened = set()


class ToolRunner:  # as the engine's, of which a stage that runs none needs no code
    find = tools.get

    def run(self, *words, **options):
        from bootsmith.tasks.build import tool_runner

        return tool_runner.ToolRunner(self.find, None).run(*words, **options)


class Supplies:
    def secret(self, stage, role):
        return secrets[role]


class Indexes:  # as the engine's, which are code of no stage: what they need is as if it had not been loaded
    before, claimed, earlier = {}, {}, None

    def of_input(self, role):
        loaded = set(sys.modules)
        from bootsmith.tasks.build import indexes

        found = indexes.Indexes(stage.inputs, None).of_input(role)
        for name in set(sys.modules) - loaded:
            del sys.modules[name]
        return found


def hook(event, args):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(args[0], (str, bytes)):
        opened.add(os.path.abspath(os.fsdecode(args[0])))
    elif event == "ctypes.dlopen" and args[0]:
        opened.add(os.fsdecode(args[0]))

context = StageContext(stage, outputs, work, ToolRunner(), Supplies(), Indexes(), None, print, print)
sys.addaudithook(hook)
module, _, function = stage.run.partition(":")
getattr(importlib.import_module(module), function)(context)
ours = sorted(name for name in sys.modules if name.partition(".")[0] == "bootsmith")
ours = [name for name in ours if getattr(sys.modules[name], "__file__", None)]
told.write_text(json.dumps([ours, sorted(opened)]))
"""


@dataclass(frozen=True)
class Access:
    """What a stage loaded of ours, and the files that were opened."""

    modules: set[str]
    files: set[str]


def run(stage: Stage, folder: Path, *, strace: bool = False) -> Access:
    """Run a stage in a process of its own, its outputs to their places; `folder` is for what is in between."""
    work, told, trace = folder / "work", folder / "told", folder / "trace"
    work.mkdir(parents=True)
    made = {role: folder / f"made-{number}" / path.name for number, (role, path) in enumerate(stage.outputs.items())}
    for path in made.values():
        path.parent.mkdir()
    plain = {name: dict(getattr(stage, name)) for name in ("inputs", "outputs", "params", "hints", "listings")}
    plain["secrets"] = {}  # read beforehand
    tools = {name: host.find(name) for name in stage.tools}
    secrets = {role: read_secret(each, role) for role, each in stage.secrets.items()}
    (folder / "stage").write_bytes(pickle.dumps((stage._replace(**plain), made, work, told, tools, secrets)))
    watch = tracer(trace) if strace else []
    argv = [*watch, sys.executable, "-c", PROGRAM, folder / "stage"]
    done = subprocess.run(argv, cwd=folder, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{stage.name}: {done.stderr}"
    loaded, opened = json.loads(told.read_text())
    for role, path in stage.outputs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        made[role].replace(path)
    return Access(set(loaded), {*opened, *(traced(trace) if strace else ())})


def tracer(trace: Path) -> list[str]:
    """Return the words before a program that has what it and its children open noted beside `trace`."""
    return ["strace", "-ff", "-y", "-e", "trace=open,openat,execve,chroot", "-o", str(trace)]


def traced(trace: Path) -> set[str]:
    """Return what was noted: files that were opened; and programs, unless some process left for another root."""
    noted = "".join(each.read_text(errors="surrogateescape") for each in trace.parent.glob(f"{trace.name}.*"))
    opened = re.findall(r"^open(?:at)?\(.* = \d+<(/.*)>$", noted, re.MULTILINE)
    if re.search(r"^chroot\(.* = 0$", noted, re.MULTILINE):
        return set(opened)  # a program's path is as that process says it, a file's as it is here
    return {*opened, *re.findall(r'^execve\("(/[^"]*)".* = 0$', noted, re.MULTILINE)}


def undeclared_code(stage: Stage, reach: Access) -> set[str]:
    """Return the modules that a stage loaded and its key does not count."""
    counted: set[str] = set()
    for name in entry_modules(stage):
        counted |= {*modules(name)}
    return reach.modules - counted - PACKAGES


def undeclared_files(stage: Stage, reach: Access, folder: Path, memo: Memo) -> set[str]:
    """Return what was opened that is no input or output, of no declared tool, not ours, Python's or the kernel's."""
    roots = [
        *map(str, stage.inputs.values()),
        *(str(each.file) for each in stage.secrets.values() if each.file),
        *(str(folder), str(CHECKOUT), sys.prefix, sys.base_prefix, "/proc", "/sys", "/dev"),
    ]
    held = {os.path.realpath(root) for root in roots}
    looked_into = {os.path.realpath(each) for each in (*sys.path, *(path.parent for path in stage.inputs.values()))}
    tools: set[str] = set()
    for name in stage.tools:
        about = identity.about(identity.of_tool(name, memo), memo)
        assert about is not None, name
        tools |= {os.path.realpath(file) for file in (host.find(name), *about["files"])}
    found = {os.path.realpath(file) if file.startswith("/") else file for file in reach.files}
    found -= tools | looked_into  # folders alone: of Python's modules, of an input that a packer reads
    found = {each for each in found if not any(re.fullmatch(reason, each) for reason in REASONS)}
    return {each for each in found if not any(each == root or each.startswith(f"{root}/") for root in held)}
