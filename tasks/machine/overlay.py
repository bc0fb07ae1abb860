"""What a guest writes, kept beside the image it was started from: `run.qcow2`, and its firmware's variables."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bootsmith.cache.files.lock import FileLock
from bootsmith.tasks.disk.passphrase import ID, Passphrase, definition, patiently
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.machine.firmware import Firmware
from bootsmith.tasks.tools import host, process
from bootsmith.tasks.tools.environment import ENVIRONMENT


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let no other machine write to what is kept in `folder`. Raises BootsmithError where one does."""
    lock = FileLock(folder / "run.lock")
    if not lock.try_acquire():
        raise BootsmithError(
            f"another machine keeps its writes in {folder / 'run.qcow2'}", "End that one first, or leave out --keep."
        )
    with lock:
        yield


def kept(
    disk: Path,
    format: str,  # noqa: A002
    firmware: Firmware | None,
    folder: Path,
    passphrase: Passphrase | None = None,
) -> tuple[Path, Firmware | None]:
    """Return the overlay over `disk` in `folder`, made if there is none, and firmware whose variables may be written.

    An overlay holds single clusters and means nothing over any other image: raises BootsmithError where `disk` is no
    longer what it was made over. What is written over an encrypted disk is encrypted by the same passphrase.
    """
    folder.mkdir(parents=True, exist_ok=True)
    over = folder / "run.qcow2"
    note = folder / "run.json"
    base = disk.stat()
    now = {"image": str(disk), "size": base.st_size, "mtime": base.st_mtime_ns, "inode": base.st_ino}
    if over.exists():
        if _noted(note) != now:
            raise BootsmithError(
                f"{over} holds what a guest wrote over an earlier {disk.name}, which has changed since",
                f"Remove it to start afresh: rm {over}",
            )
    else:
        for old in folder.glob("run.vars.*"):
            old.unlink()
        if passphrase:
            _make_encrypted(disk, format, over, passphrase)
        else:
            _qemu_img("create", "-q", "-f", "qcow2", "-F", format, "-b", disk, over)
        note.write_text(json.dumps(now))
    return over, firmware and _own_variables(firmware, folder)


def _noted(note: Path) -> object:
    """Return what an overlay's note says; None where there is none, or one that a power cut left damaged."""
    try:
        return json.loads(note.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _make_encrypted(disk: Path, format: str, over: Path, passphrase: Passphrase) -> None:  # noqa: A002
    size = json.loads(_qemu_img("info", "--output=json", "-f", format, disk))["virtual-size"]
    words = ["--object", definition(0), "-o", f"encrypt.format=luks,encrypt.key-secret={ID}", "-u", "-F", format]
    patiently(
        lambda: _qemu_img("create", "-q", "-f", "qcow2", *words, "-b", disk, over, str(size), input=passphrase.encoded)
    )


def _qemu_img(*words: str | Path, input: bytes | None = None) -> bytes:  # noqa: A002  as subprocess calls it
    return process.run([host.find("qemu-img"), *words], env=ENVIRONMENT, cwd=Path("/"), input=input).stdout


def _own_variables(firmware: Firmware, folder: Path) -> Firmware:
    """Return firmware with variables of its own in `folder`: the first time a copy of the template."""
    variables = folder / f"run.vars{firmware.variables.suffix}"
    if not variables.exists():
        shutil.copyfile(firmware.variables, variables)
    return replace(firmware, variables=variables)
