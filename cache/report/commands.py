"""The commands of `python -m bootsmith.cache`, and of the command line's `cache`: what they read, do and print."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from bootsmith.cache.errors import CacheError, UsageError
from bootsmith.cache.keep import limits
from bootsmith.cache.keep.limits import Limits
from bootsmith.cache.store import location
from bootsmith.cache.store.location import default_root

DONE, FAILED = 0, 1
EPILOG = """
exit status: 0 done; 1 damage was found, or the store cannot be used; 3 a wrong word
"""

Say = Callable[[str], None]


class _Parser(argparse.ArgumentParser):
    """A parser that leaves how to end to its caller."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}", self.format_usage().rstrip())


def main(words: Sequence[str], say: Say = print, program: str = "python -m bootsmith.cache") -> int:
    """Do what the words ask for; return the exit status. Raises CacheError, UsageError for a wrong word."""
    asked = _parser(program).parse_args(words)
    root = Path(asked.cache).absolute() if asked.cache else default_root()
    function: Callable[[Path, argparse.Namespace, Say], int] = asked.function
    try:
        return function(root, asked, say)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise CacheError(f"the store {root} cannot be read: {error.strerror} ({error.filename})") from error


def stat(root: Path, asked: argparse.Namespace, say: Say) -> int:
    """Tell how much of what there is."""
    from bootsmith.cache.report import statistics

    found = statistics.gather(root, limits.from_environment())
    if asked.json:
        import json

        say(json.dumps(found.to_json(), indent=2))
    else:
        say(statistics.in_words(found))
    return DONE


def verify(root: Path, asked: argparse.Namespace, say: Say) -> int:
    """Read everything, tell what is damaged."""
    from bootsmith.cache.keep.contents import scan
    from bootsmith.cache.report import wording
    from bootsmith.cache.store.store import Store

    store = Store(root)
    damaged = 0
    for damage in store.verify(quarantine=asked.repair):
        damaged += 1
        say(f"damaged: {damage.name} {damage.why} ({damage.path})")
    contents = scan(root)
    if asked.sha256:
        for blob in contents.of("blobs"):
            digest = blob.name.partition("/")[2]
            say(f"{store.sha256(digest) or 'damaged':64}  {digest}")
    if not damaged:
        say(f"sound: {wording.things(contents.counts()) or 'nothing there'}")
        return DONE
    done = f"moved to {root / 'quarantine'}" if asked.repair else "left where they are: --repair moves them away"
    say(f"{damaged} damaged, {done}. What is damaged is never used: it is made or fetched again.")
    return FAILED


def gc(root: Path, asked: argparse.Namespace, say: Say) -> int:
    """Remove what was used least recently."""
    from bootsmith.cache.keep.gc import collect
    from bootsmith.cache.report import wording

    usual = limits.from_environment()
    size = usual.size if asked.size is None else limits.parse_size(asked.size, "--size")
    age = usual.age if asked.age is None else limits.parse_age(asked.age, "--age")
    report = collect(
        root, Limits(size, age), dry_run=asked.dry_run, waiting=lambda holder: say(f"waiting for {holder}")
    )
    if report.removed:
        say(f"{'would have ' if asked.dry_run else ''}{wording.removal(report)}")
    if report.trimmed:
        say(f"{'would have ' if asked.dry_run else ''}{wording.trimming(report)}")
    if not (report.removed or report.trimmed):
        say("nothing to remove")
    if size is not None and report.is_over:
        say(wording.shortfall(report, size))
    return DONE


def explain(root: Path, asked: argparse.Namespace, say: Say) -> int:
    """Tell of one thing what it is and who needs it."""
    from bootsmith.cache.report import explanation

    say(explanation.explain(root, asked.name))
    return DONE


def path(root: Path, _asked: argparse.Namespace, say: Say) -> int:
    """Tell where the store is."""
    say(str(root))
    return DONE


def _parser(program: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=program, description="Look at a store, verify it, make room in it.", epilog=EPILOG)
    parser.add_argument("--cache", metavar="FOLDER", help="the store; else what BOOTSMITH_CACHE says")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(function: Callable[[Path, argparse.Namespace, Say], int], text: str) -> argparse.ArgumentParser:
        found = commands.add_parser(function.__name__, help=text, description=text)
        found.set_defaults(function=function)
        return found

    command(stat, "how much of what there is, what is saved, who needs it").add_argument(
        "--json", action="store_true", help="as JSON"
    )
    verifying = command(verify, "read everything, and name what is damaged")
    verifying.add_argument("--repair", action="store_true", help="move what is damaged to quarantine")
    verifying.add_argument("--sha256", action="store_true", help="print the SHA-256 of every stored file")
    clearing = command(gc, "remove what was used least recently and what nobody needs")
    clearing.add_argument("--size", help=f"keep no more than this, such as 10G; else what {location.SIZE} says")
    clearing.add_argument("--age", help=f"keep nothing unused for longer, such as 30d; else what {location.AGE} says")
    clearing.add_argument("--dry-run", action="store_true", help="only tell what would be removed")
    command(explain, "what a key or digest is, who needs it, and when it was last used").add_argument(
        "name", metavar="KEY|DIGEST", help="or how it begins, 4 digits at least"
    )
    command(path, "where the store is")
    return parser
