"""os-release(5), of this host and of trees."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.tools import os_release


def test_it_is_read_as_a_shell_would(tmp_path: Path) -> None:
    """Values may be quoted, either way; comments and what is no assignment do no harm."""
    said = "# ID=x\r\nNAME='A B'\nID_LIKE=\"rhel fedora\"\n\n ID=rocky \nBROKEN\nX=a b\n"
    said += 'PRETTY_NAME="Rocky \'x\' \\"9\\" \\$"\n'
    (tmp_path / "os-release").write_text(said)
    wanted = {"NAME": "A B", "ID_LIKE": "rhel fedora", "ID": "rocky", "PRETTY_NAME": "Rocky 'x' \"9\" $"}
    assert os_release.parse(said) == wanted
    assert os_release.of_host((f"{tmp_path}/nothing", f"{tmp_path}/os-release")) == wanted
    assert os_release.of_host((f"{tmp_path}/nothing",)) == {}


@pytest.mark.parametrize(
    ("value", "line"), [("debian", "A=debian\n"), ('a "b" $c `d` \\', 'A="a \\"b\\" \\$c \\`d\\` \\\\"\n'), ("", "")]
)
def test_it_is_quoted_as_a_shell_reads_it(value: str, line: str) -> None:
    """And what is empty is left out; what was written is read again."""
    assert os_release.text({"A": value}) == line
    assert os_release.parse(line) == ({"A": value} if value else {})
