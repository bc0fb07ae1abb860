"""Files from URLs, told by their SHA-256: fetched once, gone on with where a server breaks off, or refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from bootsmith.cache.store.store import Store
from bootsmith.tasks.build.stage import Download
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import mirrors, web_downloads

from tests.support.web_server import Quiet, serving

DATA = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """Has one file under several names; breaks off as often as it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks = 0
        self.ranges: list[str] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(Quiet, BaseHTTPRequestHandler):
    """`whole` is sent from its beginning whatever is asked for, `file` as asked."""

    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.ranges.append(asked)
        if self.path == "/missing":
            self.send_error(404)
            return
        start = int(asked[6:-1]) if asked and self.path != "/whole" else 0
        data = (b"x" if self.path == "/other" else b"") + DATA[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.server.breaks:
            self.server.breaks -= 1
            self.wfile.write(data[: len(data) // 2])
        else:
            self.wfile.write(data)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on loopback, reached directly."""
    monkeypatch.setattr(mirrors, "host_settings", dict)
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(Server()) as found:
        yield found


def fetch(store: Store, url: str, sha256: str = SHA256) -> bytes:
    """Have a file brought into a store; return what is there."""
    files = [Download(url, "url", "", 0, sha256)]
    found = web_downloads.supply(files, {"url": url}, store, lambda _: None, pauses=(0, 0))
    return found[sha256].read_bytes()


def test_it_is_fetched_once(tmp_path: Path, server: Server) -> None:
    """What the store has needs no server, wherever the recipe says that it is now."""
    store = Store(tmp_path)
    assert fetch(store, server.url("file")) == DATA
    assert fetch(store, "http://127.0.0.1:1/gone") == DATA
    assert server.ranges == [""]


@pytest.mark.parametrize(
    ("name", "second"), [("file", f"bytes={len(DATA) // 2}-"), ("whole", f"bytes={len(DATA) // 2}-")]
)
def test_what_broke_off_is_gone_on_with(tmp_path: Path, server: Server, name: str, second: str) -> None:
    """Where it ended, of a server that can; from the beginning, of one that cannot."""
    server.breaks = 1
    assert fetch(Store(tmp_path), server.url(name)) == DATA
    assert server.ranges == ["", second]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("other", f"/other has the SHA-256 {hashlib.sha256(b'x' + DATA).hexdigest()}, and the recipe says {SHA256}"),
        ("missing", "/missing does not exist"),
    ],
)
def test_what_is_another_file_is_refused(tmp_path: Path, server: Server, name: str, said: str) -> None:
    """Nothing of it is kept."""
    store = Store(tmp_path)
    with pytest.raises(StageError, match=re.escape(said)):
        fetch(store, server.url(name))
    assert store.path_sha256(SHA256) is None
    assert not [*(tmp_path / "tmp").glob("*")]


def test_a_server_that_always_breaks_off_is_told(tmp_path: Path, server: Server) -> None:
    """After some attempts, with what to look at."""
    server.breaks = 9
    with pytest.raises(StageError, match="cannot be fetched: the connection broke off"):
        fetch(Store(tmp_path), server.url("whole"))
    assert len(server.ranges) == 3


def test_it_may_be_a_file_of_this_host(tmp_path: Path) -> None:
    """Whose name has blanks; one that is not there is told."""
    (tmp_path / "a file").write_bytes(DATA)
    store = Store(tmp_path / "store")
    assert fetch(store, f"file://{tmp_path}/a%20file") == DATA
    with pytest.raises(StageError, match="there is no such file"):
        fetch(store, f"file://{tmp_path}/none", "0" * 64)


def test_more_than_any_file_has_is_not_read(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may send without end."""
    monkeypatch.setattr(web_downloads, "LARGEST", 1 << 19)
    with pytest.raises(StageError, match="has more than 512 KiB"):
        fetch(Store(tmp_path), server.url("file"))
