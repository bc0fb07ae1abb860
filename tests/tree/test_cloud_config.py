"""What cloud-init would pass over without a word, or break on in a machine that nobody can reach yet."""

from __future__ import annotations

import pytest
from bootsmith.tasks.tree import cloud_config

BAD = [
    ("user_data", b"", "is empty"),
    ("user_data", b" \n\n", "is empty"),
    ("user_data", b"\xef\xbb\xbf#cloud-config\n", "begins with a byte order mark, behind which"),
    ("user_data", b"\x1f\x8b\x08\0", "is packed by gzip; unpack it"),
    ("user_data", b"#cloud-config\n\xff\n", "is no UTF-8: byte 14 is 0xff"),
    ("user_data", b"#cloud-config\r\nhostname: x\r\n", "ends line 1 as on Windows (CR LF)"),
    ("user_data", b"#!/bin/sh\necho\r\n", "ends line 2 as on Windows (CR LF)"),
    ("user_data", b"# cloud-config\nx: y\n", ("begins with '# cloud-config', by which cloud-init knows nothing; "
     "did you mean #cloud-config?")),
    ("user_data", b"\n#cloud-config\nx: y\n", "begins with '', by which cloud-init knows nothing"),
    ("user_data", b"packages: [vim]\n", "write #cloud-config, or #! and an interpreter"),
    ("user_data", b"#cloud-config\nusers:\n\t- me\n", "has a tab before line 3, which YAML does not allow"),
    ("user_data", b"#cloud-config\n- a\n", "holds no keys, which is what cloud-init looks for"),
    ("user_data", b"#cloud-config\na: [b\n", "is no YAML in line 3"),
    ("user_data", b"#cloud-config\na: " + b"[" * 100 + b"]" * 100, "is nested deeper than 50 levels"),
    ("user_data", b"#cloud-config-archive\na: b\n", "holds no list"),
    ("user_data", b"#cloud-config\n" + b"#" * (1 << 20), "has more than 1 MiB"),
    ("meta_data", b"just words\n", "holds no keys"),
    ("meta_data", b"instance-id: a\r\n", "ends line 1 as on Windows"),
    ("network_config", b"ethernets: {}\n", "says neither `version:` nor `network:`"),
    ("network_config", b"version: 2\n  bad: x\n", "is no YAML in line 2"),
]  # fmt: skip
GOOD = [
    ("user_data", b"#cloud-config\nusers: [default]\n"),
    ("user_data", b"#cloud-config\n"),
    ("user_data", b"#cloud-config\nruncmd:\n  - |\n    printf 'a\tb'\n"),
    ("user_data", b"#!/bin/sh\n\techo a tab is a shell's affair\n"),
    ("user_data", b"#cloud-config-archive\n- type: text/cloud-config\n"),
    ("user_data", b"## template: jinja\n#cloud-config\nx: {{ v1.region }}\n"),
    ("user_data", b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'),
    ("user_data", b"#include\nhttps://example.org/x\n"),
    ("meta_data", b'{"instance-id": "x"}\n'),
    ("meta_data", b"---\ninstance-id: x\n"),
    ("network_config", b"version: 2\nethernets: {all: {match: {name: 'e*'}, dhcp4: true}}\n"),
    ("network_config", b"network:\n  version: 2\n"),
    ("network_config", b'{"version": 2}\n'),
]


@pytest.mark.parametrize(("name", "data", "why"), BAD, ids=[why[:40] for _, _, why in BAD])
def test_what_is_refused(name: str, data: bytes, why: str) -> None:
    """With the line it is in, and what to write instead (W10)."""
    assert why in (cloud_config.refusal(name, data) or "")


@pytest.mark.parametrize(("name", "data"), GOOD, ids=[repr(data[:30]) for _, data in GOOD])
def test_what_is_taken(name: str, data: bytes) -> None:
    """Every form that cloud-init tells by its first line (W10)."""
    assert cloud_config.refusal(name, data) is None
