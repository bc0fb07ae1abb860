"""Ports of this host: free ones, held by one machine at a time."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from bootsmith.tasks.machine import ports


@pytest.fixture(name="port")
def fixture_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
    return number


def test_a_port_is_held_by_one_machine(port: int) -> None:
    """What one holds another does not get, though nobody listens there yet; afterwards it does (A12)."""
    with ports.Holding() as one, ports.Holding() as two:
        assert one.take(port)
        assert ports.is_free(port)
        assert not two.take(port)
        assert not one.take(port)
    with ports.Holding() as three:
        assert three.take(port)


def test_a_port_that_is_listened_on_is_not_held(port: int) -> None:
    """A listener's port cannot be had; once it is closed it can, at once."""
    with ports.Holding() as holding:
        with socket.create_server(("127.0.0.1", port)):
            assert not holding.take(port)
        assert holding.take(port)


def test_a_holder_that_is_killed_holds_nothing(port: int) -> None:
    """The end of a process, however it comes, frees what it held (L11)."""
    code = (
        f"import sys; from bootsmith.tasks.machine import ports; h = ports.Holding(); print(h.take({port}), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}; sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "True\n"
        with ports.Holding() as holding:
            assert not holding.take(port)
            child.kill()
            child.wait()
            assert holding.take(port)
