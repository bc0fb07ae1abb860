"""One process's work: the recipes it was asked for, their builders, and the locks it holds on build directories."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsmith.cache.digest import key as keys
from bootsmith.cache.files import temporary
from bootsmith.cache.files.lock import FileLock
from bootsmith.cache.store import location
from bootsmith.cache.store.location import default_root
from bootsmith.tasks.build import plan as plans
from bootsmith.tasks.build.builder import Builder
from bootsmith.tasks.build.identities import Identities
from bootsmith.tasks.command.invocation import Invocation
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.command.signals import Signals
from bootsmith.tasks.errors import RecipeError, StageError, UsageError
from bootsmith.tasks.planning import inputs
from bootsmith.tasks.planning.remembered import RememberedPlan

if TYPE_CHECKING:
    from bootsmith.tasks.build.secret import Secret
    from bootsmith.tasks.build.stage import Stage
    from bootsmith.tasks.packages.lockfile import LockFile
    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.recipe import Recipe

NOTHING: Mapping[str, str] = {}
BEGINNING = plans.BEGINNING

_WORDS = {"disk.size": "disk_size", "--output": "output"}
"""The options of `image` that are laid over its recipe, by the words that say the same."""


def _epoch(recipe: Recipe, locked: LockFile | None) -> int:
    return recipe.epoch if recipe.epoch is not None else locked.date if locked else BEGINNING


def _nothing(_plan: plans.Plan) -> Iterable[Secret]:
    return ()


class Session:
    """`default` is the recipe commands mean by themselves, `top` the dodo.py's folder, `shell` where doit was typed."""

    def __init__(self, default: Path, invocation: Invocation, top: Path, shell: Path, progress: Progress) -> None:
        self.invocation = invocation
        self.top = top
        self.shell = shell
        self.progress = progress
        self.frozen = not invocation.runs
        """Whether lock files are taken as they are: this command line builds nothing."""
        self.looks_back = not invocation.runs
        """Whether variables that are not given are those that the last build was told: no build is asked for itself."""
        self.images: Sequence[tuple[str | None, Mapping[str, Any]]] = ()
        """What `image` is told, each time it is asked for: of which recipe, by which options."""
        self.default = top / default
        self.starting = contextlib.ExitStack()
        """What is to end when a machine that this command line asks for has started."""
        self._began = time.time_ns()
        self._builders: dict[Path, Builder] = {}
        self._recipes: dict[Path, Recipe] = {}
        self._filled: dict[Path, Mapping[str, str]] = {}  # of recipes that lacked variables: those of the last build
        self._epochs: dict[Path, int] = {}  # when what they make is of, by the recipes' files
        self._awaits: dict[Path, str] = {}  # of recipes whose lock file a build would write first
        self._locks: dict[Path, FileLock] = {}
        self.signals = Signals(progress, lambda: bool(self._builders))

    @cached_property
    def identities(self) -> Identities:
        return Identities(default_root())

    @property
    def folder(self) -> Path:
        """Where `COMMAND:NAME` looks for NAME.yaml."""
        return self.default.parent

    def file(self, name: str | None) -> Path:
        """Return the file of the recipe called `name`; None is the default. Raises UsageError with near names."""
        if name is None and "recipe" not in self.invocation.reserved:
            return self.default
        from bootsmith.tasks.recipe import listing

        if name is not None:
            return listing.find(name, self.folder)
        given = self.invocation.reserved["recipe"]
        if "/" in given or given.endswith((".yaml", ".yml")):
            return self.shell / given
        return listing.find(given, self.folder)

    def recipe(self, name: str | None = None, words: Mapping[str, str] = NOTHING) -> Recipe:
        """Return a recipe, loaded in full; `words` are laid over it last. Raises RecipeError."""
        file = self.file(name)
        if words or file not in self._recipes:
            try:
                found = self._load(file, words)
            except RecipeError as error:
                if not self._fill(file, error.missing):
                    raise
                found = self._load(file, words)
            if words:
                return found
            self._recipes[file] = found
        return self._recipes[file]

    def _load(self, file: Path, words: Mapping[str, str]) -> Recipe:
        from bootsmith.tasks.recipe.load import load

        with contextlib.chdir(self.shell):  # paths on the command line, and in messages, are the user's
            return load(
                file,
                overrides={**self._variables(file), **words},
                profile=self.invocation.reserved.get("profile"),
                search=self.folder,
            )

    def _fill(self, file: Path, missing: Sequence[str]) -> bool:
        """Take variables that were not given from the last build, where one looks back; tell whether that helps."""
        if not missing or not self.looks_back or file in self._filled:
            return False
        from bootsmith.tasks.command import given_variables

        self._filled[file] = given_variables.recall(self.top, file, missing, self.shell)
        for name, value in self._filled[file].items():
            self.progress.remark(f"{name}={value}, as the last build of {file.stem} was told")
        return bool(self._filled[file])

    def _variables(self, file: Path) -> Mapping[str, str]:
        return {**self._filled.get(file, NOTHING), **self.invocation.variables, **self._told(file)}

    @property
    def locked(self) -> bool:
        """Whether lock files are only read: `image --locked` asks for it."""
        return any(options["locked"] for _, options in self.images)

    def _told(self, file: Path) -> Mapping[str, str]:
        """Return what the options of `image` say of a recipe, as words laid over it. Raises UsageError."""
        found: dict[str, str] = {}
        for name, options in self.images:
            asked = {word: options[option] for word, option in _WORDS.items() if options[option] is not None}
            for word, value in asked.items() if self.file(name) == file else ():
                option = f"--{_WORDS[word].replace('_', '-')}"
                other = found.get(word, self.invocation.variables.get(word, value))
                if other != value:
                    raise UsageError(f"image: {option} {value}, and {word.lstrip('-')}={other}", "Give one of them.")
                found[word] = value
        return found

    def builder(self, name: str | None = None, reads: Callable[[plans.Plan], Iterable[Secret]] = _nothing) -> Builder:
        """Return the builder of a recipe, its lock file made first when a run needs one. Raises RecipeError.

        `reads` tells which secrets will be read, of a plan; where one is missing, no lock file is made.
        """
        file = self.file(name)
        known = self._builders.get(file)
        plan = known.plan if known else self._recall(file)
        if plan is None or self.missing(reads(plan)):  # of which planning anew says where
            plan = self._make(file, name, reads)
        if known is None:
            builder = Builder(plan, self.identities, self._awaits.get(file, ""))
            twin = next((f for f, b in self._builders.items() if inputs.same(b.plan.build, plan.build)), None)
            if twin:
                raise UsageError(
                    f"{file} and {twin} both build in {builder.plan.build}", "Give one of them another `name:`."
                )
            self._builders[file] = builder
        return self._builders[file]

    def missing(self, secrets: Iterable[Secret]) -> list[str]:
        """Return what is wrong with secrets that will be read, as far as it can be told before."""
        found = [*secrets]
        if not found:
            return []
        from bootsmith.tasks.planning.secrets import missing

        with contextlib.chdir(self.shell):
            return missing(found, self.top / "build")

    def recalled(self) -> Builder | None:
        """Return the default recipe's builder, where its plan is remembered: nothing is planned."""
        plan = self._recall(self.default)
        if plan and self.default not in self._builders:
            self._builders[self.default] = Builder(plan, self.identities)
        return self._builders.get(self.default)

    def adopt(self, plan: plans.Plan) -> Builder:
        """Return the builder of a plan that a command made of its own. Raises RecipeError."""
        inputs.check(plan.named, plan.build, plan.recipe)
        return self._builders.setdefault(plan.build, Builder(plan, self.identities))

    def note_recipe(self, build: Path, recipe: Recipe) -> None:
        """Keep the recipe that a command made a plan of, to be built in the folder `build`."""
        self._recipes[build] = recipe

    @property
    def builders(self) -> tuple[Builder, ...]:
        """The builders made so far."""
        return tuple(self._builders.values())

    # -- plans

    def _make(
        self, file: Path, name: str | None, reads: Callable[[plans.Plan], Iterable[Secret]] = _nothing
    ) -> plans.Plan:
        from bootsmith.tasks.packages import request
        from bootsmith.tasks.planning import preflight

        recipe = self.recipe(name)
        with contextlib.chdir(self.shell):
            if not self.frozen:
                for told in (*recipe.choices, *preflight.doubts(recipe)):
                    self.progress.tell(told)
            wrong = preflight.files(recipe, self.top / "build")
        lacking = self.missing(reads(self._plan(recipe, {})))
        if lacking:
            raise RecipeError([*wrong, *lacking])
        self._refuse(wrong)
        needed = request.needed(recipe)
        locked = self._locked(file, recipe, file.with_suffix(".lock")) if needed else None
        if locked and file not in self._awaits:
            with contextlib.chdir(self.shell):
                wrong += preflight.packages(recipe, locked)
        self._refuse(wrong)
        self._date(recipe, locked)
        plan = self._plan(recipe, self._epochs)
        at_home = all(each.parent == file.parent for each in recipe.files)  # else a new file here could be the parent
        varies = recipe.volatile or inputs.are_spread(recipe, self.top / "build")
        if file not in self._awaits and not wrong and at_home and not varies:
            self._remembered(file).remember(plan, recipe.files, locked, self._began)
        return plan

    def _date(self, recipe: Recipe, locked: LockFile | None) -> None:
        """Note when all of a recipe is made, and of those that it takes of: their lock files are made for a build."""
        from bootsmith.tasks.packages import request

        self._epochs[recipe.file] = _epoch(recipe, locked)
        for other in recipe.above.values():
            lock = self._locked(recipe.file, other, other.file.with_suffix(".lock")) if request.needed(other) else None
            self._epochs[other.file] = _epoch(other, lock)

    def site(self, recipe: Recipe, build: Path, locked: LockFile | None) -> Site:
        """Return where a recipe is built in another folder; its own lock file is there already."""
        self._date(recipe, locked)
        return self._site(recipe, build, self._epochs)

    def _plan(self, recipe: Recipe, epochs: Mapping[Path, int]) -> plans.Plan:
        """Return a recipe's plan; before locks are known all that is yet to come are `epochs`. Raises RecipeError."""
        from bootsmith.tasks.planning import make

        folder = recipe.name if recipe.profile is None else f"{recipe.name}+{recipe.profile}"
        site = self._site(recipe, self.top / "build" / folder, epochs)
        inputs.check(inputs.named(recipe), site.build, recipe.file)
        return make.plan(recipe, site)

    def _site(self, recipe: Recipe, build: Path, epochs: Mapping[Path, int]) -> Site:
        """Return where a recipe is built, and what it takes of others; `epochs` by the recipes' files."""
        from bootsmith.tasks.planning.site import Site

        site = Site(recipe.name, build, recipe.file.with_suffix(".lock"), epochs.get(recipe.file, BEGINNING))
        others = {file: self._site(other, site.other(other.name), epochs) for file, other in recipe.others.items()}
        return site._replace(others=others, within=self.top / "build")

    def plan_elsewhere(self, plan: plans.Plan, build: Path) -> plans.Plan:
        """Return the plan of the same recipe in another build directory, none of its stages kept in the store."""
        from bootsmith.tasks.planning import make

        recipe = self._load(plan.recipe, NOTHING)
        found = make.plan(recipe, self._site(recipe, build, {**self._epochs, recipe.file: plan.epoch}))
        return found._replace(stages=tuple(each._replace(stored=False) for each in found.stages))

    def _refuse(self, wrong: list[str]) -> None:
        """Refuse what is wrong with a recipe, where something is to be built: one can look at it still."""
        if wrong and not self.frozen:
            raise RecipeError(wrong)

    def _locked(self, file: Path, recipe: Recipe, path: Path) -> LockFile | None:
        """Return a recipe's lock, made first for a build; else note what a build would have to do about it."""
        from bootsmith.tasks.packages import lockfile, request

        locked = lockfile.read(path) if path.exists() else None
        reason = request.stale(locked, recipe) if locked else None
        if locked and reason is None:
            return locked
        if not self.frozen:
            from bootsmith.tasks.packages import renewal  # loads all that fetches

            return renewal.ensure(recipe, path, self.identities.store, self.progress.tell, locked=self.locked)
        if locked is None:
            self._awaits[file] = f"there is no {path.name} yet: the packages are resolved first"
        else:
            self._awaits[file] = f"{path.name} no longer fits the recipe ({reason}): it is resolved again first"
        return locked

    def settle(self, builder: Builder, stage: Stage) -> None:
        """Bring the lock file up to date that a stage reads, now that all else it reads is there.

        Raises RecipeError, StageError.
        """
        from bootsmith.tasks.packages import renewal, tree_lock

        status, lock = stage.inputs[tree_lock.STATUS], stage.inputs[str(stage.settles)]
        recipe = self._of(builder)
        whose = next((each for each in recipe.above.values() if each.file.with_suffix(".lock") == lock), recipe)
        renewal.settle(whose, lock, status, self.identities.store, self.progress.tell, locked=self.locked)
        builder.freshness.touch(stage)

    def _of(self, builder: Builder) -> Recipe:
        """Return the recipe that a builder's plan was made of."""
        file = next(file for file, each in self._builders.items() if each is builder)
        if file not in self._recipes:
            self._recipes[file] = self._load(file, NOTHING)
        return self._recipes[file]

    def _prepare(self, builder: Builder) -> None:
        """Read the recipe before stages run side by side, where one of them will ask for it: it is read in a folder."""
        asks = [stage for stage in builder.plan.stages if stage.settles is not None]
        if asks and self.invocation.runs and not all(builder.status(stage).fresh for stage in asks):
            self._of(builder)

    def _remembered(self, file: Path) -> RememberedPlan:
        asked: dict[str, keys.Value] = {
            "file": str(file),
            "top": str(self.top),
            "shell": str(self.shell) if self._variables(file) else "",
            "variables": dict(self._variables(file)),
            "profile": self.invocation.reserved.get("profile", ""),
        }
        return RememberedPlan(asked, __name__, self.identities)

    def _recall(self, file: Path) -> plans.Plan | None:
        """Return the plan made before of the very same files, options and code, if there is one."""
        return self._remembered(file).recall()

    # -- a run

    def begin(self, builder: Builder) -> None:
        """Hold the build directory; wait for whoever has it."""
        if builder.plan.build in self._locks:
            return
        if not self._locks:
            self._check_limits()
            self.signals.heed(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        try:
            builder.state.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StageError(
                f"the build directory {builder.plan.build} cannot be made: {error.filename}: {error.strerror}",
                "Move what is in the way, or make the folder yours to write.",
            ) from error
        lock = FileLock(builder.state / "lock")
        lock.acquire(waiting=lambda holder: self.progress.tell(f"waiting for {holder}, which builds here"))
        self._locks[builder.plan.build] = lock
        builder.open()
        self._prepare(builder)
        other = builder.claim() if self.invocation.runs else None
        if other:
            self.progress.tell(
                f"{builder.plan.build} was last built of {other}, and now is of {builder.plan.recipe}: "
                "give one of them another `name:`"
            )
        if not location.root(self.identities.root, builder.plan.build).exists():
            self._note(builder)
        if self.invocation.variables and not self.looks_back:
            from bootsmith.tasks.command import given_variables

            given_variables.note(self.top, builder.plan.recipe, self.invocation.variables, self.shell)

    @staticmethod
    def _check_limits() -> None:
        """Refuse words for the store's limits that are none, before anything is done. Raises CacheError."""
        if location.SIZE in os.environ or location.AGE in os.environ:
            from bootsmith.cache.keep import limits

            limits.from_environment()

    def _note(self, builder: Builder) -> None:
        """Let the store know who needs what it holds."""
        from bootsmith.cache.keep import roots

        plan = builder.plan
        spare = {
            os.path.relpath(path, plan.build): stage.name
            for stage in plan.stages
            for path in stage.outputs.values()
            if stage.stored and path not in plan.outputs and path.is_relative_to(plan.build)
        }
        locks = [path for stage in plan.stages for role, path in stage.inputs.items() if role == "lock"]
        theirs = [path for path in locks if not path.is_relative_to(plan.build)]
        roots.note(self.identities.root, plan.build, [*dict.fromkeys([plan.lock, *theirs])], spare)

    def remark_on_root(self) -> None:
        """Say, once, to who works as root that nothing here needs it."""
        if os.geteuid() == 0:
            caller = os.environ.get("SUDO_USER")
            self.progress.tell_once(
                "run as root, which it does not need: what is made here will be root's"
                + (f"; {caller} can run it without sudo" if caller else "")
            )

    def let_others_build(self) -> None:
        """Let others build here from now on, where one command is all there is to run: its stages are done."""
        if len(self.invocation.words) == 1:
            self._finish()

    def end(self) -> None:
        """End a run."""
        self._finish()
        self.starting.close()
        self.signals.restore()

    def _finish(self) -> None:
        """Make what was stored durable, keep what was learned, let others build here."""
        for file, builder in self._builders.items():
            if builder.plan.build in self._locks:
                self._tell_left(builder.close(), file)
        grown = 0
        if self._locks:
            temporary.sweep(self.identities.root / "tmp")
        if self._locks and "store" in self.identities.__dict__:
            grown = self.identities.store.sync()
            for builder in self._builders.values():
                if builder.plan.build in self._locks:
                    self._note(builder)
            self.identities.store.lease.release()
        if "identities" in self.__dict__:
            self.identities.save()
        for lock in self._locks.values():
            lock.release()
        self._locks.clear()
        if grown:
            self._keep_within_limits(grown)

    def _tell_left(self, left: Iterable[Path], file: Path) -> None:
        """Tell which outputs of earlier builds the recipe no longer makes."""
        named = "image" if file.parent != self.folder or file == self.default else f"image:{file.stem}"
        clean = f"doit clean {named}" if file.parent == self.folder else f"doit recipe={file} clean {named}"
        for path in left if self.invocation.runs else ():
            name = path.relative_to(self.top) if path.is_relative_to(self.top) else path
            self.progress.tell(f"{name} is no output any more: `{clean}` removes it")

    def _keep_within_limits(self, grown: int) -> None:
        """Let the store, which grew by so many bytes, keep within its limits, and tell what was removed."""
        from bootsmith.cache.keep import limits, upkeep

        bounds = limits.from_environment()
        report = upkeep.keep_within(self.identities.root, bounds, grown)
        if report:
            from bootsmith.cache.report import wording

            for line in wording.told(report, bounds.size):
                self.progress.tell(f"cache: {line}")
