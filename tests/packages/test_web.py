"""Files from web servers."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from bootsmith.tasks.packages.mirrors import proxies
from bootsmith.tasks.packages.web import Client, MissingError

from tests.support.web_server import Quiet, serving


class Server(ThreadingHTTPServer):
    """Answers by the path; counts the connections it accepted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = 0
        self.headers: list[dict[str, str]] = []
        self.bored = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def process_request(self, request: object, client_address: object) -> None:
        self.connections += 1
        super().process_request(request, client_address)  # type: ignore[arg-type]


class Handler(Quiet, BaseHTTPRequestHandler):
    """Keeps connections, unless the path says otherwise."""

    protocol_version = "HTTP/1.1"
    server: Server
    timeout = 5

    def do_GET(self) -> None:
        self.server.headers.append(dict(self.headers))
        name = self.path.rpartition("/")[2]
        if name == "missing":
            self.send_error(404)
        elif name == "broken":
            self.send_error(500)
        elif name in ("endless", "endless-missing"):
            self.send_response(302 if name == "endless" else 404)
            self.send_header("Location", "/file")
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(1 << 12):
                    self.wfile.write(bytes(1 << 20))
                self.server.bored = True
            self.close_connection = True
        elif name == "packed":
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"gzip")
        elif name in ("away", "round", "nowhere"):
            self.send_response(302)
            self.send_header("Location", {"away": "/file", "round": "round", "nowhere": "//[/"}[name])
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("Content-Length", "9")
            self.end_headers()
            self.wfile.write(b"half" if name == "half" else b"the file\n")
            self.close_connection = name in ("half", "hang-up")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        yield running


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client({}, lambda _: None)
    yield made
    made.close()


def get(client: Client, url: str) -> bytes:
    with client.open(url) as answer:
        return answer.read()


def test_a_connection_is_kept(server: Server, client: Client) -> None:
    """Many files from one server come over one connection, those it does not have among them."""
    for _ in range(5):
        assert get(client, f"{server.url}/file") == b"the file\n"
    with pytest.raises(MissingError, match="/missing does not exist"):
        get(client, f"{server.url}/missing")
    assert get(client, f"{server.url}/file") == b"the file\n"
    assert server.connections <= 2  # http.server itself closes after an error


def test_a_connection_that_was_closed_is_made_again(server: Server, client: Client) -> None:
    """A server that hangs up between two files is connected to again."""
    for _ in range(3):
        assert get(client, f"{server.url}/hang-up") == b"the file\n"
    assert server.connections == 3


def test_what_is_not_read_to_its_end_is_not_reused(server: Server, client: Client) -> None:
    """Leaving an answer half read does not put its rest before the next one."""
    with client.open(f"{server.url}/file") as answer:
        assert answer.read(3) == b"the"
    assert get(client, f"{server.url}/file") == b"the file\n"


def test_redirections_are_followed(server: Server, client: Client) -> None:
    """Mirrors may send elsewhere, but not round in circles."""
    assert get(client, f"{server.url}/away") == b"the file\n"
    with pytest.raises(OSError, match="redirects without end"):
        get(client, f"{server.url}/round")


def test_what_is_no_file_is_not_read_without_end(server: Server, client: Client) -> None:
    """The body of a redirection or of an error is no way to keep anybody busy."""
    assert get(client, f"{server.url}/endless") == b"the file\n"
    with pytest.raises(MissingError, match="does not exist"):
        get(client, f"{server.url}/endless-missing")
    assert not server.bored


def test_bytes_are_taken_as_they_are(server: Server, client: Client) -> None:
    """Files are what the server has, whatever it says that they are packed with."""
    assert get(client, f"{server.url}/packed") == b"gzip"


def test_a_redirection_to_nowhere_is_told(server: Server, client: Client) -> None:
    """A Location that is no URL is the server's error."""
    with pytest.raises(OSError, match="redirects to what is no URL"):
        get(client, f"{server.url}/nowhere")


@pytest.mark.parametrize(("name", "what"), [("broken", "the server answered 500"), ("half", "broke off")])
def test_failures_are_told(name: str, what: str, server: Server, client: Client) -> None:
    """A failing server and an answer that ends early are errors of the network."""
    with pytest.raises(OSError, match=what):
        get(client, f"{server.url}/{name}")


def test_nobody_there_is_an_error(client: Client) -> None:
    """A port nobody listens on is an error of the network."""
    with pytest.raises(ConnectionRefusedError):
        get(client, "http://127.0.0.1:9/file")


def test_credentials_are_sent(server: Server, client: Client) -> None:
    """A user and password in a mirror's URL are sent as such, not as a part of its name."""
    url = server.url.replace("//", "//me:pass%20word@")
    assert get(client, f"{url}/file") == b"the file\n"
    assert server.headers[0]["Authorization"] == "Basic bWU6cGFzcyB3b3Jk"
    assert server.headers[0]["Host"] == f"127.0.0.1:{server.server_port}"


def test_a_proxy_is_asked_by_whole_urls(server: Server) -> None:
    """Through a proxy the whole URL is asked for, with the proxy's own credentials."""
    proxy = server.url.replace("//", "//me:pw@")
    client = Client({}, proxies({"Acquire::http::Proxy": proxy}, {}))
    assert get(client, "http://mirror.invalid/file") == b"the file\n"
    client.close()
    assert server.headers[0]["Host"] == "mirror.invalid"
    assert server.headers[0]["Proxy-Authorization"] == "Basic bWU6cHc="


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A server's key and the certificate that it signed itself, in one file."""
    file, cert = tmp_path / "server.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", file, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_bytes(file.read_bytes() + cert.read_bytes())
    return file


class Tunnel(Quiet, BaseHTTPRequestHandler):
    """Connects who asks for it with a server on loopback, both ways, until one of them is done."""

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        self.asked.append((host, self.headers["Proxy-Authorization"]))
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(("127.0.0.1", int(port))) as other:
            ends = {self.connection: other, other: self.connection}
            while True:
                for end in select.select(list(ends), [], [], 5)[0] or [other]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    ends[end].sendall(data)


def test_a_proxy_connects_to_a_server_that_keeps_its_secrets(certificate: Path) -> None:
    """https goes through a proxy unread: the proxy gets its own credentials, the server's certificate is asked for."""
    server, proxy = tls(Server(), certificate), ThreadingHTTPServer(("127.0.0.1", 0), Tunnel)
    Tunnel.asked.clear()
    settings = {"Acquire::https::CAInfo": str(certificate)}
    through = {"Acquire::https::Proxy": f"http://me:pw@127.0.0.1:{proxy.server_port}"}
    url = f"https://localhost:{server.server_port}/file"
    with serving(server), serving(proxy):
        client = Client(settings, proxies(through, {}))
        assert get(client, url) == b"the file\n"
        client.close()
        unbelieving = Client({}, proxies(through, {}))
        with pytest.raises(OSError, match="certificate verify failed"):
            get(unbelieving, url)
        unbelieving.close()
    assert Tunnel.asked[0] == ("localhost", "Basic bWU6cHc=")
    assert "Proxy-Authorization" not in server.headers[0]


def tls(server: Server, certificate: Path) -> Server:
    """Let a server speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


@pytest.mark.parametrize(
    ("settings", "fetched"),
    [
        ({}, False),
        ({"CAInfo": "{certificate}"}, True),
        ({"Verify-Peer": "false"}, True),
        ({"localhost::CAInfo": "{certificate}"}, True),
        ({"elsewhere::CAInfo": "{certificate}"}, False),
    ],
)
def test_whom_apt_believes_is_believed(settings: dict[str, str], fetched: bool, certificate: Path) -> None:
    """A server's certificate counts as far as the host's authorities and its apt's settings say, server by server."""
    server = tls(Server(), certificate)
    client = Client(
        {f"Acquire::https::{key}": value.format(certificate=certificate) for key, value in settings.items()},
        lambda _: None,
    )
    with serving(server), pytest.raises(OSError, match="certificate verify failed") if not fetched else nullcontext():
        assert get(client, f"https://localhost:{server.server_port}/file") == b"the file\n"
    client.close()
