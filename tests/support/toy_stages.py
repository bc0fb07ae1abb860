"""A project of toy stages on the real engine: quick enough to try every way a build can go wrong.

`source` -> rootfs -> layers/upper -> assemble -> convert/qcow2, and `tree` -> layers/tree. A stage's run is counted in
the file `runs`, which no key sees.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.checkout import CHECKOUT

DODO = """
    import toyplan
    toyplan.install()
    from bootsmith.tasks import image_tasks
    DOIT_CONFIG, task_bootsmith = image_tasks("toy.yaml")
"""

PLAN = '''
    """Plans whose recipe is one line of text: the option of the stage layers/upper."""
    from pathlib import Path
    from bootsmith.tasks.errors import RecipeError
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.command.session import Session
    from bootsmith.tasks.build.site import Site
    from bootsmith.tasks.build.secret import Secret
    from bootsmith.tasks.build.stage import Stage
    from bootsmith.tasks.tools import catalogue
    from bootsmith.tasks.tools.tool import Tool, packaged

    def make(session, file, name, reads=None):
        top, stem = session.top, file.stem
        option = file.read_text().strip()
        if option == "broken":
            raise RecipeError([f"{file.name}:1:1: this recipe is broken; mend it"])
        option = session.invocation.variables.get("option", option)
        build = top / "build" / stem
        counted = {"runs": str(top / "runs")}
        def stage(name, function, inputs, outputs, **more):
            return Stage(name, f"toystages:{function}", inputs, outputs, hints=counted, **more)
        stages = (
            stage("rootfs", "copy", {"source": top / "source"}, {"out": build / "base"}, tools=("toytool",)),
            stage("layers/tree", "names", {"tree": top / "tree"}, {"out": build / "names"}),
            stage("layers/upper", "upper", {"base": build / "base"}, {"out": build / "upper"},
                  params={"option": option}, secrets={"password": Secret(file=top / "password")}),
            stage("assemble", "join", {"upper": build / "upper", "names": build / "names"},
                  {"disk": build / "disk.raw"}, stored=False, carry="disk"),
            stage("convert/qcow2", "copy", {"disk": build / "disk.raw"}, {"out": build / "disk.qcow2"}, stored=False),
        )
        return Plan(Site(stem, build, top / "toy.lock", 0), file, "a toy", stages,
                    (build / "disk.raw", build / "disk.qcow2"))

    def recall(session, file):
        try:
            return make(session, file, None)
        except (RecipeError, OSError):
            return None

    def install():
        Session._make = make
        Session._recall = recall
        catalogue.TOOLS["toytool"] = Tool("toytool", "toys", packaged("toys"))
'''

STAGES = '''
    """What the toy stages do."""
    import os
    from bootsmith.tasks.errors import StageError

    def count(context):
        with open(context.hints["runs"], "a") as runs:
            runs.write(context.stage.name + "\\n")

    def copy(context):
        count(context)
        (source,) = context.inputs.values()
        (out,) = context.outputs.values()
        data = source.read_bytes()
        if data.startswith(b"fail"):
            raise StageError("the source says fail", "Write something else into it.")
        if data.startswith(b"edit"):
            source.write_bytes(b"edited during the build")
        out.write_bytes(data)
        if "toytool" in context.stage.tools:
            context.run("toytool", context.hints["runs"])

    def names(context):
        count(context)
        found = sorted(p.relative_to(context.inputs["tree"]).as_posix() for p in context.inputs["tree"].rglob("*"))
        context.outputs["out"].write_text("\\n".join(found))

    def upper(context):
        """Only the first line counts: an edit below it is cut off here."""
        count(context)
        line = context.inputs["base"].read_text().splitlines()[0].upper()
        context.outputs["out"].write_text(line + str(context.params["option"]) + str(len(context.secret("password"))))

    def join(context):
        count(context)
        joined = b"".join(context.inputs[role].read_bytes() for role in ("upper", "names"))
        if context.previous:
            context.previous.write_bytes(joined)
            os.replace(context.previous, context.outputs["disk"])
        else:
            context.outputs["disk"].write_bytes(joined)
'''

TOOL = """#!/bin/sh
# Where a fifo asks for it: say that we started, then take long. Where a gate does: until it is opened.
if [ -p "$1.fifo" ]; then echo started > "$1.fifo"; exec sleep 1000; fi
if [ -p "$1.gate" ]; then echo started > "$1.gate"; read -r _ < "$1.gate"; fi
echo toy 1
"""


ENTRIES = {"doit": "doit", "doitw": "bootsmith.tasks.command.start"}
"""What a user types, and the module that is run."""

ALL = ["assemble", "convert/qcow2", "layers/tree", "layers/upper", "rootfs"]
"""The stages, in name order."""


@dataclass
class Project:
    """A toy project in a folder of its own, with a cache of its own; `variables` are added to doit's environment.

    `entry` is the module that is run as doit: doit itself, or what ./doitw runs.
    """

    top: Path
    variables: dict[str, str] = field(default_factory=dict)
    entry: str = "doit"

    @classmethod
    def make(cls, top: Path, cache: Path | None = None) -> Project:
        """Write the project below `top`."""
        for name, text in (("dodo.py", DODO), ("toyplan.py", PLAN), ("toystages.py", STAGES)):
            (top / name).write_text(textwrap.dedent(text))
        (top / "toy.yaml").write_text("one\n")
        (top / "source").write_text("first line\nsecond line\n")
        (top / "password").write_text("hunter2\n")
        (top / "tree").mkdir()
        (top / "tree/a").write_text("a")
        (top / "bin").mkdir()
        (top / "bin/toytool").write_text(TOOL)
        (top / "bin/toytool").chmod(0o755)
        project = cls(top)
        project.cache = cache or top / "cache"
        return project

    def environment(self) -> dict[str, str]:
        """Return what the project's doit runs with."""
        return {
            "PATH": f"{self.top / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.top),
            "PYTHONPATH": str(CHECKOUT / "src"),
            "BOOTSMITH_CACHE": str(self.cache),
            **self.variables,
        }

    def doit(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `doit WORDS` here."""
        return subprocess.run(
            [sys.executable, "-m", self.entry, *words],
            cwd=self.top,
            env=self.environment(),
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def before_doit(self, *words: str) -> str | None:
        """Run `doitw WORDS` where doit cannot be loaded: what it said, or None where it asked for doit."""
        program = "import sys; sys.modules['doit'] = None; from bootsmith.tasks.command.start import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=self.top,
            env=self.environment(),
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            assert re.search(r"ModuleNotFoundError: .*\bdoit\b.*\n$", done.stderr), done.stderr
            assert "fresh" not in done.stdout
            return None
        assert done.stderr == ""
        return done.stdout

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `doit WORDS` here, in a process group of its own."""
        return subprocess.Popen(
            # As on a terminal: a shell that starts the tests in its background, or by nohup, has them ignore some
            ["env", "--default-signal=INT,HUP", sys.executable, "-m", self.entry, *words],
            cwd=self.top,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def image(self, *words: str) -> list[str]:
        """Run `doit image` (or `words`), which must succeed; return the stages that ran, in name order."""
        before = len(self.runs())
        done = self.doit(*(words or ("image",)))
        assert done.returncode == 0, done.stdout + done.stderr
        return sorted(self.runs()[before:])

    def runs(self) -> list[str]:
        """Return the stages that ever ran here, in order."""
        path = self.top / "runs"
        return path.read_text().splitlines() if path.exists() else []

    def disk(self) -> str:
        """Return the content of the final image."""
        return (self.top / "build/toy/disk.qcow2").read_text()


def snapshot(project: Project) -> dict[str, tuple[int, int, bytes]]:
    """Inode, mtime and content of every output."""
    found = [path for path in (project.top / "build/toy").iterdir() if path.is_file()]
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in found}
