"""The server of a page: on this machine alone, to read alone, and nothing but the files of the report."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager

import pytest

from stitchpipe.report.server import PageServer
from stitchpipe.run.place import RunPlace
from storage import NotFoundError

PAGE = b'<meta content="default-src &#39;none&#39;; script-src x"> a page'


@contextmanager
def serving(read):
    with PageServer(read, NotFoundError) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(tmp_path):
    """Serve a published page with a block of values beside it."""
    files = RunPlace.at(tmp_path / "run").files
    files.publish(
        "report", {"index.html": PAGE, "values/0-value-0.0.bin": bytes(range(256)), "findings.json": b"{}"}
    )
    with serving(lambda name: files.read_published("report", name)) as started:
        yield started


def asked(server, path, *, host=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        connection.request(method, path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def test_the_page_and_its_values_are_served(server):
    status, data, headers = asked(server, "/")
    assert status == 200
    assert b"connect-src &#39;self&#39;; " in data
    assert data.endswith(b"a page")
    assert headers["Content-Type"].startswith("text/html")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert asked(server, "/values/0-value-0.0.bin")[:2] == (200, bytes(range(256)))
    status, data, headers = asked(server, "/values/0-value-0.0.bin", method="HEAD")
    assert (status, data, headers["Content-Length"]) == (200, b"", "256")


@pytest.mark.parametrize(
    "path",
    [
        "/values/1-value-0.0.bin",
        "/findings.json",
        "/values/../index.html",
        "/values/..%2findex.html",
        "/figures/../../sweep.toml",
        "/report/index.html",
    ],
)
def test_nothing_else_is(server, path):
    assert asked(server, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(server, method):
    assert asked(server, "/", method=method)[0] == 501


def test_only_its_own_names_are_answered(server):
    """A page of elsewhere whose name is made to point at this machine must not read what is here."""
    port = server.server_port
    assert asked(server, "/", host=f"localhost:{port}")[0] == 200
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        f"127.0.0.1:{port + 1}",
        f"[::1]:{port}",
    ):
        status, data, _ = asked(server, "/", host=host)
        assert (status, b"a page" in data) == (421, False)


def test_it_listens_on_the_loopback_address_alone(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


def test_a_port_that_is_taken_is_refused(server):
    with pytest.raises(OSError, match="in use"):
        PageServer(lambda _: b"", NotFoundError, port=server.server_port)
