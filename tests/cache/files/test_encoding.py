"""Names of files are taken as UTF-8 by every Python; tests/system/test_locales.py tries it with builds."""

from __future__ import annotations

import subprocess
import sys

from tests.support.checkout import CHECKOUT


def test_a_program_starts_anew_but_once() -> None:
    """Its words, its folder and its input stay; where there is no UTF-8 mode to be had, it is an error in words."""
    program = (
        "import sys; from bootsmith.cache.files import encoding; encoding.settle(); "
        "print(ascii(sys.argv), sys.stdin.read())"
    )
    argv = [sys.executable, "-X", "utf8=0", "-W", "error", "-c", program, "-X", "caf\u00e9"]
    env = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(CHECKOUT / "src")}
    done = subprocess.run(argv, env=env, input="more", capture_output=True, text=True, check=True)
    assert done.stdout == "['-c', '-X', 'caf\\xe9'] more\n"
    late = program.replace("encoding.settle", "sys.orig_argv[1:] = ['-X', 'utf8']; encoding.settle")
    done = subprocess.run([*argv[:3], "-c", late], env=env, capture_output=True, text=True, check=False)
    assert "UsageError: this Python has no UTF-8 mode" in done.stderr
