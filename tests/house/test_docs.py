"""The pages, held to what the program does: each recipe in them loads, each command line in them is one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bootsmith.tasks.command.command import Command
from bootsmith.tasks.command.table import COMMANDS, GROUPS, IMAGE
from bootsmith.tasks.recipe.load import examine, load
from bootsmith.tasks.recipe.loaders.kinds import KINDS
from bootsmith.tasks.recipe.model.disk import Partition

from tests.support.checkout import CHECKOUT
from tests.support.document_pages import PAGES, Passage, blocks, command_lines, passages, words
from tests.support.project import Project
from tests.support.recipe_folder import SOURCE

RECIPES = CHECKOUT / "recipes"
TASKS: dict[str, dict[str, type]] = {name: {} for name in GROUPS}
TASKS["image"] = {f"--{each['long']}": each["type"] for each in IMAGE}
for command in COMMANDS:
    names = [(name, each["type"]) for each in command.params for name in (f"--{each['long']}", f"-{each['short']}")]
    TASKS[command.name] = {name: kind for name, kind in names if name != "-"}
TAKERS = [command.name for command in COMMANDS if command.positional]
OWN = ("test", "soak", "bench")  # tasks of this repository's dodo.py
DOITS: dict[str, dict[str, type]] = {"list": {"-s": bool}, "info": {}, "clean": {}, "forget": {}, "help": {}}
RUN: dict[str, type] = {"-a": bool, "-n": str, "-s": bool}
STAND_INS = ("ARGS", "STAGE")
EXAMPLES = ("base", "web")  # recipes that a reader has
ABSENT = re.compile(r"none of these is there: ([^ ,;]+)|([^ ]+) does not exist;")


def recipes(text: str) -> list[str]:
    """Return the recipes of a block: a page may show several ways to write a section, one below the other."""
    found: list[dict[str, str]] = [{}]
    key = ""
    for line in text.splitlines(keepends=True):
        if line[:1].isalpha():
            key = line.partition(":")[0]
            if key in found[-1]:
                found.append({})
        found[-1][key] = found[-1].get(key, "") + line
    return ["".join(each.values()) for each in found]


def with_a_source(text: str) -> str:
    """Return a recipe of which a page shows only what it is about, with the source that goes with that."""
    if re.search(r"^source:", text, re.MULTILINE):
        return text
    alone = "multiboot" in text or ".py" in text
    return text + ("source: none\n" if alone else SOURCE)


def mistakes(text: str, given: dict[str, str], loader: str = "") -> list[str]:
    """Return what is wrong with a recipe in a folder that holds every file it names, and what recipes here have."""
    if not Path("files").exists():
        shutil.copytree(RECIPES / "files", "files")
        Path("server").mkdir()
        Path("server/main.c").touch()
    file = Path("x.yaml")
    file.write_text(text)
    while True:
        problems = examine(file, overrides=given)[1].lines()
        absent = [found for line in problems if (found := ABSENT.search(line))]
        if not absent:
            return problems
        for found in absent:
            path = Path(found[1] or found[2])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir() if "that directory" in found.string else path.write_text(loader)


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.name)
def test_recipes_in_pages_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: Passage) -> None:
    """What a page shows of a recipe is right as it stands, beside a source and the files it names."""
    (tmp_path / "recipes").mkdir()
    monkeypatch.chdir(tmp_path / "recipes")
    for name in ("base", "tools"):
        (tmp_path / f"recipes/{name}.yaml").write_text("source: none\nboot: {kernel: none}\noutputs: [tar, tgz]\n")
    loader = next((each.text for each in blocks("python") if each.page == block.page), "")
    for text in recipes(block.text):
        given = dict.fromkeys(re.findall(r"^  (\w+): \{help:", text, re.MULTILINE), "x")
        assert mistakes(with_a_source(text), given, loader) == [], text


def test_a_wrong_recipe_in_a_page_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above sees a misspelt key, and one of several ways to write a section that is wrong."""
    monkeypatch.chdir(tmp_path)
    first, second = recipes("boot: {loader: direct}\n# or\nboot: {laoder: efistub}\n")
    assert mistakes(with_a_source(first), {}) == []
    assert len(mistakes(with_a_source(second), {})) == 1


def unknown(line: str, page: str = "") -> list[str]:
    """Return what is no task, recipe, option, variable or key in a command line of a page."""
    found, variables, recipe, taker, value = list[str](), dict[str, str](), "minimal", "", False
    typed = [word.replace("[:NAME]", "") for word in words(line)]
    command = typed[0] if typed else ""
    options = DOITS.get(command, RUN)
    for word in typed[command in DOITS :]:
        task, _, name = word.partition(":")
        option = word.partition("=")[0]
        if value:
            value = False
        elif taker == "ssh" or (task in OWN and not taker):
            break  # the rest is for the guest, or for pytest
        elif word.startswith("-"):
            found += [] if option in options else [word]
            value = option == word and options.get(word, bool) is not bool
        elif taker:
            continue  # the file that it takes
        elif task in TASKS:
            options, taker = TASKS[task], task if task in TAKERS else ""
            recipe = name if name and name not in EXAMPLES else recipe
        elif option != word:
            variables[option] = re.sub("^~/", "/home/me/", word.partition("=")[2])
        elif word not in STAND_INS:
            found.append(word)
    file = RECIPES / f"{recipe}.yaml"
    if not file.is_file():
        return [*found, recipe]
    own = {"recipe", "profile", "at", *re.findall(r"^  (\w+): ", page, re.MULTILINE)}  # the page's own variables
    given = {name: text for name, text in variables.items() if name not in own}
    problems = examine(file, overrides=given)[1].lines()
    return found + [each for each in problems if "does not exist" not in each and "must be given" not in each]


@pytest.mark.parametrize("line", list(command_lines()), ids=lambda line: line.name)
def test_command_lines_in_pages_are_some(line: Passage) -> None:
    """What a page tells to type names tasks, options, recipes, variables and keys that there are."""
    assert unknown(line.text, line.page.read_text()) == [], line.text


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("imaeg", "imaeg"),
        ("image:nowhere", "nowhere"),
        ("run-uefi --memroy 2G disk.img", "--memroy"),
        ("run-uefi disk.img --memory 2G", ""),
        ("qemu-test --entry recovery --focre", "--focre"),
        ("list -x", "-x"),
        ("disk.siez=64G image", "command line: disk.siez: there is no such key; did you mean disk.size?"),
        ("ssh journalctl -b", ""),
    ],
)
def test_a_wrong_command_line_in_a_page_is_found(line: str, wrong: str) -> None:
    """The test above sees a misspelt task, recipe, option and key, wherever options stand."""
    assert unknown(line) == [wrong] * bool(wrong)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_and_option_is_told_of(command: Command) -> None:
    """Each command has a page that names it; each of its options has a page too, and a line of help."""
    told = " ".join(each.text for each in passages() if each.language != "yaml")
    assert command.doc
    assert re.search(rf"(?<![\w-]){command.name}(?![\w-])", told)
    for param in command.params:
        assert param["help"]
        names = f"--{param['long']}" + f"|-{param['short']}" * bool(param["short"])
        assert re.search(rf"(?<![\w-])({names})(?![\w-])", told), names


def test_options_in_pages_are_some() -> None:
    """What a page sets in code as an option is one of ours."""
    ours = {option for options in TASKS.values() for option in options} | {"--option", "--cache"}
    spans = [each for each in passages() if each.language == "span" and re.match(r"--\w", each.text)]
    assert len(spans) > 30
    assert [each.name for each in spans if each.text.split("=")[0].split()[0] not in ours] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A link in a page names a file that is there, and a heading in it."""
    for target, _, heading in re.findall(r"\]\(([^)#:]*)(#([^)]+))?\)", page.read_text()):
        file = page.parent / target if target else page
        assert file.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
            assert heading in anchors, f"{target}#{heading}"


def test_every_page_is_found_from_the_way_in() -> None:
    """docs/README.md leads to each page below docs/, decisions too; README.md leads to it."""
    way_in = CHECKOUT / "docs/README.md"
    linked = {(way_in.parent / target).resolve() for target in re.findall(r"\]\(([^)#:]+)", way_in.read_text())}
    pages = {page.resolve() for page in way_in.parent.rglob("*") if page.is_file()} - {way_in.resolve()}
    assert sorted(pages - linked) == []
    assert "(docs/README.md)" in (CHECKOUT / "README.md").read_text()


def test_stages_that_pages_show_are_some(tmp_path: Path) -> None:
    """A line that a page shows of a run is of a stage that the default recipe has, or the one it names."""
    shown = [
        (each.name, match[1])
        for each in passages()
        if not each.language and each.page.name != "tutorial.md"  # which is run, and is of a recipe of its own too
        for match in re.finditer(r"^(?:built|fresh|restored) +(\S+) ", each.text, re.MULTILINE)
    ]
    listed = {line.split()[0] for line in Project.make(tmp_path, None).doit("list", "--all").splitlines() if line}
    assert len(shown) > 20
    assert [each for each in shown if each[1] not in listed] == []


def test_the_usual_layouts_are_as_the_reference_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of usual layouts holds what a recipe without partitions gets of each loader."""
    page = (CHECKOUT / "docs/reference/recipe.md").read_text().partition("## The usual layouts")[2]
    rows = re.findall(
        r"^\| (\[?[a-z][\w, -]+\]?) \| (gpt|mbr|none) \| (.*) \|$", page.partition("## Mistakes")[0], re.MULTILINE
    )
    assert {loader for loader, _, _ in rows} >= set(KINDS)
    monkeypatch.chdir(tmp_path)
    for loader, table, partitions in rows:
        Path("x.yaml").write_text(f"{SOURCE}boot: {{loader: {loader}}}\n")
        disk = load(Path("x.yaml")).disk
        told = "; ".join(_layout(each) for each in disk.partitions.values())
        assert (table, partitions) == (disk.table, told), loader


def _layout(partition: Partition) -> str:
    """Return a partition as the table has it."""
    size = "" if isinstance(partition.size, str) else f"{partition.size >> 20}M"
    fs = "" if partition.fs == "none" else partition.fs
    mount = f"`{partition.mount}`" if partition.mount else ""
    return f"`{partition.name}`: {', '.join(filter(None, (size, fs, mount)))}"


def test_other_blocks_in_pages_are_what_they_say() -> None:
    """JSON is JSON, and Python compiles."""
    for block in blocks("json"):
        json.loads(block.text)
    for block in blocks("python"):
        compile(block.text, block.name, "exec")
    assert {each.language for each in passages()} == {"", "span", "sh", "yaml", "json", "python"}


@pytest.mark.boot
def test_the_loader_that_its_page_writes_boots(tmp_path: Path) -> None:
    """The page on writing a loader, followed to the letter in a folder of one's own, ends in a boot that passes."""
    page = CHECKOUT / "docs/loaders/writing-a-loader.md"
    (recipe,), (loader,) = ([each for each in blocks(kind) if each.page == page] for kind in ("yaml", "python"))
    (tmp_path / "files").mkdir()
    (tmp_path / "files/banner.txt").write_text("hello\n")
    (tmp_path / "banner.py").write_text(loader.text)
    (tmp_path / "my.yaml").write_text(recipe.text)
    (tmp_path / "dodo.py").write_text(next(each.text for each in blocks("python") if each.page.name == "README.md"))
    done = subprocess.run(
        [sys.executable, "-m", "doit", "qemu-test", "--accel", "tcg"],
        cwd=tmp_path, text=True, capture_output=True, check=False,
        env={**os.environ, "BOOTSMITH_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(CHECKOUT / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 expectations met" in done.stdout
