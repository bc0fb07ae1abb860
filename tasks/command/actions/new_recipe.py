"""new: a recipe to begin with, of nothing but a name, or from another recipe, a Containerfile, a tree or a disk."""

from __future__ import annotations

import os
import re
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.build.system_errors import in_words
from bootsmith.tasks.command.actions import given_tree, images
from bootsmith.tasks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bootsmith.tasks.command.request import Request

_DEBIAN: Final[Mapping[str, object]] = {
    "description": "Debian 13, UEFI, systemd-boot",
    "source": {"debian": {"suite": "trixie", "packages": ["linux-image-cloud-amd64", "systemd-sysv", "udev"]}},
    "boot": {"loader": "systemd-boot"},
}
_CONTAINERS: Final = {"kernel": "install"}
"""What containers do not have."""
_CONTAINERFILE: Final = re.compile(r"(?i)(.+\.)?(containerfile|dockerfile)(\..+)?")
_HOW: Final = "`doit new NAME`; it begins with a Debian, or --from RECIPE, Containerfile, tar, directory or disk image."


def new(request: Request) -> None:
    """Write the recipe; what is there already stays. Raises BootsmithError."""
    if len(request.words) != 1:
        raise UsageError("new takes the name of one recipe", _HOW)
    (name,) = request.words
    if "/" in name or name.startswith(".") or name.endswith((".yaml", ".yml")):
        raise UsageError(f"{shown(name)} is a file's name, and no recipe's", f"Leave out folder and ending. {_HOW}")
    file = request.session.folder / f"{name}.yaml"
    given = request.options["from"]
    text = _text(_from(request, str(given)) if given else _DEBIAN)
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise UsageError(f"there is a recipe {shown(name)} already: {shown(file)}", "Name another one.") from None
    except OSError as error:
        raise in_words(error, "new", file) from error
    _check(request, file)
    request.session.progress.tell(f"{images.relative(file, request.session.shell)}: `doit image:{name}` builds it")


def _check(request: Request, file: Path) -> None:
    """Take back a recipe that is none, such as one whose parent is wrong. Raises RecipeError."""
    from bootsmith.tasks.recipe.load import examine

    with chdir(request.session.shell):
        _, problems = examine(file, search=request.session.folder)
    if not problems.only_missing:
        try:
            problems.raise_if_any()
        except BaseException:
            file.unlink()
            raise


def _from(request: Request, what: str) -> Mapping[str, object]:
    """Return what a recipe says that begins with another one, a Containerfile, a tree or a disk. Raises UsageError."""
    from bootsmith.tasks.tree import file_kinds

    path = request.session.shell / what
    if what.endswith((".yaml", ".yml")) or ("/" not in what and not path.exists()):
        file = request.session.file(what) if path.suffix not in (".yaml", ".yml") else path
        same = file.parent.resolve() == request.session.folder.resolve()
        return {"extends": given_tree.literal(file.stem) if same else _said(request, images.existing(file, _HOW))}
    said = _said(request, path)
    if path.is_file() and _CONTAINERFILE.fullmatch(path.name):
        return {"source": {"container": said}, "boot": _CONTAINERS}
    if path.is_dir():
        return {"source": {"directory": said}}
    kind = file_kinds.of(path)
    source = {"disk": said} if kind and kind.is_a == "disk" else given_tree.source(path, said=said)
    return {"source": source, "boot": _CONTAINERS} if "oci" in source else {"source": source}


def _said(request: Request, path: Path) -> str:
    """Return a path as a recipe here writes it. Raises UsageError for one that no text can hold."""
    said = os.path.relpath(path.resolve(), request.session.folder.resolve())
    try:
        said.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{shown(path)}: its name is no UTF-8, as recipes are", "Give it another name.") from None
    return given_tree.literal(said)


def _text(recipe: Mapping[str, object]) -> str:
    import yaml

    def dump(key: str, value: object) -> str:
        style = None if isinstance(value, dict) else False  # only what is within a key's value stands in braces
        return str(
            yaml.safe_dump({key: value}, sort_keys=False, default_flow_style=style, width=120, allow_unicode=True)
        )

    return "".join(dump(key, value) for key, value in recipe.items())
