"""ASN.1 in its distinguished encoding (X.690), as far as certificates and signatures need it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, SEQUENCE, SET = 0x02, 0x03, 0x04, 0x05, 0x06, 0x30, 0x31


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag, its content, and both with the length between them."""

    tag: int
    content: bytes
    whole: bytes

    @property
    def parts(self) -> list[Element]:
        """The elements its content is made of. Raises ValueError where it is made of none."""
        return list(elements(self.content))


def encode(tag: int, *contents: bytes) -> bytes:
    """Return an element."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*contents: bytes) -> bytes:
    """Return a SEQUENCE."""
    return encode(SEQUENCE, *contents)


def set_of(*contents: bytes) -> bytes:
    """Return a SET OF, its members in the order the encoding prescribes."""
    return encode(SET, *sorted(contents))


def tagged(number: int, *contents: bytes) -> bytes:
    """Return what is told from others by a context-specific tag around it."""
    return encode(0xA0 | number, *contents)


def integer(number: int) -> bytes:
    """Return a small INTEGER."""
    return encode(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER."""
    first, second, *rest = map(int, dotted.split("."))
    content = b""
    for number in (first * 40 + second, *rest):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        content += bytes(reversed(groups))
    return encode(OID, content)


def elements(data: bytes) -> Iterator[Element]:
    """Yield the elements that stand one after the other in `data`. Raises ValueError where it is no DER."""
    at = 0
    while at < len(data):
        try:
            tag, size, start = data[at], data[at + 1], at + 2
        except IndexError:
            raise ValueError("it is cut short") from None
        if size >= 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[start : start + count], "big")
            start += count
        if start + size > len(data):
            raise ValueError("it is cut short")
        yield Element(tag, data[start : start + size], data[at : start + size])
        at = start + size
