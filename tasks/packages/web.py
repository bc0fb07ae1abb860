"""Files from web servers, over connections that are kept: a name looked up and a handshake made once, not for each."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, InsecureRequestWarning, MaxRetryError

if TYPE_CHECKING:
    import ssl

TIMEOUT: Final = 30.0
"""Seconds without a byte before a server counts as gone."""
_REDIRECTS: Final = 5
_KEPT: Final = 6
"""Connections to one server that are kept."""
_TALK: Final = 1 << 16
"""Bytes of a redirection or an error that are read, so that its connection can be used again."""

_AGAIN: Final = urllib3.Retry(1, connect=0, redirect=0, status=0, other=0, respect_retry_after_header=False)
"""A kept connection that the server closed meanwhile is made anew, once."""


class MissingError(Exception):
    """The server does not have the file (any more)."""


class Client:
    """Fetches by GET. `proxy` tells a URL's proxy; `settings` are apt's, for whom to trust. Threads may share one."""

    def __init__(self, settings: Mapping[str, str], proxy: Callable[[str], str | None]) -> None:
        self._settings = settings
        self._proxy = proxy
        self._mutex = threading.Lock()
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}

    def close(self) -> None:
        """Close all connections; call it when no thread fetches any more."""
        for pool in self._pools.values():
            pool.clear()

    def has(self, url: str) -> bool:
        """Tell whether the server has a file. Raises OSError."""
        try:
            with self.open(url, "HEAD"):
                return True
        except MissingError:
            return False

    @contextlib.contextmanager
    def open(self, url: str, method: str = "GET", start: int = 0) -> Iterator[urllib3.BaseHTTPResponse]:
        """Yield the answer for a URL, redirections followed. Raises MissingError, OSError.

        Asked for is the file from the byte `start` on: with status 206 that is what comes, with 200 all of it.
        """
        for _ in range(_REDIRECTS):
            try:
                answer = self._ask(url, method, start)
                try:
                    if elsewhere := answer.get_redirect_location():
                        answer.read(_TALK)
                        url = _joined(url, elsewhere)
                        continue
                    if answer.status in (404, 410):
                        answer.read(_TALK)
                        raise MissingError(f"{url} does not exist")
                    if start and answer.status == 416:  # nothing is behind what there is
                        answer.read(_TALK)
                        start = 0
                        continue
                    if answer.status != 200 and not (start and _begins_at(answer, start)):
                        raise OSError(f"the server answered {answer.status} {answer.reason}")
                    yield answer
                finally:
                    answer.close()  # what was read to its end has given its connection back
            except HTTPError as error:
                reason = error.reason or error if isinstance(error, MaxRetryError) else error
                if isinstance(reason.__cause__, OSError):
                    raise reason.__cause__ from None
                raise OSError(f"the connection broke off ({type(reason).__name__}: {reason})") from error
            return
        raise OSError(f"{url} redirects without end")

    def _ask(self, url: str, method: str, start: int) -> urllib3.BaseHTTPResponse:
        parts = urlsplit(url)
        plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return self._pool(parts, url).request(
            method, plain,
            headers={"User-Agent": "bootsmith"}
            | _credentials("Authorization", parts)
            | ({"Range": f"bytes={start}-"} if start else {}),
            timeout=TIMEOUT, retries=_AGAIN, redirect=False, preload_content=False, decode_content=False,
        )  # fmt: skip

    def _pool(self, parts: SplitResult, url: str) -> urllib3.PoolManager:
        """Return the connections that lead to a server: by its proxy, and believing whom apt believes there."""
        proxy, name = self._proxy(url) or "", parts.hostname or "" if parts.scheme == "https" else ""
        with self._mutex:
            pool = self._pools.get((proxy, name))
            if pool is None:
                pool = self._pools[proxy, name] = self._connect(proxy, _trust(self._settings, name) if name else None)
        return pool

    def _connect(self, proxy: str, trust: ssl.SSLContext | None) -> urllib3.PoolManager:
        if not proxy:
            return urllib3.PoolManager(maxsize=_KEPT, ssl_context=trust)
        through = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
        return urllib3.ProxyManager(
            through._replace(netloc=through.netloc.rpartition("@")[2]).geturl(),
            proxy_headers=_credentials("Proxy-Authorization", through), maxsize=_KEPT, ssl_context=trust,
        )  # fmt: skip


def _begins_at(answer: urllib3.BaseHTTPResponse, start: int) -> bool:
    """Tell whether an answer is the rest of a file, from that byte on."""
    return answer.status == 206 and str(answer.headers.get("Content-Range", "")).startswith(f"bytes {start}-")


def _joined(url: str, elsewhere: str) -> str:
    try:
        return urljoin(url, elsewhere)
    except ValueError as error:
        raise OSError(f"{url} redirects to what is no URL: {elsewhere!r}") from error


def _credentials(header: str, parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {header: f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _trust(settings: Mapping[str, str], name: str) -> ssl.SSLContext:
    """Return whom to believe: this host's authorities, and what its apt names."""
    import ssl

    def setting(key: str) -> str:
        return settings.get(f"Acquire::https::{name}::{key}") or settings.get(f"Acquire::https::{key}", "")

    context = ssl.create_default_context()
    if setting("CAInfo"):
        context.load_verify_locations(setting("CAInfo"))
    if setting("Verify-Peer") == "false":
        urllib3.disable_warnings(InsecureRequestWarning)  # that this host's administrator chose it is known
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
