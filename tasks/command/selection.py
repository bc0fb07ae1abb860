"""What one command line asks for: which recipes need a plan, which commands do without stages, and from which build."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from bootsmith.tasks.build import workdir
from bootsmith.tasks.command.command import (
    Command,
    HostCommand,
    ImageCommand,
    Param,
    PlanCommand,
    RecipeCommand,
    function,
)
from bootsmith.tasks.command.invocation import Invocation, meant, options
from bootsmith.tasks.command.request import Request
from bootsmith.tasks.command.table import COMMANDS, GROUPS, IMAGE
from bootsmith.tasks.errors import BootsmithError, UsageError
from bootsmith.tasks.planning import products

if TYPE_CHECKING:
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.build.secret import Secret
    from bootsmith.tasks.build.stage import Stage
    from bootsmith.tasks.command.session import Session

BY_NAME = {command.name: command for command in COMMANDS}
ONE_PLAN = ("run", "info", "clean", "forget", "ignore")  # doit commands that name tasks; others look at them all


class Selection:
    """`others` are the names of the dodo's own tasks, `usual` the words that a run without any stands for."""

    def __init__(self, session: Session, others: set[str], usual: Iterable[str] = ("image",)) -> None:
        self.session = session
        self._others = others
        asked = session.invocation
        self._words = asked.words or (tuple(usual) if asked.runs else ())

    def only_looks(self) -> bool:
        """Tell whether all that is asked for are commands that take lock files as they are."""
        named = [base for base, _ in self.tasks() if base in BY_NAME or base.partition("/")[0] in GROUPS]
        return bool(named) and all(base in BY_NAME and self.is_frozen(BY_NAME[base]) for base in named)

    def only_commands(self) -> bool:
        """Tell whether no stage is asked for by its name, or the name of its group: none but a command needs some."""
        return all(base in BY_NAME for base, _ in self.tasks()) and any(True for _ in self.tasks())

    def is_frozen(self, command: Command) -> bool:
        """Tell whether a command runs no stage and takes lock files as they are."""
        return isinstance(command, PlanCommand) or self._is_past(command)

    def _is_past(self, command: Command) -> bool:
        """Tell whether a command takes its image from a past build."""
        return _goes_back(command) and "at" in self.session.invocation.reserved

    def holds_builds(self, command: Command) -> bool:
        """Tell whether a command writes where a builder does, without needing a stage."""
        return _goes_back(command) and self.is_frozen(command)

    def check_past(self) -> None:
        """Refuse `at=ID` where nothing takes it: silently it would mean the present."""
        asked = self.session.invocation
        bases = [base for base, _ in self.tasks() if base in BY_NAME or base.partition("/")[0] in GROUPS]
        wrong = next((base for base in bases if base not in BY_NAME or not _goes_back(BY_NAME[base])), None)
        if "at" in asked.reserved and (wrong or not bases):
            able = ", ".join(command.name for command in COMMANDS if _goes_back(command))
            raise UsageError(f"at={asked.reserved['at']} does not go with {wrong or 'image'}", f"It goes with {able}.")

    def tasks(self) -> Iterator[tuple[str, str | None]]:
        """Yield the words that may name a task, without and then with only the recipe's name; no option's value."""
        rest = list(self._words)
        while rest:
            word = rest.pop(0)
            base, _, name = word.partition(":")
            if not word.startswith("-"):
                yield base, name or None
            if base in self._others or (base in BY_NAME and BY_NAME[base].positional):
                return  # what follows a task of the dodo's own, or one that takes words, is its
            if base in BY_NAME:
                rest = _after(base, BY_NAME[base].params, rest)
            elif self._takes_options(base):
                rest = _after(base, IMAGE, rest)

    def calls(self) -> Iterator[tuple[Command, Request]]:
        """Yield the commands asked for, each with what it is told. Raises UsageError."""
        asked = self.session.invocation
        rest = list(self._words)
        while rest:
            word = rest.pop(0)
            base, _, name = word.partition(":")
            command = BY_NAME.get(base)
            if base in self._others:
                return
            if command and command.positional:
                yield command, Request(self.session, name or None, *positional(asked, command))
            elif command:
                chosen, left = options(word, command.params, rest)
                yield command, Request(self.session, name or None, chosen, ())
                rest = list(left)
            elif self._takes_options(base):
                rest = _after(base, IMAGE, rest)

    def images(self) -> list[tuple[str | None, dict[str, Any]]]:
        """Return what a run tells `image`, each time it is asked for: of which recipe, by which options.

        Raises UsageError.
        """
        found: list[tuple[str | None, dict[str, Any]]] = []
        rest = list(self._words)
        while rest and self.session.invocation.runs:
            base, _, name = (word := rest.pop(0)).partition(":")
            if base in self._others or (base in BY_NAME and BY_NAME[base].positional):
                break
            if base in BY_NAME:
                rest = _after(base, BY_NAME[base].params, rest)
            elif self._takes_options(base):
                chosen, left = options(word, IMAGE, rest)
                found.append((name or None, chosen))
                rest = list(left)
        return found

    def _takes_options(self, base: str) -> bool:
        """Tell whether a word stands for `image`, where what follows are its options."""
        return base == "image" and base not in self._others and self.session.invocation.runs

    def built_before(self, command: Command, recipe: str | None) -> list[str]:
        """Return the stages, and groups of them, that stand before a command, which is to find what they make."""
        before = list(itertools.takewhile(lambda task: task != (command.name, recipe), self.tasks()))
        if len(before) == len(list(self.tasks())):
            return []  # it is not asked for
        named = [(base, name) for base, name in before if base not in BY_NAME and base.partition("/")[0] in GROUPS]
        return [f"{base}:{name}" if name else base for base, name in named]

    def recipes(self) -> list[str | None]:
        """Return the names of the recipes that are meant; None is the default one, and always among them."""
        asked = self.session.invocation
        if asked.command == "list" and asked.options.get("subtasks"):
            from bootsmith.tasks.recipe import listing

            others = [name for name in listing.names(self.session.folder) if self._plannable(name)]
            return [None, *others]
        known = {*GROUPS, *BY_NAME}
        split = [word.partition(":") for word in asked.words]
        named = [name for base, _, name in split if name and (base in known or base.split("/")[0] in known)]
        return [None, *dict.fromkeys(named)]

    def meant(self) -> list[str | None]:
        """Return the recipes that variables of the command line are for; None is the default one.

        Commands that load a recipe of their own choice tell a misspelt variable themselves.
        """
        tasks = list(self.tasks())
        if not tasks:
            return [None]
        own = [each.name for each in COMMANDS if isinstance(each, RecipeCommand) and each.chooses]
        return [*dict.fromkeys(name for base, name in tasks if base not in own)]

    def _plannable(self, name: str) -> bool:
        """Tell whether another recipe can be listed; a broken one must not stop the rest."""
        if self.session.file(name) == self.session.file(None):
            return False
        try:
            self.session.builder(name)
        except BootsmithError as error:
            self.session.progress.tell(f"{name} is left out: {error.message}")
            return False
        return True

    def needs_plan(self, recipe: str | None) -> bool:
        """Tell whether anything that is asked for needs a recipe's plan."""
        asked = self.session.invocation
        if asked.command == "help":
            return not all(base in BY_NAME or base in GROUPS for base, _ in self.tasks())
        if asked.command not in ONE_PLAN:
            return True
        if not asked.words:
            return recipe is None
        return any(self._needs_stages(base) for base, name in self.tasks() if name == recipe)

    def _needs_stages(self, base: str) -> bool:
        """Tell whether a word stands for stages, or for a command that needs one; unknown words may."""
        command = BY_NAME.get(base)
        if command is None:
            return base not in self._others
        return self.is_frozen(command) or (isinstance(command, ImageCommand) and not self.has_image(command))

    def has_image(self, command: ImageCommand) -> bool:
        """Tell whether a command was given a file, or a past build, in place of the recipe's own image."""
        if not command.positional:
            return self._is_past(command)
        options, words = positional(self.session.invocation, command)
        return bool(options["image"] if command.within else words) or self._is_past(command)

    def needed(self, command: Command, plan: Plan) -> str | None:
        """Return the stage, or the group of them, that must be fresh before a command; None where none must."""
        if not isinstance(command, ImageCommand) or self.has_image(command):
            return None
        other = (command.sealed and products.encrypted(plan)) or (command.cd and products.cd(plan))
        needed = other.name if other else products.DISK
        made = {stage.name for stage in plan.stages}
        return needed if needed in made else "image"  # without a disk, what there is instead

    def secrets(self, recipe: str | None, plan: Plan) -> list[Secret]:
        """Return the secrets of a recipe's plan that what is asked for will read; they are parts of stages' keys.

        What tasks of the dodo's own make or need is not known here: what follows one is left to the stages.
        """
        if not self.session.invocation.runs:
            return []
        found = [each for stage in self._stages(recipe, plan) for each in stage.secrets.values()]
        for command, request in self.calls():
            if isinstance(command, ImageCommand) and command.secrets and request.recipe == recipe:
                found += function(command.secrets)(request, plan)
        return found

    def refuse(self, recipe: str | None, plan: Plan) -> None:
        """Refuse what a recipe's plan shows to come to nothing, before packages are resolved or anything made for it.

        Raises BootsmithError for a stage that there is not, for what is in the way of an output, and for a command that
        can do nothing with what is made.
        """
        if not self.session.invocation.runs:
            return
        workdir.guard_targets(self._stages(recipe, plan))
        for command, request in self.calls():
            if not isinstance(command, ImageCommand) or self.has_image(command) or request.recipe != recipe:
                continue
            if command.refuse:
                function(command.refuse)(request, plan)

    def _stages(self, recipe: str | None, plan: Plan) -> tuple[Stage, ...]:
        """Return the stages of a recipe's plan that what is asked for needs. Raises UsageError for one that is none."""
        members = {stage.name: (stage.name,) for stage in plan.stages} | plan.groups()
        members |= {str(path): (stage.name,) for stage in plan.stages for path in stage.outputs.values()}
        stages: list[str] = []
        for base, name in self.tasks():
            if name == recipe:
                word = self.needed(BY_NAME[base], plan) if base in BY_NAME else base
                names = fnmatch.filter(members, base) if "*" in base else [word]
                if base not in (*members, *BY_NAME, *self._others) and "*" not in base:
                    raise UsageError(f"{base} is not a task", meant(base, members))
                stages += [stage for each in names for stage in members.get(each or "", ())]
        return plan.needed(stages)


def positional(asked: Invocation, command: Command) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the options and the words of a command that takes words, as typed. Raises UsageError."""
    tail = asked.tail if asked.taker.partition(":")[0] == command.name else ()
    return options(command.name, command.params, tail, mixed=not (isinstance(command, HostCommand) and command.relays))


def _goes_back(command: Command) -> bool:
    """Tell whether `at=ID` says which build a command is about."""
    return isinstance(command, ImageCommand) or (isinstance(command, PlanCommand) and command.past)


def _after(name: str, params: tuple[Param, ...], words: list[str]) -> list[str]:
    """Return what follows a command's own options; as it is where they are wrong, which is said a little later."""
    try:
        return list(options(name, params, words)[1])
    except UsageError:
        return words
