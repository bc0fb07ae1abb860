"""What a command that is no stage is: one of a few kinds, with its options and the function that runs.

A function is named as `module:function`; it takes a `Request`, and its module of actions/ is imported only for it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

Param: TypeAlias = dict[str, Any]
Function: TypeAlias = str


class Command:
    """What every command has; `positional` names its positional argument."""

    def __init__(
        self, name: str, doc: str, run: Function, params: tuple[Param, ...] = (), positional: str | None = None
    ) -> None:
        self.name = name
        self.doc = doc
        self.run = run
        self.params = params
        self.positional = positional


class ImageCommand(Command):
    """Boots or reads the recipe's disk, made fresh first: or a past build's by `at=ID`, or the file that is named."""

    def __init__(
        self,
        *words: Any,
        check: Function,
        refuse: Function = "",
        secrets: Function = "",
        sealed: bool = False,
        within: bool = False,
        cd: bool = False,
        **more: Any,
    ) -> None:
        """Take `check`, which refuses options, where some were given, before anything is made.

        `refuse` refuses a recipe by its plan, where the command can do nothing with what that makes; `secrets` tells,
        of a plan, which secrets it reads besides those of its stages; `sealed` says that it is about an encrypted
        image, where the recipe keeps no other disk; `within`, that its words name files in the image, while another
        image is named by `--image`; and `cd` that it is about a CD, where the recipe keeps no disk at all.
        """
        super().__init__(*words, **more)
        self.check = check
        self.refuse = refuse
        self.secrets = secrets
        self.sealed = sealed
        self.within = within
        self.cd = cd


class TreeCommand(Command):
    """Is about a tree that no recipe made: what is built of it is fresh first."""

    def __init__(self, *words: Any, plan: Function, check: Function = "", **more: Any) -> None:
        """Take what makes the `plan` of the positional argument, and a `check` of options before that."""
        super().__init__(*words, **more)
        self.plan = plan
        self.check = check


class PlanCommand(Command):
    """Looks at the recipe's plan as it is: no stage runs for it, and no lock file is made or renewed."""

    def __init__(self, *words: Any, past: bool = False, **more: Any) -> None:
        """Say whether it is about a `past` build, which `at=ID` names too."""
        super().__init__(*words, **more)
        self.past = past


class RecipeCommand(Command):
    """Is about recipes and their lock files, which it needs no plan for."""

    def __init__(self, *words: Any, chooses: bool = False, **more: Any) -> None:
        """Say whether it `chooses` a recipe where none is named, instead of the default one."""
        super().__init__(*words, **more)
        self.chooses = chooses


class HostCommand(Command):
    """Is about this host: its programs, its cache, the machines that run on it."""

    def __init__(self, *words: Any, relays: bool = False, **more: Any) -> None:
        """Say whether it `relays` its words to somebody else, so that options among them are not its own."""
        super().__init__(*words, **more)
        self.relays = relays


def function(name: Function) -> Callable[..., Any]:
    """Return the function that the table names."""
    module, _, inner = name.partition(":")
    found: Callable[..., Any] = getattr(import_module(f"{__package__}.actions.{module}"), inner)
    return found


def option(name: str, text: str, *, kind: type = str, short: str = "") -> Param:
    """Return a doit parameter; None, or False for a flag, stands for "not given"."""
    default = False if kind is bool else None
    return {
        "name": name.replace("-", "_"),
        "long": name,
        "short": short,
        "type": kind,
        "default": default,
        "help": text,
    }
