"""Files from web servers, over connections that are kept: a name looked up and a handshake made once, not for each."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

TIMEOUT: Final = 30.0
"""Seconds without a byte before a server counts as gone."""
_REDIRECTS: Final = 5


class MissingError(Exception):
    """The server does not have the file (any more)."""


class Client:
    """Fetches by GET. `proxy` tells a URL's proxy; `settings` are apt's, for whom to trust. Threads may share one."""

    def __init__(self, settings: Mapping[str, str], proxy: Callable[[str], str | None]) -> None:
        self._settings = settings
        self._proxy = proxy
        self._mine = threading.local()
        self._all: list[HTTPConnection] = []

    def close(self) -> None:
        """Close all connections; call it when no thread fetches any more."""
        for connection in self._all:
            connection.close()

    @contextlib.contextmanager
    def open(self, url: str) -> Iterator[HTTPResponse]:
        """Yield the answer for a URL, redirections followed. Raises MissingError, OSError."""
        for _ in range(_REDIRECTS):
            parts = urlsplit(url)
            place = (parts.scheme, parts.hostname or "", parts.port)
            try:
                answer = self._ask(place, parts, url)
                if answer.status in (301, 302, 303, 307, 308):
                    answer.read()
                    url = urljoin(url, answer.headers.get("Location", ""))
                    continue
                if answer.status in (404, 410):
                    answer.read()
                    raise MissingError(f"{url} does not exist")
                if answer.status != 200:
                    raise OSError(f"the server answered {answer.status} {answer.reason}")
                yield answer
            except HTTPException as error:  # an answer that breaks off: no OSError
                raise OSError(f"the connection broke off ({type(error).__name__})") from error
            finally:
                self._keep_if_read(place)
            return
        raise OSError(f"{url} redirects without end")

    def _ask(self, place: tuple[str, str, int | None], parts: SplitResult, url: str) -> HTTPResponse:
        connections: dict[object, tuple[HTTPConnection, bool]] = self._mine.__dict__.setdefault("connections", {})
        for fresh in (False, True):
            if fresh or place not in connections:
                connections[place] = self._connect(parts, url)
                fresh = True  # noqa: PLW2901  it is now, whichever way
            connection, absolute = connections[place]
            target = url if absolute else f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            headers = {"User-Agent": "bootsmith", "Host": parts.netloc.rpartition("@")[2]}
            headers |= _credentials("Authorization", parts)
            if absolute:
                headers |= _credentials("Proxy-Authorization", urlsplit(self._proxy(url) or ""))
            try:
                connection.request("GET", target, headers=headers)
                self._mine.answer = connection.getresponse()
            except (HTTPException, OSError):
                self._drop(place)
                if fresh:
                    raise
            else:
                break  # a kept connection that the server had closed meanwhile is made anew, once
        answer: HTTPResponse = self._mine.answer
        return answer

    def _connect(self, parts: SplitResult, url: str) -> tuple[HTTPConnection, bool]:
        """Return a connection to a server or its proxy, and whether it must be asked by whole URLs."""
        proxy = self._proxy(url)
        through = urlsplit(proxy if "//" in proxy else f"//{proxy}") if proxy else parts
        name, port = str(through.hostname or ""), through.port
        connection: HTTPConnection
        if parts.scheme == "https":
            context = _trust(self._settings, parts.hostname or "")
            connection = HTTPSConnection(name, port, timeout=TIMEOUT, context=context)
            if proxy:
                connection.set_tunnel(
                    parts.hostname or "", parts.port or 443, headers=_credentials("Proxy-Authorization", through)
                )
        else:
            connection = HTTPConnection(name, port, timeout=TIMEOUT)
        self._all.append(connection)
        with contextlib.suppress(OSError, HTTPException):  # what fails here fails again when it is asked
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, bool(proxy) and parts.scheme == "http"

    def _keep_if_read(self, place: object) -> None:
        answer: HTTPResponse | None = getattr(self._mine, "answer", None)
        if answer is not None and not answer.isclosed():
            answer.close()
            self._drop(place)
        self._mine.answer = None

    def _drop(self, place: object) -> None:
        connection, _ = self._mine.connections.pop(place)
        connection.close()


def _credentials(header: str, parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {header: f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _trust(settings: Mapping[str, str], name: str) -> ssl.SSLContext:
    """Return whom to believe: this host's authorities, and what its apt names."""

    def setting(key: str) -> str:
        return settings.get(f"Acquire::https::{name}::{key}") or settings.get(f"Acquire::https::{key}", "")

    context = ssl.create_default_context()
    if setting("CAInfo"):
        context.load_verify_locations(setting("CAInfo"))
    if setting("Verify-Peer") == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
