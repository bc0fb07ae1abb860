"""What a toy project is made of: its dodo.py, plan, stages and the tool they run.

`source` -> rootfs -> layers/upper -> assemble -> convert/qcow2, and `tree` -> layers/tree. A stage's run is counted in
the file `runs`, which no key sees.
"""

from __future__ import annotations

DODO = """
    from bootsmith.tasks import image_tasks
    DOIT_CONFIG, task_bootsmith = image_tasks("toy.yaml")
"""

CUSTOM = """
    import toyplan
    toyplan.install()
"""
"""What every Python of the project begins with: its dodo.py is like any other."""

PLAN = '''
    """Plans whose recipe is one line of text: the option of the stage layers/upper."""
    from pathlib import Path
    from bootsmith.tasks.errors import RecipeError
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.command.session import Session
    from bootsmith.tasks.planning import products
    from bootsmith.tasks.build.secret import Secret
    from bootsmith.tasks.build.stage import Stage
    from bootsmith.tasks.tools import catalogue
    from bootsmith.tasks.tools.tool import Tool, packaged

    def make(session, file, name, reads=None):
        from bootsmith.tasks.command.actions import image_machines, images
        image_machines.refuse_uefi = image_machines.refuse_bios = images.refuse  # no recipe tells what starts it
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
        return products.complete(Plan(stem, build, top / "toy.lock", 0, file, "a toy", stages,
                                      (build / "disk.raw", build / "disk.qcow2")))

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
        if data.startswith(b"edit me"):
            source.write_bytes(b"edited during the build")
        out.write_bytes(data)
        if "toytool" in context.stage.tools:
            context.run("toytool", context.hints["runs"])

    def names(context):
        count(context)
        found = sorted(p.relative_to(context.inputs["tree"]).as_posix() for p in context.inputs["tree"].rglob("*"))
        context.outputs["out"].write_text("\\n".join(found))

    def upper(context):
        """Only the first line counts: an edit below it is cut off here. What is just being written may be empty."""
        count(context)
        line = context.inputs["base"].read_text().ljust(1, "\\n").splitlines()[0].upper()
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
