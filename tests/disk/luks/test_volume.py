"""Volumes of LUKS, made without root: what cryptsetup makes of ours, what we make of its own, and of damage. C12."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk.image_content import opened as opened_disk
from bootsmith.tasks.disk.luks import header, key_slot, opened, volume
from bootsmith.tasks.disk.luks.aes_xts import Cipher
from bootsmith.tasks.disk.luks.clear import ClearDisk
from bootsmith.tasks.disk.luks.volume import LuksParams
from bootsmith.tasks.errors import BootsmithError, StageError
from bootsmith.tasks.tools import host

from tests.support.single_stage import run_stage

UUID = "179ab335-08ea-462f-983b-8b2fbd8620c7"
WORD = b"correct horse"
MOST_WORK = 250_000_000
"""Iterations of one block of a hash, of all that is done to try a passphrase."""

Told: TypeAlias = dict[str, Any]
"""What the JSON of a header of LUKS2 says."""


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


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let keys be derived at once; return what that would have taken, in iterations of one block of a hash."""
    real, done = key_slot.derived, []

    def derived(by: bytes, salt: bytes, iterations: int, size: int, name: str = "sha256") -> bytes:
        done.append(iterations * -(-size // hashlib.new(name).digest_size))
        return real(by, salt, 1, size, name)

    monkeypatch.setattr(key_slot, "derived", derived)
    return done


def test_damage_is_told_and_never_believed(tmp_path: Path, library: Path, work: list[int]) -> None:
    """Whatever a header says, it is refused or opened: no traceback, and no work without end."""
    whole = header.make(library, 1, WORD, UUID, "x").header
    dice = random.Random(7)
    told = 0
    for at in sorted(dice.sample(range(592), 40)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << dice.randrange(8)
        image = tmp_path / "image"
        image.write_bytes(damaged)
        work.clear()
        try:
            opened.unlock("x", reader(image), WORD, library)
        except BootsmithError:
            told += 1
        assert sum(work) <= MOST_WORK
    assert told > 10
    with pytest.raises(StageError, match="cut short"):
        opened.unlock("x", lambda at, length: whole[at : min(at + length, 500)], WORD, library)


def test_a_damaged_header_of_luks2_is_not_what_its_checksum_says(library: Path) -> None:
    """Wherever a bit of its words has turned."""
    whole = bytearray(header.make(library, 2, WORD, UUID, "x").header)
    whole[5000] ^= 1
    with pytest.raises(StageError, match="not what its checksum says"):
        opened.unlock("x", read_of(whole), WORD, library)


LIES = (
    0, 1, -5, 1 << 30, 50_000_000, 10**30, 10**400, float("inf"), float("nan"), 16777216.0, True, None,
    "", "0", "1", "-5", "1.0", "1_0", " 1", "\u0661", str(1 << 63), str(1 << 130), "9" * 5000, "sha512",
    "\ud800", "A" * 8000, [], {}, ["0"], [[]], ["0"] * 300, {"0": {}},
)  # fmt: skip


def test_lies_of_luks2_are_never_believed(library: Path, work: list[int]) -> None:
    """Whatever its words are, under a checksum that is right: refused or opened, and read, in bounded time."""
    whole = header.make(library, 2, WORD, UUID, "x").header + bytes(1 << 16)
    told = json.loads(whole[4096:16384].partition(b"\0")[0])
    ended = Counter[bool]()
    for path in places_in(told):
        for lie in LIES:
            work.clear()
            ended[is_read(library, retold(whole, replaced(told, path, lie)))] += 1
            assert sum(work) <= MOST_WORK, (path, lie)
    assert ended[False] > 100
    assert ended[True] > 10


def more_slots(told: Told, count: int) -> None:
    """Let a header have more keys, each of which is tried for long."""
    told["keyslots"] = {str(number): told["keyslots"]["0"] for number in range(count)}
    told["keyslots"]["0"]["kdf"]["iterations"] = 50_000_000
    told["digests"]["0"].update(keyslots=[*told["keyslots"]], digest="A" * 43 + "=")


def the_same_slot(told: Told) -> None:
    """Let one key be tried again and again."""
    told["digests"]["0"].update(keyslots=["0"] * 2, digest="A" * 43 + "=")


def a_long_check(told: Told) -> None:
    """Let what tells the right key be more than any hash comes to: each block of it takes all iterations."""
    told["digests"]["0"].update(iterations=1_000_000, digest="A" * 4000)


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        (partial(more_slots, count=32), "it asks for more work than any does"),
        (partial(more_slots, count=33), "it has more keys than there can be"),
        (the_same_slot, "it has more keys than there can be"),
        (a_long_check, "it has no check of its key"),
    ],
    ids=["32", "33", "twice", "check"],
)
def test_work_without_end_is_refused_before_it_begins(
    library: Path, work: list[int], lie: Callable[[Told], None], why: str
) -> None:
    """However it is asked for."""
    whole = header.make(library, 2, WORD, UUID, "x").header
    told = json.loads(whole[4096:16384].partition(b"\0")[0])
    lie(told)
    work.clear()
    with pytest.raises(StageError, match=why):
        opened.unlock("x", read_of(retold(whole, told)), WORD, library)
    assert work == []


def is_read(library: Path, image: bytes) -> bool:
    """Tell whether a volume is opened and read; it may be refused."""
    disk = BytesDisk(image)
    try:
        clear = ClearDisk(disk, 0, disk.size, opened.unlock("x", disk.read, WORD, library), library)
    except BootsmithError:
        return False
    assert len(clear.read(0, 4096)) in {0, 4096}
    clear.close()
    return True


def places_in(told: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the way to everything in an object of JSON."""
    for key, value in told.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places_in(value, (*path, key))


def replaced(told: Told, path: tuple[str, ...], value: Any) -> Told:
    """Return an object of JSON with something else at a place."""
    key, *rest = path
    return {**told, key: replaced(told[key], tuple(rest), value) if rest else value}


def retold(whole: bytes, told: Told) -> bytes:
    """Return a header of LUKS2 that says something else, with its checksum."""
    text = json.dumps(told, separators=(",", ":")).encode()
    size = 1 << max(14, (4096 + len(text)).bit_length())
    head = bytearray(whole[:4096] + text.ljust(size - 4096, b"\0"))
    struct.pack_into(">Q", head, 8, size)
    head[448:512] = bytes(64)
    head[448:480] = hashlib.sha256(head).digest()
    return bytes(head) + whole[size:]


def read_of(data: bytes | bytearray) -> opened.Read:
    return lambda at, length: bytes(data[at : at + length])


class BytesDisk:
    """A disk that is in memory, read as all are: nothing beyond its end, and no place beyond any disk's."""

    def __init__(self, data: bytes) -> None:
        self.size, self._data = len(data), data

    def read(self, offset: int, length: int) -> bytes:
        assert length < 1 << 63
        return self._data[offset : offset + length] if 0 <= offset < self.size else b""

    @contextlib.contextmanager
    def part(self, start: int, size: int) -> Iterator[tuple[Path | int, int]]:  # noqa: ARG002  all of it is there
        with tempfile.TemporaryFile() as file:
            file.write(self._data)
            file.flush()
            yield file.fileno(), start


@pytest.mark.parametrize(("sector", "shift"), [(512, 0), (4096, 0), (4096, 512)])
def test_a_hole_is_zeros_however_it_is_read(tmp_path: Path, library: Path, sector: int, shift: int) -> None:
    """A sector of zeros is one that was never written: both ways to read it say so, next to data and far from them."""
    key, count = bytes(range(64)), (4 << 20) // sector
    written = {number: bytes((number % 255 + 1,)) * sector for number in (3, 4, 40, count - 1)}
    image, start = tmp_path / "image", (1 << 20) + shift
    cipher = Cipher(library, key, encrypt=True)
    with image.open("wb") as file:
        file.truncate(start + count * sector)
        for number, data in written.items():
            file.seek(start + number * sector)
            file.write(cipher.sectors(data, sector, number * sector // 512))
    cipher.close()
    wanted = b"".join(written.get(number, bytes(sector)) for number in range(count))
    with opened_disk(image, "raw") as disk:
        clear = ClearDisk(disk, shift, disk.size - shift, opened.Unlocked(1 << 20, sector, 0, key), library)
        assert clear.read(0, clear.size) == wanted
        with clear.part(0, clear.size) as (file, at):
            assert os.pread(int(str(file)), clear.size, at) == wanted
        clear.close()
