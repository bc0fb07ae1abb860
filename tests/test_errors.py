"""tasks/errors.py: the tree it draws is the one that stands in the code."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

from bootsmith.cache.errors import BootsmithError
from bootsmith.tasks import errors

from tests.support.checkout import CHECKOUT


def drawn() -> dict[str, tuple[str, int]]:
    """Return name -> (what it is a kind of, its exit code), as the docstring draws it."""
    above = [errors.BootsmithError.__name__]
    found = {above[0]: ("Exception", 1)}
    for line in str(errors.__doc__).splitlines():
        if each := re.fullmatch(r"((?:[│ ] {3})*)[├└]── (\w+) +\w.*  exit (\d)\b.*", line):
            depth = len(each[1]) // 4 + 1
            found[each[2]] = (above[depth - 1], int(each[3]))
            above[depth:] = [each[2]]
    return found


def kinds(base: type[BootsmithError]) -> Iterator[type[BootsmithError]]:
    """Yield a class and all that are kinds of it."""
    yield base
    for each in base.__subclasses__():
        yield from kinds(each)


def test_no_password_is_told() -> None:
    """Of whatever URL: what is told ends in logs."""
    url = "https://bob:s3cr:et%40@mirror.example:8080/x"
    found = errors.ToolFailed(f"{url} is not there", f"Name another than {url}.", tail=f"Err: {url}")
    recipe = errors.RecipeError([f"x.yaml:1:1: {url}"])
    told = f"{found} {found.tail} {found.args} {recipe} {recipe.problems}"
    assert "s3cr" not in told
    assert told.count("https://bob:…@mirror.example:8080/x") == 7
    assert str(errors.StageError("http://[::1]:80/a@b, ftp://me@x: a:b@c")) == "http://[::1]:80/a@b, ftp://me@x: a:b@c"


def test_the_tree_drawn_is_the_tree_there_is() -> None:
    """Each error that a user may meet is drawn where it belongs, with the exit status that it ends in."""
    for path in [each for room in ("tasks", "cache") for each in (CHECKOUT / room).rglob("*.py")]:
        if re.search(r"^from bootsmith\.(tasks|cache)\.errors import", path.read_text(), re.MULTILINE):
            name = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
            importlib.import_module(f"bootsmith.{name}")
    found = {
        each.__name__: (each.__bases__[0].__name__, each.exit_code)
        for each in kinds(BootsmithError)
        if each.__module__.startswith("bootsmith.")
    }
    assert len(found) > 10
    assert drawn() == found


def test_no_error_of_ours_is_an_oserror() -> None:
    """Who handles a stage's own OSError takes none of our refusals for it."""
    assert not [each for each in kinds(BootsmithError) if issubclass(each, OSError)]


def test_one_line_per_mistake() -> None:
    """Whatever words of a recipe a mistake repeats, it is one line, which steers no terminal."""
    error = errors.RecipeError(["a.yaml:1:1: a: 'x\n\x1b[2J' is not a size", "a.yaml:2:1: b: no"])
    assert error.problems == [r"a.yaml:1:1: a: 'x\n\x1b[2J' is not a size", "a.yaml:2:1: b: no"]
    assert str(error).count("\n") == 1
