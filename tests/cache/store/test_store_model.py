"""Store and memo against a model: any order of storing, reading, damage, kills, clean-ups, clock shifts."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from bootsmith.cache.digest.fingerprint import fingerprint, of_bytes
from bootsmith.cache.digest.memo import Memo
from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import clock
from bootsmith.cache.keep import gc
from bootsmith.cache.keep.limits import Limits
from bootsmith.cache.store.store import Store
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from xxhash import xxh3_128_hexdigest

from tests.support import failing_syscalls, forked_work

MIB = 1 << 20
CHUNKS = [bytes(MIB), b"words " * (MIB // 6), random.Random(1).randbytes(MIB), random.Random(2).randbytes(MIB)]
CONTENTS = [
    b"",
    b"small",
    CHUNKS[1],
    CHUNKS[2] + b"end",
    CHUNKS[1] + CHUNKS[2] + CHUNKS[3],
    CHUNKS[0] + CHUNKS[2] + CHUNKS[0],
    CHUNKS[3] + b"tail",
]
DIGESTS = [of_bytes(content) for content in CONTENTS]
NUMBERS = st.integers(0, len(CONTENTS) - 1)
CALLS = st.integers(1, 60)
DAMAGES: dict[str, Callable[[bytearray], bytes]] = {
    "flip": lambda data: bytes(data[:-1]) + bytes([data[-1] ^ 1]),
    "cut": lambda data: bytes(data[: len(data) // 2]),
    "emptied": lambda _: b"",
    "zeros": lambda data: bytes(len(data)),
    "other": lambda _: b"something else",
}


class Machine(RuleBasedStateMachine):
    """What is stored and not damaged since must come out, right; of all else nothing or the right thing."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory(prefix="store-model-")
        self.top = Path(self.folder.name)
        self.sure: set[int] = set()
        """What must be there."""
        self.held: set[int] = set()
        """What this process used since it opened the store: gc leaves that alone."""
        self.damaged = False
        self.files: dict[str, bytes] = {}
        self.real_offset = clock.offset
        self.shift = 0

        self.store = Store(self.top / "store")
        self.memo = Memo(self.top / "memo")

    @rule()
    def reopen(self) -> None:
        """Begin anew, as another process would."""
        self.store.lease.release()
        self.memo.save()
        self.store = Store(self.top / "store")
        self.memo = Memo(self.top / "memo")
        self.held.clear()

    def teardown(self) -> None:
        """Give everything back."""
        clock.offset = self.real_offset
        self.store.lease.release()
        self.folder.cleanup()

    def use(self, number: int) -> None:
        """Note that this process holds a blob."""
        self.held.add(number)

    # -- storing and reading

    @rule(number=NUMBERS, from_file=st.booleans())
    def put(self, number: int, from_file: bool) -> None:
        """Store it; it must be there from now on."""
        if from_file:
            (self.top / "source").write_bytes(CONTENTS[number])
            self.store.put(self.top / "source", fingerprint(self.top / "source"))
        else:
            assert self.store.put_bytes(CONTENTS[number]) == DIGESTS[number]
        self.use(number)
        if not self.damaged:  # what is there is not read: a damaged chunk shows when it is
            self.sure.add(number)

    @rule(number=NUMBERS)
    def get(self, number: int) -> None:
        """Read it."""
        self.expect(number, self.store.get_bytes(DIGESTS[number]))
        self.use(number)

    @rule(number=NUMBERS, older=st.none() | NUMBERS)
    def fetch(self, number: int, older: int | None) -> None:
        """Restore it, onto another one or not."""
        onto = self.top / "older"
        if older is not None:
            onto.write_bytes(CONTENTS[older])
        done = self.store.fetch(DIGESTS[number], self.top / "out", onto=onto)
        self.expect(number, (self.top / "out").read_bytes() if done else None)
        (self.top / "out").unlink(missing_ok=True)
        self.use(number)

    def expect(self, number: int, found: bytes | None) -> None:
        """Compare what came out with what must."""
        assert found == CONTENTS[number] or (found is None and number not in self.sure), number

    # -- faults

    @rule(number=NUMBERS, at=CALLS)
    def kill(self, number: int, at: int) -> None:
        """Let a process die while it stores."""

        def work() -> None:
            with failing_syscalls.fault_at(at, failing_syscalls.die):
                Store(self.top / "store").put_bytes(CONTENTS[number])

        forked_work.in_child(work)

    @rule(number=NUMBERS, at=CALLS, code=st.sampled_from([errno.ENOSPC, errno.EACCES]), fetching=st.booleans())
    def fail(self, number: int, at: int, code: int, fetching: bool) -> None:
        """Let a call fail while it is stored or restored."""
        self.use(number)
        with failing_syscalls.fault_at(at, failing_syscalls.failing(code)), suppress(CacheError):
            if fetching:
                self.store.fetch(DIGESTS[number], self.top / "out")
            else:
                self.store.put_bytes(CONTENTS[number])
        if (self.top / "out").exists():
            assert (self.top / "out").read_bytes() == CONTENTS[number]
            (self.top / "out").unlink()

    @rule(choice=st.integers(0, 1000), how=st.sampled_from(sorted(DAMAGES)))
    def damage(self, choice: int, how: str) -> None:
        """Change a stored file."""
        paths = sorted(path for kind in ("chunks", "indexes") for path in (self.top / "store" / kind).glob("??/*"))
        if not paths:
            return
        path = paths[choice % len(paths)]
        before = path.read_bytes()
        after = DAMAGES[how](bytearray(before or b"?"))
        if after == before:
            return
        path.chmod(0o644)
        path.write_bytes(after)
        self.damaged = True
        name = path.name.removesuffix(".zst")
        self.sure -= {number for number in set(self.sure) if name in self.pieces(number)}

    def pieces(self, number: int) -> set[str]:
        """Return the names of the files that hold a blob, reckoned from its content."""
        content = CONTENTS[number]
        chunks = [content[start : start + MIB] for start in range(0, len(content), MIB)]
        return {DIGESTS[number], *(xxh3_128_hexdigest(chunk) for chunk in chunks)}

    @rule()
    def verify(self) -> None:
        """Look for damage, and move it away: then there is none."""
        named = list(self.store.verify(quarantine=True))
        assert self.damaged or not named
        for number in self.sure:
            assert f"blobs/{DIGESTS[number]}" not in {each.name for each in named}
        assert list(self.store.verify()) == []
        self.damaged = False

    @rule(size=st.sampled_from([0, 1 * MIB, 3 * MIB, 100 * MIB]))
    def collect(self, size: int) -> None:
        """Let gc remove what nobody uses; a process that could not note what it uses keeps gc out."""
        with suppress(gc.Busy):
            gc.collect(self.top / "store", Limits(size=size, age=None))
            self.sure &= self.held

    @rule()
    def lose(self) -> None:
        """Delete the store."""
        shutil.rmtree(self.top / "store", ignore_errors=True)
        self.reopen()
        self.sure.clear()
        self.damaged = False

    # -- files and what the memo says of them

    @rule(name=st.sampled_from("ab"), content=st.binary(min_size=3, max_size=3), keep=st.booleans())
    def edit(self, name: str, content: bytes, keep: bool) -> None:
        """Change a file, to as many bytes and, perhaps, back to its former time."""
        path = self.top / name
        before = path.stat() if path.exists() else None
        path.write_bytes(content)
        if keep and before:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.files[name] = content

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """Ask for a file's fingerprint."""
        name = data.draw(st.sampled_from(sorted(self.files)))
        assert fingerprint(self.top / name, self.memo) == of_bytes(self.files[name])

    @rule(seconds=st.integers(-100_000, 100_000))
    def shift_clock(self, seconds: int) -> None:
        """Set the wall clock."""
        self.shift += seconds * clock.SECOND
        low, high = self.real_offset()
        clock.offset = lambda: (low + self.shift, high + self.shift)

    @rule(choice=st.integers(0, 1000))
    def damage_memo(self, choice: int) -> None:
        """Change a bit of the memo on disk."""
        path = self.top / "memo"
        if path.exists() and (data := bytearray(path.read_bytes())):
            data[choice % len(data)] ^= 1 << choice % 8
            path.write_bytes(data)

    @invariant()
    def is_tidy(self) -> None:
        """Nothing wrong lies under a final name."""
        assert not (self.top / "out").exists()


@pytest.mark.soak(ci=30, whole=2000)
def test_whatever_happens_in_whatever_order(rounds: int) -> None:
    """What was stored comes out as it was, or not at all; an unchanged file is known, a changed one never mistaken."""
    case: Any = Machine.TestCase
    phases = set(Phase) - {Phase.shrink}  # that takes minutes; the steps are printed all the same
    case.settings = settings(max_examples=rounds, stateful_step_count=30, phases=phases)
    case().runTest()
