"""Firmware with variables of our own making: keys, or a boot entry; in the cache, beside what the distribution has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bootsmith.tasks.boot import signing
from bootsmith.tasks.errors import BootsmithError, ToolMissing
from bootsmith.tasks.machine import variables
from bootsmith.tasks.machine.firmware import Firmware
from bootsmith.tasks.tools import host, process
from bootsmith.tasks.tools.environment import ENVIRONMENT


def with_keys(found: Firmware, certificate: Path | None) -> Firmware:
    """Return firmware that starts only what a certificate's key signed, where there is none what Microsoft signed.

    Raises BootsmithError, StageError.
    """
    if certificate is None:
        return with_microsoft_keys(found)
    der = signing.read_certificate(certificate.read_bytes(), str(certificate)).whole
    return _with(found, lambda flash, what: variables.enrol(flash, der, what))


def with_microsoft_keys(found: Firmware) -> Firmware:
    """Return firmware that starts what Microsoft signed, as machines in workdirs do. Raises ToolMissing."""
    if found.microsoft is None:
        raise ToolMissing(
            f"there are no variables with Microsoft's keys beside {found.code}",
            "Give the recipe keys of its own: boot.secure_boot.",
        )
    return replace(found, variables=found.microsoft)


def with_program(found: Firmware, path: str) -> Firmware:
    """Return firmware with a boot entry for the EFI program at a path, on whichever disk it is."""
    return _with(found, lambda flash, what: variables.with_program(flash, path, what))


def with_entry(found: Firmware, file: str, folder: Path) -> Firmware:
    """Return firmware that has systemd-boot boot an entry once, by its file's name; its variables are in `folder`."""
    return _with(found, lambda flash, what: variables.with_entry(flash, file, what), folder)


def _with(found: Firmware, change: Callable[[bytes, str], bytes], folder: Path | None = None) -> Firmware:
    """Return firmware with other variables: what `change` makes of them and their name.

    They are a file of ours, named by what is in it, in `folder` or in the cache; a machine writes to copies alone.
    Raises BootsmithError where it cannot be written.
    """
    from bootsmith.cache.files import temporary
    from bootsmith.cache.store.location import default_root

    folder = folder or default_root() / "firmware"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.folder(folder) as work:
            return _changed(found, change, folder, work)
    except OSError as error:
        raise BootsmithError(
            f"the firmware's variables cannot be written: {error.filename or folder}: {error.strerror}",
            "Point BOOTSMITH_CACHE at a folder of yours, on a disk with room.",
        ) from error


def _changed(found: Firmware, change: Callable[[bytes, str], bytes], folder: Path, work: Path) -> Firmware:
    import hashlib

    raw = made = work / "raw"
    if found.format == "raw":
        raw.write_bytes(found.variables.read_bytes())
    else:
        _convert(found.format, found.variables, "raw", raw)
    flash = change(raw.read_bytes(), str(found.variables))
    raw.write_bytes(flash)
    if found.format != "raw":
        made = work / "made"
        _convert("raw", raw, found.format, made)
    kept = folder / f"{hashlib.sha256(flash).hexdigest()[:32]}{found.variables.suffix}"
    made.replace(kept)
    return replace(found, variables=kept)


def _convert(form: str, source: Path, wanted: str, target: Path) -> None:
    words: list[str | Path] = ["convert", "-f", form, "-O", wanted, source, target]
    process.run([host.find("qemu-img"), *words], env=ENVIRONMENT, cwd=target.parent)
