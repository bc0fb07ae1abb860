"""Verdicts of boots that passed, kept by the key of all they depended on: what did not change need not boot again.

A failure is never kept, and one under a key takes away the pass that was kept under it. A verdict is one sealed file
that holds the log and the picture too, so nothing else need be there for it to be believed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsmith.cache.digest import key as keys
from bootsmith.cache.files import sealed, temporary

if TYPE_CHECKING:
    from bootsmith.cache.digest.memo import Memo
    from bootsmith.tasks.machine.boot_setup import BootSetup

KIND = "verdict 1"
BOOT = "bootsmith.tasks.machine.boot_test"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A boot that passed.

    `phases` are the seconds at which each was reached, `evidence` is what convinced us, `files` are what the boot left
    behind, by name. `cached` says that it was not booted now, but at `when`, in seconds since 1970.
    """

    seconds: float
    phases: Mapping[str, float]
    evidence: tuple[str, ...]
    accelerator: str
    files: Mapping[str, Path]
    when: float
    cached: bool = False

    @property
    def summary(self) -> str:
        phase, at = list(self.phases.items())[-1]
        return f"{phase} reached in {at:.0f} s, {', '.join(self.evidence)} ({self.accelerator})"


class Verdicts:
    """The verdicts kept below `root`, the store's. `memo` knows the fingerprints of files."""

    def __init__(self, root: Path, memo: Memo) -> None:
        self._root = root
        self._memo = memo

    def key(self, setup: BootSetup) -> str | None:
        """Return the key of all that a boot depends on; None where QEMU is told of files that nobody can name."""
        if setup.machine.qemu or setup.machine.share:
            return None
        return keys.key(self.parts(setup))

    def parts(self, setup: BootSetup) -> dict[str, keys.Value]:
        """Return what a boot depends on, by name."""
        from bootsmith.cache.digest import secret_digest
        from bootsmith.cache.digest.code import module_identity
        from bootsmith.cache.digest.fingerprint import fingerprint
        from bootsmith.tasks.tools import identity

        test = asdict(setup.test)
        if setup.test.login:
            test["login"] = {
                "user": setup.test.login.user,
                "password": secret_digest.digest(self._root, setup.password),
            }
        opened = setup.subject.passphrase
        return {
            "passphrase": secret_digest.digest(self._root, opened.text) if opened else None,
            "files": {role: fingerprint(path, self._memo) for role, path in setup.files.items()},
            "settings": _plain(setup.settings),
            "machine": _plain(asdict(setup.machine)),
            "test": _plain(test),
            "accelerator": [setup.accel.kind, setup.accel.cpu],
            "qemu": identity.of_tool(setup.program, self._memo),
            "code": f"{module_identity(BOOT, memo=self._memo)} {sys.implementation.cache_tag}",
        }

    def recall(self, key: str, out: Path) -> Verdict | None:
        """Return the verdict kept under a key, its files put into `out`; None where there is none, or it is damaged."""
        file = self._file(key)
        body = sealed.read(file, KIND)
        if body is None:
            return None
        try:
            noted = json.loads(body)
            content = {name: zlib.decompress(base64.b64decode(each)) for name, each in noted.pop("files").items()}
            files = {name: out / Path(name).name for name in content}
            found = Verdict(**noted | {"evidence": tuple(noted["evidence"]), "files": files, "cached": True})
        except (ValueError, KeyError, TypeError, zlib.error):  # whole, but written by other code
            return None
        out.mkdir(parents=True, exist_ok=True)
        for name, path in files.items():
            path.write_bytes(content[name])
        with contextlib.suppress(OSError):  # what is used stays longest
            os.utime(file)
        return found

    def keep(self, key: str, verdict: Verdict) -> None:
        """Keep a verdict. A store that cannot be written costs booting again."""
        files = {
            name: base64.b64encode(zlib.compress(path.read_bytes())).decode() for name, path in verdict.files.items()
        }
        noted: dict[str, Any] = {
            "seconds": verdict.seconds, "phases": dict(verdict.phases), "evidence": list(verdict.evidence),
            "accelerator": verdict.accelerator, "files": files, "when": verdict.when,
        }  # fmt: skip
        with contextlib.suppress(OSError):
            file = self._file(key)
            for folder in (self._root / "verdicts", file.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            sealed.write(file, KIND, json.dumps(noted).encode(), drafts=temporary.drafts(self._root))

    def forget(self, key: str) -> None:
        """Keep no verdict under a key any more."""
        with contextlib.suppress(OSError):
            self._file(key).unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._root / "verdicts" / key[:2] / key


def _plain(value: Any) -> Any:
    """Turn paths into text, all the way down: those of settings shape nothing but themselves."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
