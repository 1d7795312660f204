"""The page over HTTP, on this machine alone and to read alone: for runs whose values do not all stand in it.

The standard library's server does it. A web framework would come with the orchestrator, and looking at a run must not
need one; there are four kinds of file, one reader, and nothing to route.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.report.serving import PAGE, served

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPBACK: Final = "127.0.0.1"
_KINDS: Final = {"html": "text/html; charset=utf-8", "bin": "application/octet-stream", "png": "image/png"}
_NAME: Final = re.compile(
    r"/(?P<name>(values/[A-Za-z0-9._-]+\.bin|figures/[A-Za-z0-9._-]+\.png|index\.html)?)(\?.*)?"
)


class PageServer(ThreadingHTTPServer):
    """A server of one report; it listens from the start, and answers in `serve_forever`.

    Parameters
    ----------
    read
        Gives a file of the report by its name; raises an error of `absent` where there is none.
    absent
        What that error is.
    port
        Where to listen on the loopback address; 0 takes any that is free. OSError where it is taken.
    """

    daemon_threads = True

    def __init__(self, read: Callable[[str], bytes], absent: type[Exception], *, port: int = 0) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.read, self.absent = read, absent

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    @property
    def hosts(self) -> frozenset[str]:
        """What a request may call this server: a name that others point at this machine is none of it."""
        return frozenset(f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost"))


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: PageServer
    server_version = "stitchpipe"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with a file of the report."""
        # A page of elsewhere can have its own name resolved to this machine, and then read what is here as its own.
        if self.headers.get("Host") not in self.server.hosts:
            self.send_error(
                HTTPStatus.MISDIRECTED_REQUEST, "This server answers to its loopback address alone."
            )
            return
        match = _NAME.fullmatch(self.path)
        if match is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        name = match["name"] or PAGE
        try:
            data = self.server.read(name)
        except self.server.absent:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._send(served(data) if name == PAGE else data, _KINDS[name.rpartition(".")[2]])

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing: a line for every block would drown what the command says."""
