"""Fetching packages: from real HTTP servers and folders, well-behaved and not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from bootsmith.cache.store.store import Store
from bootsmith.tasks.build.stage import Download
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import downloads
from bootsmith.tasks.packages.mirrors import Mirrors

from tests.support.web_server import Quiet, serving

CONTENT = {
    f"pool/a/{name}_1.deb": name.encode() * 50_000 for name in ("alpha", "beta+1", "gamma", "delta", "eps", "zeta")
}


class Server(ThreadingHTTPServer):
    """Serves CONTENT, unless `behave` answers a path with something else: a status, or other bytes."""

    daemon_threads = False  # the last answer's thread is waited for, so that its socket is closed

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behave: Callable[[str], int | bytes | None] = lambda _: None
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/debian"


class Handler(Quiet, BaseHTTPRequestHandler):
    """Answers as its server behaves."""

    server: Server

    def do_HEAD(self) -> None:
        path = self.path.removeprefix("/debian/").replace("%2B", "+")
        answer = self.server.behave(path)
        self.send_response(answer if isinstance(answer, int) else 200 if path in CONTENT else 404)
        self.end_headers()

    def do_GET(self) -> None:
        path = self.path.removeprefix("/debian/").replace("%2B", "+")
        self.server.asked.append(path)
        answer = self.server.behave(path)
        if answer is None:
            answer = CONTENT.get(path, 404)
        if isinstance(answer, int):
            self.send_error(answer)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT.get(path, answer))))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def package(path: str, role: str = "main") -> Download:
    data = CONTENT[path]
    return Download(Path(path).stem.replace("_", " "), role, path, len(data), hashlib.sha256(data).hexdigest())


PACKAGES = tuple(package(path) for path in CONTENT)


def fetch(
    store: Store, *bases: str, files: tuple[Download, ...] = PACKAGES, pauses: tuple[float, ...] = (0, 0)
) -> list[str]:
    said: list[str] = []
    found = downloads.fetch(files, store, lambda: Mirrors({"main": bases}), said.append, pauses=pauses)
    for each in files:
        assert found[each.sha256].read_bytes() == CONTENT[each.path]
    return said


def test_packages_come_into_the_store(server: Server, store: Store) -> None:
    """Every package is fetched once, told how far it is, and none of it again the next time."""
    said = fetch(store, server.url)
    assert sorted(server.asked) == sorted(CONTENT)
    assert said[-1] == "fetching 6/6 packages, 1 of 1 MiB"
    server.asked.clear()
    assert fetch(store, server.url) == []
    assert server.asked == []


def test_what_is_there_needs_no_mirror(server: Server, store: Store) -> None:
    """With everything in the store, no mirror is even looked for: a host without one can build."""
    fetch(store, server.url)

    def none() -> Mirrors:
        raise AssertionError("asked for a mirror")

    downloads.fetch(PACKAGES, store, none, lambda _: None)


def test_a_damaged_package_is_fetched_again(server: Server, store: Store) -> None:
    """A file of the store whose content changed is noticed and replaced."""
    fetch(store, server.url)
    path = store.path_sha256(PACKAGES[2].sha256)
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(b"rot")
    server.asked.clear()
    fetch(store, server.url)
    assert server.asked == [PACKAGES[2].path]


def test_folders_are_mirrors_too(tmp_path: Path, store: Store) -> None:
    """A mirror may be a folder, also one with a space in its name."""
    for path, data in CONTENT.items():
        file = tmp_path / "my mirror" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    fetch(store, (tmp_path / "my mirror").as_uri())


def test_the_next_mirror_is_asked(server: Server, tmp_path: Path, store: Store) -> None:
    """What the first mirror lacks, or has otherwise, comes from the next one."""
    fetch(store, (tmp_path / "empty").as_uri(), server.url)


@pytest.mark.parametrize(
    "wrong", [b"other", b"y" * 50_000 * 5, b"y" * 50_000 * 6], ids=["shorter", "same size", "longer"]
)
def test_a_wrong_package_is_refused(wrong: bytes, server: Server, store: Store) -> None:
    """Content that is not what the lock says never enters the store; the error names the file."""
    name = PACKAGES[0].path
    server.behave = lambda path: wrong if path == name else None
    with pytest.raises(StageError, match="alpha"):
        fetch(store, server.url)
    assert store.path_sha256(PACKAGES[0].sha256) is None


def test_a_package_that_is_gone_names_update(server: Server, store: Store) -> None:
    """A version that mirrors have dropped is an error that says what to run; what was fetched is kept."""
    server.behave = lambda path: 404 if "gamma" in path else None
    with pytest.raises(StageError, match="gamma 1 cannot be had any more") as caught:
        fetch(store, server.url)
    assert "doit update" in caught.value.hint
    server.behave = lambda _: None
    server.asked.clear()
    fetch(store, server.url)
    assert "pool/a/gamma_1.deb" in server.asked


def test_a_hiccup_is_retried(server: Server, store: Store) -> None:
    """A server that fails or breaks off now and then is asked again."""
    failures = {"pool/a/alpha_1.deb": [503, b"alp"], "pool/a/zeta_1.deb": [500]}
    server.behave = lambda path: failures[path].pop() if failures.get(path) else None
    fetch(store, server.url)
    assert server.asked.count("pool/a/alpha_1.deb") == 3


def test_a_server_that_keeps_failing_is_an_error(server: Server, store: Store) -> None:
    """After the last attempt the error names the URL and what the server said."""
    server.behave = lambda path: 503 if "eps" in path else None
    with pytest.raises(StageError, match=r"eps_1\.deb cannot be fetched.*503") as caught:
        fetch(store, server.url)
    assert "network" in caught.value.hint


def test_no_network_is_said(store: Store) -> None:
    """Nobody listening is told from a package that is gone."""
    with pytest.raises(StageError, match="cannot be fetched") as caught:
        fetch(store, "http://127.0.0.1:9/debian")
    assert "network" in caught.value.hint


def test_a_role_without_a_repository_names_update(server: Server, store: Store) -> None:
    """A lock of a repository that the recipe no longer has cannot be fetched; the error says what to run."""
    files = (package("pool/a/gamma_1.deb", role="extra1"),)
    with pytest.raises(StageError, match="extra1") as caught:
        fetch(store, server.url, files=files)
    assert "doit update" in caught.value.hint


def test_a_proxy_is_used(server: Server, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is asked for everything."""
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/debian"))
    monkeypatch.delenv("no_proxy", raising=False)
    server.behave = lambda path: CONTENT[path.removeprefix("http://mirror.invalid/debian/")]
    fetch(store, "http://mirror.invalid/debian")
    assert all(path.startswith("http://mirror.invalid/") for path in server.asked)


def test_nothing_half_fetched_stays(server: Server, store: Store) -> None:
    """After a failure the store's scratch folder is empty."""
    server.behave = lambda path: 404 if "beta" in path else None
    with pytest.raises(StageError):
        fetch(store, server.url)
    assert list((store.root / "tmp").iterdir()) == []


def test_what_no_mirror_has_is_told_without_fetching(server: Server, tmp_path: Path, store: Store) -> None:
    """Of what is not in the store; a mirror that cannot be asked, or does not know the question, may have it."""
    alpha, beta, gamma = PACKAGES[:3]
    fetch(store, server.url, files=(alpha,))
    server.asked.clear()
    server.behave = {alpha.path: 404, beta.path: 404, gamma.path: 501}.get
    assert downloads.gone(PACKAGES, store, Mirrors({"main": (server.url,)})) == [beta]
    assert downloads.gone(PACKAGES, store, Mirrors({"main": (server.url, "http://127.0.0.1:1/debian")})) == []
    assert downloads.gone((beta,), store, Mirrors({"main": (server.url, tmp_path.as_uri())})) == [beta]
    assert server.asked == []
