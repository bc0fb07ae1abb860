"""Volumes of LUKS, made without root: what cryptsetup makes of ours, what we make of its own, and of damage. C12."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk.image_content import opened as opened_disk
from bootsmith.tasks.disk.luks import header, key_slot, opened, volume
from bootsmith.tasks.disk.luks.clear import ClearDisk
from bootsmith.tasks.disk.luks.volume import LuksParams
from bootsmith.tasks.errors import BootsmithError, StageError
from bootsmith.tasks.tools import host

from tests.support.single_stage import run_stage

UUID = "179ab335-08ea-462f-983b-8b2fbd8620c7"
WORD = b"correct horse"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test derive keys as slowly as they are for real."""
    monkeypatch.setattr(header, "ITERATIONS", 1000)


@pytest.fixture(scope="module")
def library() -> Path:
    return volume.crypto_library(host.find("openssl"))


def cryptsetup(*words: str | Path, word: bytes = WORD) -> bytes:
    argv = ["cryptsetup", "-q", "--key-file", "-", *words]
    return subprocess.run(argv, input=word, capture_output=True, check=True).stdout


def volume_key(image: Path) -> bytes:
    """Return the key of a volume, as cryptsetup gives it to who has the passphrase."""
    file = image.with_name("key")
    cryptsetup("luksDump", "--dump-volume-key", "--volume-key-file", file, image)
    return file.read_bytes()


def reader(image: Path) -> opened.Read:
    data = image.read_bytes()
    return lambda at, length: data[at : at + length] if at >= 0 else b""


@pytest.mark.parametrize("version", [1, 2])
def test_cryptsetup_takes_what_is_made(tmp_path: Path, library: Path, version: int) -> None:
    """The header is one to it, its passphrase opens it, and the key within is the one that the data are by."""
    made = header.make(library, version, WORD, UUID, "a label")
    image = tmp_path / "image"
    image.write_bytes(made.header + bytes(1 << 20))
    told = cryptsetup("luksDump", image).decode()
    assert UUID in told
    assert ("a label" in told) is (version == 2)
    assert volume_key(image) == made.key
    found = opened.unlock("x", reader(image), WORD, library)
    assert (found.key, found.start, found.sector) == (made.key, header.SIZES[version], header.SECTORS[version])


def test_the_bytes_follow_from_passphrase_and_name_alone(library: Path) -> None:
    """The same twice; and of another passphrase, or another volume, nothing that is secret is the same (V11)."""
    made = [header.make(library, 2, *words, "x") for words in ((WORD, UUID), (WORD, UUID), (b"x", UUID))]
    assert made[0] == made[1]
    assert made[0].key != made[2].key
    other = header.make(library, 2, WORD, UUID.replace("1", "2"), "x")
    assert other.key != made[0].key


@pytest.mark.parametrize(
    "words", [("--type", "luks1"), ("--type", "luks2", "--sector-size", "512"), ("--type", "luks2")]
)
def test_what_cryptsetup_makes_is_opened(tmp_path: Path, library: Path, words: tuple[str, ...]) -> None:
    """By any of its passphrases; another one is refused, and so is what is derived in a way that is not read."""
    image = tmp_path / "image"
    image.write_bytes(b"")
    os.truncate(image, 20 << 20)
    slow = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
    cryptsetup("luksFormat", *words, *slow, image)
    assert opened.unlock("x", reader(image), WORD, library).key == volume_key(image)
    with pytest.raises(BootsmithError, match="the passphrase given does not open it"):
        opened.unlock("x", reader(image), b"wrong", library)
    if words == ("--type", "luks2"):
        cryptsetup("luksFormat", *words, "--pbkdf-memory", "32", "--pbkdf-force-iterations", "4", image)
        with pytest.raises(StageError, match="its keys are derived by argon2id, and pbkdf2 is read"):
            opened.unlock("x", reader(image), WORD, library)


@pytest.mark.parametrize("version", [1, 2])
def test_a_filesystem_is_what_it_was_and_what_is_unused_stays_a_hole(
    tmp_path: Path, library: Path, version: int
) -> None:
    """Every block that the filesystem uses is the same through the volume, zeros too; the rest takes no room."""
    image, secret = tmp_path / "fs.img", tmp_path / "word"
    secret.write_bytes(WORD + b"\n")
    (tmp_path / "top").mkdir()
    (tmp_path / "top/file").write_bytes(random.Random(1).randbytes(300_000))
    (tmp_path / "top/zeros").write_bytes(bytes(200_000))
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-d", tmp_path / "top", image, "64M"]
    subprocess.run(words, check=True, capture_output=True)
    target = tmp_path / "out/root.img"
    stage = Stage(
        "encrypt/root", "bootsmith.tasks.disk.luks.volume:run", {"image": image}, {"image": target},
        LuksParams("root", version, UUID, "root").to_json(), volume.TOOLS, secrets={volume.SECRET: Secret(file=secret)},
    )  # fmt: skip
    run_stage(stage, tmp_path / "work")
    assert target.stat().st_size == header.SIZES[version] + (64 << 20)
    assert target.stat().st_blocks * 512 < 24 << 20, "4 MiB of journal, and little else"
    assert WORD not in target.read_bytes()
    with opened_disk(target, "raw") as disk:
        found = opened.unlock("x", disk.read, WORD, library)
        clear = ClearDisk(disk, 0, disk.size, found, library)
        with clear.part(0, clear.size) as (file, start):
            assert start == 0
            whole = tmp_path / "clear.img"
            whole.write_bytes(os.pread(int(str(file)), clear.size, 0))
        assert clear.read(1024, 3) == whole.read_bytes()[1024:1027]
        clear.close()
    subprocess.run(["e2fsck", "-fn", whole], check=True, capture_output=True)
    for name in ("file", "zeros"):
        said = subprocess.run(["debugfs", "-R", f"cat {name}", whole], check=True, capture_output=True).stdout
        assert said == (tmp_path / "top" / name).read_bytes()


@pytest.mark.parametrize("version", [1, 2])
def test_damage_is_told_and_never_believed(
    tmp_path: Path, library: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a header says, it is refused or opened: no traceback, and no work without end."""
    quickly = partial(pytest.MonkeyPatch.setattr, monkeypatch)
    real = key_slot.derived
    quickly(key_slot, "derived", lambda by, salt, _, size, name="sha256": real(by, salt, 1, size, name))
    whole = header.make(library, version, WORD, UUID, "x").header
    dice = random.Random(7)
    told = 0
    for at in sorted(bytes_of_it(version, dice)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << dice.randrange(8)
        image = tmp_path / "image"
        image.write_bytes(damaged)
        try:
            opened.unlock("x", reader(image), WORD, library)
        except BootsmithError:
            told += 1
    assert told > 10
    with pytest.raises(StageError, match="cut short"):
        opened.unlock("x", lambda at, length: whole[at : min(at + length, 500)], WORD, library)


def bytes_of_it(version: int, dice: random.Random) -> Iterator[int]:
    """Yield some places of a header that numbers stand at."""
    yield from dice.sample(range(592 if version == 1 else 6000), 40)
