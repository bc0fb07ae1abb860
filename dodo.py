"""This repository's own recipes as doit tasks, and the tasks only its developers need."""

from typing import Any

from bootsmith.tasks import image_tasks

DOIT_CONFIG, task_bootsmith = image_tasks("recipes/minimal.yaml")


def task_test() -> dict[str, Any]:
    """Pass the tests: style, types, behaviour, real boots; [WORDS...] go to pytest instead."""

    def check(words: list[str]) -> bool:
        from tests.suite import run

        return run(words)

    return {"actions": [check], "pos_arg": "words", "verbosity": 2}


def task_soak() -> dict[str, Any]:
    """Try for hours what the tests try for minutes: kills, full disks, every boot; [WORDS...] choose, as for pytest."""

    def try_long(words: list[str]) -> bool:
        from tests.suite import soak

        return soak(words)

    return {"actions": [try_long], "pos_arg": "words", "verbosity": 2}


def task_bench() -> dict[str, Any]:
    """Measure, as ratios within one run, what has to be fast."""

    def measure(words: list[str]) -> bool:
        from benchmarks.suite import run

        return run(words)

    return {"actions": [measure], "pos_arg": "words", "verbosity": 2}
