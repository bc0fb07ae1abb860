"""EFI programs: what is added to one is there, where its loader looks for it."""

from __future__ import annotations

import struct

import pytest
from bootsmith.tasks.boot import pe
from bootsmith.tasks.boot.pe import Addition
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import host

STUB = host.find("systemd-stub").read_bytes()
ADDITIONS = (
    Addition(".linux", b"k" * 70_001, room=100_000),
    Addition(".initrd", b"i" * 5000),
    Addition(".cmdline", b"root=/dev/vda1 ro"),
)


def test_sections_are_read_back() -> None:
    """Every section, the stub's own ones too, has its content; `room` is memory and not in the file."""
    stub = pe.parse(STUB, "the stub")
    made = pe.parse(pe.add_sections(stub, ADDITIONS), "it")
    for each in ADDITIONS:
        assert made.content(each.name) == each.data.ljust(len(made.content(each.name) or b""), b"\0")
    for each in stub.sections:
        assert made.content(each.name) == stub.content(each.name)
    assert made.content(".cmdline") == b"root=/dev/vda1 ro"
    assert made.content(".nothing") is None
    linux = next(each for each in made.sections if each.name == ".linux")
    assert (linux.room, linux.size) == (100_000, 70_144)


def test_sections_stand_apart_and_inside_the_image() -> None:
    """In memory none reaches into the next, each begins on a page, and the image's size spans them all."""
    made = pe.parse(pe.add_sections(pe.parse(STUB, "the stub"), ADDITIONS), "it")
    end = 0
    for each in made.sections:
        assert each.address >= end
        end = each.address + each.room
    assert all(each.address % pe.PAGE == 0 for each in made.sections[-3:])
    assert end <= made.field(56) < end + pe.PAGE
    assert all(each.offset % 512 == 0 for each in made.sections if each.size)


def test_the_checksum_is_the_formats_own() -> None:
    """It is what adding 16-bit words with their carries gives."""
    made = pe.add_sections(pe.parse(STUB, "the stub"), ADDITIONS)
    at = pe.parse(made, "it").optional + 64
    bare = made[:at] + bytes(4) + made[at + 4 :]
    total = 0
    for (word,) in struct.iter_unpack("<H", bare.ljust(len(bare) + len(bare) % 2, b"\0")):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    assert struct.unpack_from("<I", made, at)[0] == total + len(made)


def test_another_reader_agrees() -> None:
    """An independent walk over the bytes finds the same sections: name, size, address."""
    made = pe.add_sections(pe.parse(STUB, "the stub"), ADDITIONS)
    (header,) = struct.unpack_from("<I", made, 60)
    (count,) = struct.unpack_from("<H", made, header + 6)
    table = header + 24 + struct.unpack_from("<H", made, header + 20)[0]
    rows = [struct.unpack_from("<8s4I", made, table + 40 * index) for index in range(count)]
    assert [row[0].rstrip(b"\0") for row in rows[-3:]] == [b".linux", b".initrd", b".cmdline"]
    assert made[rows[-1][4] : rows[-1][4] + rows[-1][1]] == b"root=/dev/vda1 ro"


def test_a_longer_table_moves_the_content() -> None:
    """More sections than the headers have room for push everything behind them back, and nothing is lost."""
    stub = pe.parse(STUB, "the stub")
    many = [Addition(f".s{number}", bytes([number])) for number in range(1, 60)]
    made = pe.parse(pe.add_sections(stub, many), "it")
    assert made.content(".s59") == b"\x3b"
    assert made.content(".text") == stub.content(".text")
    assert made.field(60) > stub.field(60)


def test_an_edit_moves_nothing_before_it() -> None:
    """Another command line changes the header and the end of the file: the large sections stay where they are."""
    stub = pe.parse(STUB, "the stub")
    before = pe.add_sections(stub, ADDITIONS)
    after = pe.add_sections(stub, [*ADDITIONS[:2], Addition(".cmdline", b"debug " * 20)])
    start, end = before.index(b"k" * 1000), before.index(b"root=")
    assert before[start:end] == after[start:end]


@pytest.mark.parametrize("data", [b"", b"MZ", b"MZ" + bytes(200), STUB[:3000], b"\x7fELF" + STUB[4:]], ids=range(5))
def test_what_is_no_program_is_refused(data: bytes) -> None:
    """A file that is none, or cut short, is named."""
    with pytest.raises(StageError, match="the thing is not a 64-bit EFI program"):
        pe.parse(data, "the thing")


def test_a_signature_comes_and_goes() -> None:
    """The digest does not depend on the signature there is; a second one takes the first one's place."""
    bare = pe.parse(pe.add_sections(pe.parse(STUB, "the stub"), ADDITIONS), "it")
    once = pe.parse(pe.attach(bare, b"first"), "it")
    assert pe.digest(once) == pe.digest(bare)
    start, size = once.signatures
    assert (start % 8, size) == (0, 16)
    assert pe.attach(once, b"second one") == pe.attach(bare, b"second one")
    assert pe.digest(pe.parse(pe.add_sections(bare, [Addition(".x", b"")]), "it")) != pe.digest(bare)
