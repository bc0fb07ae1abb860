"""Keys made on the spot, and a stage's context that holds one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import BinaryIO

from bootsmith.cache.store.store import Store
from bootsmith.tasks.boot import signing
from bootsmith.tasks.build import running
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.stage import Context, Stage


def make_key(folder: Path, name: str = "mine", algorithm: str = "rsa:2048") -> tuple[Path, Path]:
    """Make a key and its own certificate; return their files."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    curve = ["-pkeyopt", "ec_paramgen_curve:P-256"] if algorithm == "ec" else []
    subprocess.run(
        ["openssl", "req", "-new", "-x509", "-newkey", algorithm, *curve, "-nodes", "-batch", "-days", "3650",
         "-subj", f"/CN={name}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, certificate


def context(folder: Path, key: Path, certificate: Path, log: BinaryIO | None = None) -> Context:
    """Return what a stage that signs is run with; what its programs print goes to `log`."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    stage = Stage(
        "signing", "x:run", {signing.CERTIFICATE: certificate}, {}, tools=signing.TOOLS,
        secrets={signing.KEY: Secret(key)},
    )  # fmt: skip
    return running.context(stage, {}, work, lambda: Store(folder / "store"), log=log)
