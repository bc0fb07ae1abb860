"""In what order the tests run, and which of them one worker runs one after the other: the longest come first.

Two cores do half as much as they could while one of them runs the last long test alone. The tests of a file stay
together, since they share what is dear to make; a long one that shares nothing may go elsewhere.
"""

from __future__ import annotations

LONGEST = (
    "tests/system/test_image.py::TestMinimal",
    "tests/boot/test_efi_boots.py",
    "tests/system/test_entry_kernels.py",
    "tests/system/test_sabotage.py",
    "tests/packages/test_bootstrap.py",
    "tests/writeback/test_apply.py::test_what_the_guest_changed_and_nothing_else[larger than the disk had room]",
    "tests/system/test_boot_matrix.py",
    "tests/system/test_image.py::test_grub_on_debian_12_boots_and_takes_the_password",
    "tests/writeback/test_write.py",
    "tests/build/test_scenarios.py",
    "tests/boot/test_workshop.py",
    "tests/house/test_types.py",
    "tests/system/test_tiny.py",
    "tests/system/test_encrypted.py",
)
"""Files, classes and tests that take long, the longest first; the others follow in the order they were found."""


def group(test: str) -> str:
    """Return what a test, by its node id, is run together with: the first of LONGEST that it is of, or its file."""
    return next((each for each in LONGEST if _is_of(test, each)), test.partition("::")[0])


def rank(test: str) -> int:
    """Return where a test's group stands among those that are to come first."""
    found = group(test)
    return LONGEST.index(found) if found in LONGEST else len(LONGEST)


def _is_of(test: str, prefix: str) -> bool:
    return test == prefix or test.startswith((f"{prefix}::", f"{prefix}["))
