"""An HTTP proxy in front of an object server that does what networks and servers do on bad days."""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CODES = {
    403: "AccessDenied", 404: "NoSuchKey", 409: "ConditionalRequestConflict", 500: "InternalError",
    501: "NotImplemented", 503: "SlowDown",
}  # fmt: skip
REFUSAL = "<Error><Code>{code}</Code><Message>injected; signed with AKIDEXAMPLE</Message></Error>"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str] = field(repr=False)


@dataclass
class Fault:
    """What happens to the next `times` requests that `when` holds for.

    `kind` is a status, or ``delay``, ``reset``, ``cut``, ``alter``, ``lost`` (served, but no answer), ``strip`` (no
    If-None-Match reaches the server).
    """

    kind: int | str
    times: float
    when: Callable[[Request], bool]


class FaultProxy:
    """Listens on loopback at `url`; `seen` are all requests since `clear`."""

    def __init__(self, upstream: tuple[str, int], *, slow_s: float = 1.5) -> None:
        self.upstream, self.slow_s = upstream, slow_s
        self.seen: list[Request] = []
        self.faults: list[Fault] = []
        # the server behind may check a condition and write in two steps: one request at a time makes it one
        self.one_at_a_time, self._lock = threading.Lock(), threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self._server.daemon_threads = True
        self._server.handle_error = lambda *arguments: None
        self.url = "http://127.0.0.1:{1}".format(*self._server.server_address)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def clear(self) -> None:
        with self._lock:
            self.seen, self.faults = [], []

    def inject(self, kind: int | str, *, times: float = 1, when=lambda request: True) -> Fault:
        self.faults.append(fault := Fault(kind, times, when))
        return fault

    def fault_for(self, request: Request) -> int | str | None:
        with self._lock:
            self.seen.append(request)
            for fault in self.faults:
                if fault.times > 0 and fault.when(request):
                    fault.times -= 1
                    return fault.kind
        return None


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments) -> None:
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(
            self.command, self.path, {name.lower(): value for name, value in self.headers.items()}
        )
        kind = self.proxy.fault_for(request)
        if isinstance(kind, int):
            refusal = b"" if self.command == "HEAD" else REFUSAL.format(code=CODES[kind]).encode()
            return self._answer(kind, {"Content-Type": "application/xml"}, refusal)
        if kind == "reset":
            return self._reset()
        if kind == "delay":
            time.sleep(self.proxy.slow_s)
        status, headers, found = self._forward(request, body, strip=kind == "strip")
        if kind == "lost":
            return self._reset()
        if kind == "alter":
            found = bytes([found[0] ^ 1]) + found[1:]
        return self._answer(status, headers, found, cut=kind == "cut")

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the base class looks for these names

    def _forward(self, request, body, *, strip):
        dropped = {"connection", *(["if-none-match"] if strip else [])}
        headers = {name: value for name, value in request.headers.items() if name not in dropped}
        with self.proxy.one_at_a_time:
            upstream = http.client.HTTPConnection(*self.proxy.upstream, timeout=30)
            try:
                upstream.request(request.method, request.path, body=body or None, headers=headers)
                response = upstream.getresponse()
                return response.status, dict(response.getheaders()), response.read()
            finally:
                upstream.close()

    def _answer(self, status, headers, body, *, cut=False) -> None:
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut

    def _reset(self) -> None:
        """Close without a farewell: the client sees its connection reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
