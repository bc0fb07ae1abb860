"""How quick bootsmith is where it counts, as ratios of whole processes measured in turn within one run.

A ratio says something on a noisy machine; an absolute time proves little. `./doitw bench` prints the table;
`./doitw bench noop` and the like measure one row. Nothing here passes or fails.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.cache.store.store import Store

from benchmarks import formats, growth, stored

CHECKOUT = Path(__file__).parent.parent
DODO = 'from bootsmith.tasks import image_tasks\nDOIT_CONFIG, task_bootsmith = image_tasks("recipes/minimal.yaml")\n'


@dataclass
class Bench:
    """A project of its own below `top`, with a cache of its own; packages are fetched before anything is measured."""

    top: Path

    @property
    def project(self) -> Path:
        return self.top / "project"

    @property
    def cache(self) -> Path:
        return self.top / "cache"

    @property
    def recipe(self) -> Path:
        return self.project / "recipes/minimal.yaml"

    def prepare(self) -> None:
        """Copy the recipe, fetch its packages, build it once."""
        shutil.rmtree(self.top, ignore_errors=True)
        self.project.mkdir(parents=True)
        shutil.copytree(CHECKOUT / "recipes", self.project / "recipes", ignore=shutil.ignore_patterns("secrets"))
        (self.project / "dodo.py").write_text(DODO)
        print("preparing: fetching packages, building once", flush=True)
        self.doit("image")

    def doit(self, *words: str) -> float:
        """Run `doit WORDS`; return its seconds."""
        return self.seconds([sys.executable, "-m", "doit", *words])

    def seconds(self, argv: Sequence[str | Path]) -> float:
        """Run a program to its end, quietly; return its seconds. Raises SystemExit where it fails."""
        environment = os.environ | {"BOOTSMITH_CACHE": str(self.cache), "PYTHONPATH": str(CHECKOUT / "src")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled code is what users have
        started = time.perf_counter()
        done = subprocess.run(argv, cwd=self.project, env=environment, capture_output=True, text=True, check=False)
        took = time.perf_counter() - started
        if done.returncode:
            sys.exit(f"{' '.join(map(str, argv))} failed:\n{done.stdout}{done.stderr}")
        return took

    def processor(self, *argv: str | Path) -> float:
        """Run a program to its end, quietly; return the seconds of the processor that it took, with those it ran."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.seconds(argv)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def full(self) -> float:
        """Build everything, the packages at hand and nothing else."""
        shutil.rmtree(self.project / "build")
        for path in self.cache.iterdir():
            if path.name != "sha256":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return self.doit("image")

    def floor(self) -> float:
        """Do the same by hand."""
        work = Path(tempfile.mkdtemp(prefix="bootsmith-floor-", dir="/dev/shm"))
        repository = self.top / "repository"
        if not repository.exists():
            self._make_repository(repository)
        overlay = self.project / "recipes/files/minimal"
        try:
            return self.seconds([CHECKOUT / "benchmarks/floor.sh", repository, overlay, work])
        finally:
            shutil.rmtree(work)

    def _make_repository(self, repository: Path) -> None:
        from bootsmith.tasks.packages import debs, lockfile

        lock = lockfile.read(self.recipe.with_suffix(".lock"))
        store = Store(self.cache)
        found = [(package, path) for package in lock.packages if (path := store.path_sha256(package.sha256))]
        debs.write_repository(repository, "trixie", found, lambda deb: subprocess.check_output(["dpkg-deb", "-f", deb]))


def noop(bench: Bench) -> str:
    """Nothing to do, by the wrapper and by doit itself, against importing doit (aim 1.3)."""
    wrapper = CHECKOUT / "doitw"
    bench.seconds([wrapper, "image"])
    rounds = [
        (bench.seconds([wrapper, "image"]), bench.doit("image"), bench.seconds([sys.executable, "-c", "import doit"]))
        for _ in range(25)
    ]
    return "\n".join(
        (
            _row("no-op by ./doitw / import doit", [wrapped / floor for wrapped, _, floor in rounds], 1.3),
            _row("no-op by doit / import doit", [plain / floor for _, plain, floor in rounds], 1.3),
        )
    )


def edits(bench: Bench) -> str:
    """One file, then the kernel's command line, to a bootable raw, against the full build (aims 0.04, 0.03)."""
    full = statistics.median(bench.full() for _ in range(2))
    motd = bench.project / "recipes/files/minimal/etc/motd"
    text, motd_text = bench.recipe.read_text(), motd.read_text()

    def edit_file(number: int) -> None:
        motd.write_text(f"{motd_text}edit {number}\n")

    def edit_cmdline(number: int) -> None:
        bench.recipe.write_text(_with_cmdline(text, number))

    rows = []
    for name, edit, aim in (("one file", edit_file, 0.04), ("cmdline", edit_cmdline, 0.03)):
        rows.append(_row(f"{name} edited to raw / full build", _measure(bench, edit, full), aim))
    motd.write_text(motd_text)
    bench.recipe.write_text(text)
    return "\n".join(rows)


def _with_cmdline(recipe: str, number: int) -> str:
    """Return a recipe's text with another word for the kernel."""
    rest = recipe.replace("boot: {loader: systemd-boot}", "")
    return f"{rest}boot: {{loader: systemd-boot, cmdline: edit={number}}}\n"


def units(bench: Bench) -> str:
    """One file, then the kernel's command line, edited to a raw, against importing doit (aim 3), with doit and without.

    Then one file to zstd qcow2, against qemu-img's own (aim 0.15).

    Of the processor's time: so they hold on a busy machine too. What doit takes for nothing is not the conversion's.
    """
    motd = bench.project / "recipes/files/minimal/etc/motd"
    text, raw = motd.read_text(), bench.project / "build/minimal/minimal.raw"
    options: list[str | Path] = [
        "-c",
        "-O",
        "qcow2",
        "-o",
        "compression_type=zstd",
        "-f",
        "raw",
        raw,
        bench.top / "by-hand.qcow2",
    ]
    doit, doitw = ([sys.executable, "-m", name] for name in ("doit", "bootsmith.tasks.command.start"))
    recipe = bench.recipe.read_text()
    edits, wrapped, cmdlines, packed = [], [], [], []
    for number in range(10):
        floor = bench.processor(sys.executable, "-c", "import doit")
        bench.recipe.write_text(_with_cmdline(recipe, number))
        cmdlines.append(bench.processor(*doitw, "raw") / floor)
        motd.write_text(f"{text}unit {number} without\n")
        wrapped.append(bench.processor(*doitw, "raw") / floor)
        motd.write_text(f"{text}unit {number}\n")
        edits.append(bench.processor(*doit, "raw") / floor)
        converted = bench.processor(*doit, "image") - bench.processor(*doit, "image")
        packed.append(converted / bench.processor("qemu-img", "convert", *options))
    motd.write_text(text)
    bench.recipe.write_text(recipe)
    return "\n".join(
        (
            _row("one file to raw by doit / import doit", edits[1:], 3),
            _row("one file to raw by ./doitw / import doit", wrapped[1:], 3),
            _row("cmdline to raw by ./doitw / import doit", cmdlines[1:], 3),
            _row("then to zstd qcow2 / qemu-img convert", packed[1:], 0.15),
        )
    )


def layers(bench: Bench) -> str:
    """One small package more, then one script edited, to a bootable raw, against the full build (aims 0.12, 0.08).

    The package is resolved and fetched in the first row, and locked and at hand in the second; the third is apt alone,
    in the same tree, from the same package.
    """
    full = statistics.median(bench.full() for _ in range(2))
    text, lock = bench.recipe.read_text(), bench.recipe.with_suffix(".lock").read_text()
    script = bench.project / "recipes/setup.sh"

    def recipe(layer: str) -> None:
        bench.recipe.write_text(text.replace("\nboot:", f"\n  - {layer}\nboot:"))

    def add_package(number: int) -> None:
        recipe(f"packages: [{', '.join(('less', 'pv', 'hello', 'jq', 'rsync', 'nano')[number:])}]")

    def answer(number: int) -> None:
        recipe(f"packages: {{install: [hello], preseed: [bench bench/number string {number}]}}")

    def edit_script(number: int) -> None:
        script.write_text(f"echo {number} >/srv/number\n")
        recipe("script: setup.sh")

    rows = [_row("one package more / full build", _measure(bench, add_package, full), 0.12)]
    rows.append(_row("the same, locked / full build", _measure(bench, answer, full), 0.12))
    rows.append(_row("apt alone, in that tree / full build", [took / full for took in _apt_alone(bench)], 0.12))
    rows.append(_row("one script edited / full build", _measure(bench, edit_script, full), 0.08))
    bench.recipe.write_text(text)
    bench.recipe.with_suffix(".lock").write_text(lock)
    return "\n".join(rows)


def _apt_alone(bench: Bench) -> list[float]:
    """Return the seconds that the tree's own apt takes for the package of the last layer, each time in a new tree."""
    from bootsmith.tasks.packages import debs, lockfile

    packages = lockfile.read(bench.recipe.with_suffix(".lock")).of_tree
    store, repository = Store(bench.cache), bench.top / "with-layers"
    found = [(package, path) for package in packages if (path := store.path_sha256(package.sha256))]
    debs.write_repository(repository, "trixie", found, lambda deb: subprocess.check_output(["dpkg-deb", "-f", deb]))
    program, base = CHECKOUT / "benchmarks/apt_floor.sh", bench.project / "build/minimal/rootfs/base.tar"
    took = []
    for _ in range(3):
        with tempfile.TemporaryDirectory(prefix="bootsmith-apt-", dir="/dev/shm") as work:
            bench.seconds([program, "unpack", base, repository, work])
            took.append(bench.seconds([program, "install", "hello", work]))
    return took


def _measure(bench: Bench, edit: Callable[[int], None], full: float) -> list[float]:
    ratios = []
    for number in range(6):
        edit(number)
        took = bench.doit("raw")
        if number:  # the first finds the caches as the full build left them
            ratios.append(took / full)
    return ratios


def full(bench: Bench) -> str:
    """Everything from packages at hand, against the same by hand (aim 1.1)."""
    bench.floor()  # warms the page cache, and makes the repository
    pairs = [(bench.full(), bench.floor()) for _ in range(3)]
    print(f"full build {[round(one, 1) for one, _ in pairs]} s, floor {[round(other, 1) for _, other in pairs]} s")
    return _row("full build / floor", [one / other for one, other in pairs], 1.1)


def restore(bench: Bench) -> str:
    """Restore the disk, verified, against a sparse copy (aim 2); and onto a version of it with one edit (aim 1)."""
    anew, onto = stored.restores(bench.project / "build/minimal/minimal.raw")
    return f"{_row('restore / cp', anew, 2)}\n{_row('restore onto predecessor / cp', onto, 1)}"


def store(bench: Bench) -> str:
    """Store every output of a full build, against the rest of it (aim 0.15)."""
    seconds = bench.full()
    outputs = [path for path in (bench.project / "build/minimal").glob("*/*") if ".bootsmith" not in path.parts]
    kept = Store(bench.cache)
    files = [path for path in outputs if path.is_file() and kept.has(fingerprint(path))]
    return _row("storing / rest of the full build", stored.stores(files, seconds), 0.15)


def hashing(bench: Bench) -> str:
    """Fingerprint 1 GiB: the rate against xxhsum's (at least 0.7)."""
    if not shutil.which("xxhsum"):
        return "fingerprint: xxhsum is not installed (package xxhash)"
    return _row("fingerprint's rate / xxhsum's", stored.fingerprints(bench.top), 0.7)


def images(bench: Bench) -> str:
    """Room for twenty images of one small edit each, against the first's (aim 1.3)."""
    return _row("room of 20 images / of one", [stored.images(bench.project / "build/minimal/minimal.raw")], 1.3)


def convert(bench: Bench) -> str:
    """Each format of the raw disk, against qemu-img's own, or the packing program's: clock, processor (aim 1.1)."""
    disk = bench.project / "build/minimal/minimal.raw"
    return "\n".join(
        f"{_row(f'{name} / by another', [each.clock for each in found], 1.1)}\n"
        f"{_row(f'{name} / by another: processor', [each.cpu for each in found], 1.1)}"
        for name, found in formats.ratios(disk)
    )


def large(bench: Bench) -> str:
    """Folders of 1,000, 10,000 and 100,000 files: nothing to do (aim 1.5 walks), one edited (aim 3), linear growth."""
    found = growth.growth(bench.top / "growth")
    rows = []
    for each in found:
        for what, costs, aim in (("no-op", each.noops, 1.5), ("one edit", each.edits, 3.0)):
            ratios = [cost.cpu / walk.cpu for cost, walk in zip(costs, each.walks, strict=True)]
            # of few files Python's own start is most of both
            rows.append(_row(f"{what} of {each.files:,} files / walk", ratios, aim if each is found[-1] else None))
    one, ten, hundred = found
    for what, of in (("processor", 0), ("memory", 1)):
        low, middle, high = (statistics.median(cost[of] for cost in each.edits) for each in (one, ten, hundred))
        rows.append(_row(f"{what} of an edit, 100x / 10x, less 1x", [(high - low) / (middle - low)], 11.0))
    peak = [cost.memory / 2**20 for cost in hundred.edits]
    return "\n".join([*rows, _row("MiB of memory of an edit, 100x", peak, 200)])


def bigger(bench: Bench) -> str:
    """One file edited in an image ten times as large, against a small one's (aim 1.2)."""
    return _row("one edit, image x 10 / image", growth.images(bench.top / "bigger"), 1.2)


FIGURES = CHECKOUT / "benchmarks/figures.json"
_figures: dict[str, dict[str, float]] = {}


def _row(name: str, ratios: list[float], aim: float | None) -> str:
    middle = statistics.median(ratios)
    spread = {"min": min(ratios), "median": middle, "max": max(ratios)}
    _figures[name] = {**{what: round(each, 3) for what, each in spread.items()}, **({"aim": aim} if aim else {})}
    shown = f"{min(ratios):.3f} {middle:.3f} {max(ratios):.3f}"
    return f"{name:42} {shown:24} {f'aim {aim}' if aim else ''}".rstrip()


ROWS: dict[str, Callable[[Bench], str]] = {
    "noop": noop,
    "edits": edits,
    "units": units,
    "layers": layers,
    "full": full,
    "restore": restore,
    "store": store,
    "hashing": hashing,
    "images": images,
    "convert": convert,
    "large": large,
    "bigger": bigger,
}
ALONE = {"large", "bigger"}
"""Rows that need no packages."""


def run(words: Sequence[str] = ()) -> bool:
    """Measure the rows named, or all; print the table."""
    unknown = [word for word in words if word not in ROWS]
    if unknown:
        print(f"no row called {unknown[0]}; there are {', '.join(ROWS)}")
        return False
    bench = Bench(CHECKOUT / "build/bench")
    shutil.rmtree(bench.top, ignore_errors=True)
    if not words or set(words) - ALONE:
        bench.prepare()
    rows = [ROWS[name](bench) for name in words or ROWS]
    print(f"\n{'ratio of whole processes':42} {'min median max':24}")
    print("\n".join(rows), flush=True)
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    FIGURES.write_text(json.dumps(known | _figures, indent=1) + "\n")
    shutil.rmtree(bench.top)
    return True
