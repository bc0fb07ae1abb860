"""Whose signatures count: a keyring of GnuPG's made of a distribution's keys, as the distribution has them trusted.

Beside a file of keys, NAME.gpg, may stand what pacman-key reads: NAME-trusted, the fingerprints of the keys that vouch
for the others, a line each, and NAME-revoked, the fingerprints of those that count no more. Without the former every
key of the file counts by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.tools import host, process
from bootsmith.tasks.tools.environment import ENVIRONMENT

if TYPE_CHECKING:
    from bootsmith.tasks.tools.process import Completed

_FINGERPRINT: Final = re.compile(r"[0-9A-F]{40}")
_NO_KEYS: Final = "Name a file of OpenPGP public keys, as `gpg --export` writes them."


def make(home: Path, keyring: Path) -> None:
    """Make a keyring in which the distribution's keys are valid; `home`'s path is to be short. Raises StageError."""
    home.mkdir(mode=0o700)
    try:
        _gpg(home, "--import", str(keyring))
        own = _fingerprints(_gpg(home, "--list-keys"))
    except ToolFailed as error:
        raise StageError(f"{shown(keyring)} holds no keys: {error.tail}", _NO_KEYS) from error
    if not own:
        raise StageError(f"{shown(keyring)} holds no keys", _NO_KEYS)
    named = _listed(keyring, "trusted")
    vouching = [each for each in own if not named or each in named]
    if not vouching:
        raise StageError(f"{shown(keyring)} holds none of the keys that vouch for the others", _NO_KEYS)
    # What vouches for those is a key that exists for as long as this keyring does.
    host.find("gpg-agent")
    _gpg(home, "--passphrase", "", "--quick-generate-key", "bootsmith", "ed25519", "sign", "never")
    for each in vouching:
        _gpg(home, "--quick-lsign-key", each)
    if named:
        marginal = "".join(f"{each}:4:\n" for each in vouching)
        _gpg(home, "--import-ownertrust", input=marginal.encode())
    if revoked := [each for each in _listed(keyring, "revoked") if each in own]:
        _gpg(home, "--yes", "--delete-keys", *revoked)
    _gpg(home, "--check-trustdb")


def refusals(home: Path, files: Sequence[tuple[Path, Path]]) -> dict[Path, str]:
    """Return why files, each with its signature beside it, are not signed by a key that counts; none that are.

    A signature counts that is right, by a valid key that neither has expired nor was revoked.
    """
    words: list[str | Path] = [host.find("sh"), "-c", _VERIFY, "sh", host.find("gpg"), home]
    words += [each for pair in files for each in pair]
    told = process.run(words, env={**ENVIRONMENT, "GNUPGHOME": str(home)}, cwd=home).stdout.decode(errors="replace")
    parts = (part.partition("\n") for part in told.split(_FILE)[1:])
    said = {number: text.splitlines() for number, _, text in parts}
    found = {file: _refusal(said.get(str(number), [])) for number, (file, _) in enumerate(files)}
    return {file: why for file, why in found.items() if why}


# $1: gpg, $2: the keyring; then each file and its signature.
_FILE: Final = "[GNUPG:] bootsmith "
_VERIFY: Final = rf"""
gpg=$1 home=$2 number=0
shift 2
while [ $# -gt 0 ]; do
    echo "{_FILE}$number"
    "$gpg" --homedir "$home" --batch --no-tty --quiet --no-autostart --no-auto-check-trustdb --no-auto-key-retrieve \
        --status-fd 1 --verify -- "$2" "$1" || :
    number=$((number + 1))
    shift 2
done
"""


def _refusal(lines: Sequence[str]) -> str | None:
    """Return what is wrong by what gpg said of a signature (doc/DETAILS of GnuPG)."""
    said = [line.removeprefix("[GNUPG:] ").split() for line in lines if line.startswith("[GNUPG:] ")]
    key = {words[0]: words[1][-16:] for words in said if len(words) > 1}
    for sign, what in _WRONG.items():
        if sign in key:
            return what.format(key=key[sign])
    if [words[0] for words in said].count("GOODSIG") != 1 or "VALIDSIG" not in key:
        return "its signature is none"
    if not any(words[0] in ("TRUST_FULLY", "TRUST_ULTIMATE") for words in said):
        return f"it is signed by {key['GOODSIG']}, which nobody vouches for"
    return None


_WRONG: Final = {
    "BADSIG": "its signature is of other bytes",
    "NO_PUBKEY": "it is signed by {key}, which is not among the keys",
    "EXPKEYSIG": "it is signed by {key}, which has expired",
    "REVKEYSIG": "it is signed by {key}, which was revoked",
    "EXPSIG": "its signature has expired",
    "ERRSIG": "its signature, by {key}, cannot be checked",
}


def _listed(keyring: Path, what: str) -> list[str]:
    """Return the fingerprints in the file of that kind beside a keyring, none where there is no such file."""
    file = keyring.with_name(f"{keyring.stem}-{what}")
    try:
        words = [line.partition(":")[0].strip().upper() for line in file.read_text("ascii").splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(f"{shown(file)} cannot be read: {error}", "It holds a fingerprint on each line.") from error
    return [word for word in words if _FINGERPRINT.fullmatch(word)]


def _fingerprints(listed: Completed) -> list[str]:
    """Return the fingerprints of the primary keys of a list."""
    text = listed.stdout.decode(errors="replace")
    return re.findall(r"^pub:.*\n(?:(?!pub:|fpr:).*\n)*fpr:(?:[^:]*:){8}([0-9A-F]{40}):", text, re.MULTILINE)


def _gpg(home: Path, *words: str, input: bytes = b"") -> Completed:  # noqa: A002  as process.run
    fixed: Sequence[str | Path] = [host.find("gpg"), "--homedir", home, "--batch", "--no-tty", "--with-colons"]
    options = ["--quiet", "--no-auto-check-trustdb", "--no-auto-key-retrieve", "--no-autostart"]
    if words[0] in ("--passphrase", "--quick-lsign-key"):
        options.remove("--no-autostart")  # the agent that holds the secret key ends with gpg's own namespace
    return process.run([*fixed, *options, *words], env={**ENVIRONMENT, "GNUPGHOME": str(home)}, cwd=home, input=input)
