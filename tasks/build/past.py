"""The files of a past build, brought back bit for bit below `build/NAME/at/ID/`.

Beside the present outputs, never over them: those belong to the recipe as it is, and stay what the next build takes
them for. Stored stages come from the store; others are run again as they were recorded, and count only if they give the
same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsmith.cache.digest.fingerprint import fingerprint, note
from bootsmith.tasks.build import folders
from bootsmith.tasks.build import workdir as workdirs
from bootsmith.tasks.build.history import Entry, finals
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import BootsmithError, InputMissing, StageError

if TYPE_CHECKING:
    from bootsmith.tasks.build.freshness import Freshness

FOLDER = "at"
"""Below the build directory, where each past build that was brought back has a folder of its own."""


def bring_back(
    freshness: Freshness, entry: Entry, say: Callable[[str], None], log: str, only: Collection[str] | None = None
) -> list[Path]:
    """Bring back an entry's files, or those of some stages `only`, and return where they are now.

    The build directory is held. What is there already, and right, is left alone. Raises StageError where a file cannot
    be had any more, with those that can in place; its hint names `log`, by which a user sees what there is.
    """
    with workdirs.workdir(freshness.state / "tmp" / f"at-{entry.short}", f"build {entry.short}") as workdir:
        wanted = finals(entry) if only is None else only
        past = _PastBuild(freshness, entry, workdir, say, log=log, lasting={*finals(entry), *wanted})
        found: list[Path] = []
        errors: list[BootsmithError] = []
        for name in wanted:
            try:
                found += past.files(name)
            except BootsmithError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return found


def folder(build: Path, entry: Entry) -> Path:
    """Return the folder of an entry's files below the build directory."""
    return build / FOLDER / entry.short


class _PastBuild:
    """One entry's files: those that are kept go to its folder, what only leads to them stays in the work directory."""

    def __init__(
        self,
        freshness: Freshness,
        entry: Entry,
        workdir: Path,
        say: Callable[[str], None],
        *,
        log: str,
        lasting: set[str],
    ) -> None:
        self._plan = freshness.plan
        self._identities = freshness.identities
        self._entry = entry
        self._workdir = workdir
        self._say = say
        self._log = log
        self._lasting = lasting

    def files(self, name: str) -> list[Path]:
        """Return a stage's outputs, made or fetched where they are not there."""
        stage = self._entry.stages[name]
        folder = self._folder(name)
        wanted = {role: folder / each["file"] for role, each in stage["outputs"].items()}
        if not all(self._holds(path, stage["outputs"][role]) for role, path in wanted.items()):
            self._say(f"{name} of build {self._entry.short}")
            if stage["stored"]:
                self._fetch(name, wanted)
            else:
                self._remake(name, wanted)
        return list(wanted.values())

    def _folder(self, name: str) -> Path:
        return folder(self._plan.build, self._entry) if name in self._lasting else self._workdir / "parts"

    def _holds(self, path: Path, output: Mapping[str, Any]) -> bool:
        folder = "owners" in output
        if path.is_symlink() or not (path.is_dir() if folder else path.is_file()):
            workdirs.guard_target(f"build {self._entry.short}", path, folder=folder)
            return False
        if folder and folders.owners(path) != output["owners"]:
            return False
        return bool(fingerprint(path, self._identities.memo) == output["hash"])

    def _fetch(self, name: str, wanted: Mapping[str, Path]) -> None:
        from bootsmith.cache.files.lock import FileLock

        store = self._identities.store
        lost = StageError(
            f"{name} of build {self._entry.short} is not in the store any more",
            f"`{self._log}` shows which builds are complete.",
        )
        for role, path in wanted.items():
            digest = self._entry.stages[name]["outputs"][role]["hash"]
            if not store.has(digest):
                raise lost  # before what is there is touched
            older = None
            if path.is_file():
                lock = FileLock(path, create=False)
                if lock.try_acquire():  # else a machine runs on it: it keeps its file, this is another
                    if not lock.is_used():
                        older = path.rename(self._workdir / "older")
                    lock.release()
            if not store.fetch(digest, path, onto=older):
                raise lost
            note(path, digest, self._identities.memo)

    def _remake(self, name: str, wanted: Mapping[str, Path]) -> None:
        """Run a stage as it was recorded; keep what it gives only where that is what it gave then."""
        from bootsmith.tasks.build import running
        from bootsmith.tasks.build.parameters import UnfitParams

        past = self._entry.stages[name]
        made = {role: self._workdir / path.name for role, path in wanted.items()}
        stage = self._stage(name, made)
        work = self._workdir / "work"
        work.mkdir(exist_ok=True)
        with (self._workdir / "log").open("wb") as log:
            try:
                function = self._identities.load(stage)
            except (ImportError, AttributeError) as error:
                raise self._gone(name, f"the code that made it is gone: {error}") from error
            store = self._identities.store
            try:
                function(running.context(stage, made, work, lambda: store, log=log, say=self._say))
            except UnfitParams as error:
                raise self._gone(name, f"the code that made it is another today: {error.message}") from error
        for role, path in made.items():
            if fingerprint(path) != past["outputs"][role]["hash"]:
                raise self._gone(name, f"{self._why(stage, past['parts'])} gives other bytes today")
        for role, path in made.items():
            wanted[role].parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                folders.put(path, wanted[role], self._workdir / "replaced")
                continue
            path.chmod(0o644)
            path.replace(wanted[role])
            note(wanted[role], past["outputs"][role]["hash"], self._identities.memo)

    def _stage(self, name: str, made: Mapping[str, Path]) -> Stage:
        past = self._entry.stages[name]
        present = next((stage for stage in self._plan.stages if stage.name == name), None)
        inputs = {role: self._input(name, role, source) for role, source in past["inputs"].items()}
        parts = past["parts"]
        return Stage(
            name,
            past["run"],
            inputs,
            made,
            parts["params"],
            tuple(parts["tools"]),
            secrets=present.secrets if present else {},
            hints=present.hints if present else {},
            fetcher=present.fetcher if present else None,
        )

    def _input(self, name: str, role: str, source: Mapping[str, Any]) -> Path:
        if "stage" in source:
            self.files(source["stage"])
            return self._folder(source["stage"]) / str(
                self._entry.stages[source["stage"]]["outputs"][source["role"]]["file"]
            )
        path = Path(source["path"])
        try:
            same = fingerprint(path, self._identities.memo) == self._entry.stages[name]["parts"]["inputs"][role]
        except OSError:
            same = False
        if not same:
            raise InputMissing(
                f"{name} of build {self._entry.short} cannot be made again: {path} is not what it was",
                "Bring the file back as it was then.",
            )
        return path

    def _why(self, stage: Stage, old: Mapping[str, Any]) -> str:
        """Return what of a stage's code and programs is another today."""
        from bootsmith.tasks.build.reason import Comparison, Side

        identities, evidence = self._identities, self._entry.stages[stage.name]["details"]
        tools = {name: identities.tool(name) for name in stage.tools}
        present = {**old, "code": identities.code(stage), "tools": tools}
        then, now = (
            Side.kept(old, evidence, identities),
            Side(present, lambda _: {}, partial(identities.modules, stage)),
        )
        found = Comparison(stage, {}, identities, then, now).reasons()
        return "; ".join(each.short for each in found) or "the same code"

    def _gone(self, name: str, why: str) -> StageError:
        return StageError(
            f"{name} of build {self._entry.short} cannot be made again: {why}",
            "Its other files are in place; convert the disk again where the same bytes are not needed.",
        )
