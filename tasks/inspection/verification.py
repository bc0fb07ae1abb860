"""Whether an image is what it should be, read back without mounting: each check by its name, and what it found.

Some checks hold for every image; those that need to know what was asked for are made with the recipe alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from bootsmith.tasks.errors import StageError, UsageError
from bootsmith.tasks.inspection import (
    boot_entries,
    disk_checks,
    setting_checks,
    system_checks,
    system_tree,
    verity_checks,
)
from bootsmith.tasks.inspection.expectation import Expected
from bootsmith.tasks.inspection.verdicts import Check, Checker, NotMade, Subject, Verdict
from bootsmith.tasks.inspection.volumes import Image

CHECKS = {**disk_checks.CHECKS, **system_checks.CHECKS, **setting_checks.CHECKS, **verity_checks.CHECKS}
"""Every check by its name, in the order of the recipe's key."""


def verify(
    image: Image, problems: Sequence[str], expected: Expected | None, checker: Checker, *, every_block: bool = True
) -> Iterator[Verdict]:
    """Yield the verdict of each check, in order; `problems` are those of the image's table.

    `every_block` says whether all that a hash tree is of is looked at, or the tree alone.
    """
    found: list[boot_entries.Found] = []
    tree = None
    for number in image.readable:
        with contextlib.suppress(StageError, UsageError):  # what is damaged, the check of filesystems says
            found.extend(boot_entries.on(image, number))
    entries, others = _read(image, expected, found)
    with contextlib.suppress(StageError, UsageError):
        tree = _tree(image, expected)
    subject = Subject(image, tuple(problems), expected, tree, entries, others, checker, every_block)
    skipped = expected.skip if expected else ()
    for name, check in CHECKS.items():
        yield judged(name, check, subject) if name not in skipped else Verdict(name, "the recipe skips it", made=False)


def _read(
    image: Image, expected: Expected | None, found: Sequence[boot_entries.Found]
) -> tuple[tuple[boot_entries.Found, ...], tuple[boot_entries.Found, ...]]:
    """Return the entries that loaders read, and the others: a tree may have menus of the machine that it comes from."""
    if expected is None:
        return tuple(found), ()
    names = {number: part.name for number, part in zip(image.parts, expected.partitions, strict=False)}
    read = {(each.kind, each.partition, each.folder.lower()) for each in expected.menus}
    ours = [(each.loader, names.get(each.partition), each.path.rpartition("/")[0].lower()) in read for each in found]
    pairs = [*zip(found, ours, strict=True)]
    return tuple(each for each, its in pairs if its), tuple(each for each, its in pairs if not its)


def _tree(image: Image, expected: Expected | None) -> system_tree.SystemTree | None:
    """Return the system on an image: on the partition that the recipe says, None where nothing there can be read."""
    if expected is None or len(expected.partitions) != len(image.parts):
        return system_tree.whole(image)
    pairs = zip(image.parts, expected.partitions, strict=True)
    root = next((number for number, wanted in pairs if wanted.mount == "/"), None)
    return system_tree.whole(image, root) if root in image.readable else None


def judged(name: str, check: Check, subject: Subject) -> Verdict:
    """Return what a check comes to."""
    about, wrong = [], []
    try:
        for line in check(subject):
            if line.startswith("!"):
                wrong.append(line[1:])
            else:
                about.append(line)
    except NotMade as reason:
        return Verdict(name, str(reason), made=False)
    except (StageError, UsageError) as error:
        wrong.append(error.message)
    return Verdict(name, ", ".join(about), tuple(dict.fromkeys(wrong)))


def to_text(name: str, verdicts: list[Verdict]) -> str:
    """Return it as lines for people."""
    width = max(len(each.check) for each in verdicts)
    lines = []
    for each in verdicts:
        state = "wrong" if each.wrong else "ok" if each.made else "-"
        lines.append(f"{state:6}{each.check:{width}}  {each.about}".rstrip())
        lines += [f"      {'':{width}}  {line}" for line in each.wrong]
    wrong = sum(bool(each.wrong) for each in verdicts)
    made = sum(each.made for each in verdicts)
    lines.append(f"{name}: {wrong} of {made} checks failed" if wrong else f"{name}: {made} checks passed")
    return "\n".join(lines)
