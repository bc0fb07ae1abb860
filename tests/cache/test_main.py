"""cache/__main__.py: the store looked at, verified, cleared and explained from a shell."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import bootsmith
import pytest
from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.cache.errors import UsageError
from bootsmith.cache.keep import roots
from bootsmith.cache.report.commands import main
from bootsmith.cache.store import record as records
from bootsmith.cache.store.lease import Lease
from bootsmith.cache.store.record import Record
from bootsmith.cache.store.store import Store

from tests.support import other_process

MIB = 1 << 20
KEY, OTHER = "a" * 32, "b" * 32
NOISE = os.urandom(MIB)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store where two results share a chunk, one of them needed by a build directory, and one download lies."""
    root = tmp_path / "store"
    monkeypatch.setenv("BOOTSMITH_CACHE", str(root))
    monkeypatch.delenv("BOOTSMITH_CACHE_SIZE", raising=False)
    monkeypatch.delenv("BOOTSMITH_CACHE_AGE", raising=False)
    store = Store(root)
    for key, more in ((KEY, bytes(MIB) + b"text\n" * 100_000), (OTHER, os.urandom(MIB))):
        file = tmp_path / "file"
        file.write_bytes(NOISE + more)
        digest = fingerprint(file)
        store.put(file, digest)
        outputs = {"disk": {"hash": digest, "size": file.stat().st_size, "file": "disk.raw"}}
        store.put_result(key, outputs)
        if key == KEY:
            records.write(tmp_path / "build/toy/.bootsmith/records/x.json", Record("assemble", key, {}, outputs))
    roots.note(root, tmp_path / "build/toy", [])
    store.lease.release()
    return root


def digest_of(root: Path, key: str) -> str:
    """Return the digest of a result's only output."""
    store = Store(root)
    result = store.result(key)
    store.lease.release()
    assert result is not None
    return str(result["disk"]["hash"])


def chunk_of(root: Path, key: str, number: int) -> Path:
    """Return where a chunk of a result's output lies."""
    digest = (Store(root).chunks(digest_of(root, key)) or ())[number]
    (path,) = (root / "chunks" / digest[:2]).glob(f"{digest}*")
    return path


def said(*words: str, status: int = 0) -> str:
    """Return what the command says, which ends with this status."""
    lines: list[str] = []
    assert main(words, lines.append) == status
    return "\n".join(lines)


def at_a_shell(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "bootsmith.cache", *words],
        env=os.environ | {"PYTHONPATH": str(Path(bootsmith.__file__).parent.parent)},
        text=True,
        capture_output=True,
        timeout=other_process.TIMEOUT,
        check=False,
    )


# -- stat


def test_stat_counts_and_tells_what_is_saved(root: Path) -> None:
    """Per kind on disk; in the files, without zeros, shared, packed; who needs how much."""
    found = json.loads(said("stat", "--json"))
    assert found["root"] == str(root)
    assert {kind: each["count"] for kind, each in found["kinds"].items() if each["count"]} == {
        "results": 2,
        "blobs": 2,
        "chunks": 3,
    }
    files = found["files"]
    assert files["whole"] == 4 * MIB + 500_000
    assert files["filled"] == 3 * MIB + 500_000
    assert files["unique"] == 2 * MIB + 500_000
    assert files["stored"] < files["unique"] - 400_000
    on_disk = sum(path.stat().st_blocks * 512 for path in root.rglob("*") if path.is_file())
    assert found["size"] == on_disk == found["rest"] + sum(each["size"] for each in found["kinds"].values())
    (build,) = found["builds"]
    assert build["state"] == "here"
    assert MIB < build["size"] < 2 * MIB
    assert found["leased"] == 0
    assert found["limits"] == {"size": 20 << 30, "age": None}


def test_the_reference_names_every_key_of_stat(root: Path) -> None:
    """docs/reference/cache-commands.md is about this very output."""
    text = (Path(bootsmith.__file__).parents[2] / "docs/reference/cache-commands.md").read_text()
    found = json.loads(said("stat", "--json"))
    inner = [*found["limits"], *found["kinds"], *found["files"], *found["builds"][0]]
    assert root.is_dir()
    assert [name for name in [*found, *inner] if f"`{name}`" not in text] == []


def test_stat_for_people(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, with the limits and where they come from."""
    monkeypatch.setenv("BOOTSMITH_CACHE_AGE", "90d")
    lease = Lease(root)
    lease.hold(f"results/{OTHER}")
    text = said("stat")
    assert f"{root}: " in text
    assert "at most 20.0 GiB (BOOTSMITH_CACHE_SIZE)" in text
    assert "removed after 90 days (BOOTSMITH_CACHE_AGE)" in text
    assert "3 chunks" in text
    assert "1.0 MiB of zeros, 1.0 MiB shared" in text
    assert "2.0 MiB  in use by running builds" in text
    assert f"needed by {tmp_path / 'build/toy'} (here, run just now)" in text
    lease.release()
    shutil.rmtree(tmp_path / "build")
    assert f"0 B  needed by {tmp_path / 'build/toy'} (gone, run just now)" in said("stat")


def test_of_a_store_that_is_not_there(root: Path) -> None:
    """Nothing, and that is no error; nothing is made."""
    there = ("--cache", str(root / "nowhere"))
    assert "0 B on disk" in said(*there, "stat")
    assert said(*there, "verify") == "sound: nothing there"
    assert said(*there, "gc") == "nothing to remove"
    assert not (root / "nowhere").exists()


def test_path(root: Path) -> None:
    """Where to look."""
    assert said("path") == str(root)


# -- verify


def test_verify_of_a_sound_store(root: Path) -> None:
    """It says how much that was."""
    assert said("verify") == "sound: 2 results, 2 files, 3 chunks"
    assert root.is_dir()


def test_verify_names_what_is_damaged_and_repair_moves_it(root: Path) -> None:
    """Exactly that, and what it takes with it; afterwards it is absent, and the rest sound (V6)."""
    chunk = chunk_of(root, OTHER, 1)
    chunk.chmod(0o644)
    chunk.write_bytes(chunk.read_bytes()[:-1])
    for words in (("verify",), ("verify", "--repair")):
        lines = said(*words, status=1).splitlines()
        assert [line.split()[1] for line in lines[:-1]] == [
            f"chunks/{chunk.name.partition('.')[0]}",
            f"blobs/{digest_of(root, OTHER)}",
        ]
        assert lines[-1].startswith("2 damaged, ")
    assert not chunk.exists()
    assert (root / "quarantine" / chunk.name).exists()
    assert said("verify").startswith("sound: ")
    assert Store(root).has(digest_of(root, KEY))


def test_verify_computes_sha256(root: Path, tmp_path: Path) -> None:
    """The name a file has where it leaves this machine, as other tools compute it."""
    assert Store(root).fetch(digest_of(root, KEY), tmp_path / "out")
    lines = said("verify", "--sha256").splitlines()
    expected = subprocess.run(["sha256sum", tmp_path / "out"], capture_output=True, text=True, check=True).stdout[:64]
    assert f"{expected}  {digest_of(root, KEY)}" in lines
    assert len(lines) == 3


# -- gc


def test_gc_removes_down_to_a_size(root: Path) -> None:
    """First told, then done; what a build needs stays, and why the limit is not reached is said."""
    told = said("gc", "--size", "1K", "--dry-run")
    assert told.startswith("would have removed 1.0 MiB: 1 result, 1 file, 1 chunk\n")
    assert "needed by 1 current build" in told
    assert said("gc", "--size", "1K") == told.removeprefix("would have ")
    assert Store(root).has(digest_of(root, KEY))
    assert said("gc", "--size", "none") == "nothing to remove"


def test_gc_removes_what_is_old(root: Path) -> None:
    """By the option, or else by the environment."""
    os.utime(root / "results" / OTHER[:2] / OTHER, (1, 1))
    os.utime(root / "results" / KEY[:2] / KEY, (1, 1))
    assert "1 result, 1 file, 1 chunk" in said("gc", "--age", "30d")
    assert Store(root).has(digest_of(root, KEY))


# -- explain


def test_explain_a_key(root: Path, tmp_path: Path) -> None:
    """What it gave, who needs it, when it was used."""
    text = said("explain", KEY)
    assert text.splitlines()[0].startswith(f"result of the key {KEY}: ")
    assert "last used just now" in text
    assert f"  disk: 2.5 MiB, {digest_of(root, KEY)}" in text
    assert f"  needed by {tmp_path / 'build/toy'}\n    the key of stage assemble" in text
    assert "needed by" not in said("explain", OTHER)


def test_explain_a_file_and_a_chunk(root: Path) -> None:
    """What names it, by a digest's first digits too; whether all of it is there."""
    digest = digest_of(root, KEY)
    text = said("explain", digest[:12])
    assert "2.5 MiB in 2 chunks" in text
    assert f"part of the result of the key {KEY}" in text
    assert "the output disk of stage assemble" in text
    chunk = chunk_of(root, KEY, 0)
    assert said("explain", chunk.name).count("part of the file") == 2
    chunk.unlink()
    assert "not whole: it counts as absent" in said("explain", digest)
    assert f"{digest}, not there" in said("explain", KEY)


def test_explain_what_is_held(root: Path) -> None:
    """By a build that runs now."""
    lease = Lease(root)
    lease.hold(f"results/{OTHER}")
    assert "in use by a running build" in said("explain", digest_of(root, OTHER))
    assert "in use" not in said("explain", KEY)
    lease.release()


@pytest.mark.parametrize(
    ("name", "message"),
    [("xyz", "'xyz' is no key"), ("abc", "first 4"), ("0123456789", "never there"), ("../..", "is no key")],
)
def test_explain_what_is_not_there(root: Path, name: str, message: str) -> None:
    """An error in words."""
    assert root.is_dir()
    with pytest.raises(UsageError) as error:
        main(["explain", name])
    assert message in str(error.value)


def test_explain_what_was_removed(root: Path, tmp_path: Path) -> None:
    """A record may name what the store no longer has."""
    (root / "results" / KEY[:2] / KEY).unlink()
    with pytest.raises(UsageError, match=f"the key of stage assemble of {tmp_path}/build/toy"):
        main(["explain", KEY])


def test_explain_what_is_ambiguous(root: Path) -> None:
    """All that it may mean."""
    Store(root).put_result("a" * 31 + "b", {})
    with pytest.raises(UsageError, match="2 things") as error:
        main(["explain", "aaaa"])
    assert "Give more digits" in error.value.hint


# -- at a shell


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "COMMAND"),
        (("foo",), "invalid choice: 'foo'"),
        (("gc", "--size", "12"), "--size: '12' is no limit"),
        (("explain",), "KEY|DIGEST"),
        (("explain", "zz"), "'zz' is no key or digest"),
        (("explain", "0123456789"), "never there"),
    ],
)
def test_a_wrong_word_ends_with_status_3(root: Path, words: tuple[str, ...], message: str) -> None:
    """And with what the right ones are, never with a traceback."""
    done = at_a_shell("--cache", str(root), *words)
    assert done.returncode == 3
    assert done.stderr.startswith("ERROR: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_is_a_file_ends_with_status_1(tmp_path: Path) -> None:
    """In words."""
    (tmp_path / "file").touch()
    for words in (("stat",), ("explain", KEY)):
        done = at_a_shell("--cache", str(tmp_path / "file"), *words)
        assert done.returncode == 1
        assert f"ERROR: the store {tmp_path / 'file'} cannot be read: Not a directory" in done.stderr


def test_a_reader_that_leaves_is_no_error(root: Path) -> None:
    """`... | head -1` ends quietly."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; sys.stdin.readline(); from bootsmith.cache.__main__ import run; run(['stat'])",
        ],
        env=os.environ | {"PYTHONPATH": str(Path(bootsmith.__file__).parent.parent), "BOOTSMITH_CACHE": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate("go\n", timeout=other_process.TIMEOUT)
    assert errors == ""
    assert process.returncode != -signal.SIGPIPE
