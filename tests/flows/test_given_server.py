"""The user's own Prefect server: one that cannot be used is one message, before any work."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.given_server import GivenServerError, demand_answer
from flows.progress import Silent
from flows.runner import run
from flows.server import free_port
from stitchpipe.errors import ExplainedError


@pytest.fixture
def answering():
    """Return a function that serves one answer for every request, and gives the address of its server."""
    servers = []

    def serve(status, text):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/api"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def refusal(url):
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(GivenServerError) as caught:
        demand_answer()
    return str(caught.value)


def test_one_that_is_away_is_said_with_its_address():
    url = f"http://127.0.0.1:{free_port()}/api"
    assert f"Failed to reach API at {url}" in refusal(url)
    assert "unset PREFECT_API_URL" in refusal(url)


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (200, '"1.4.1"', "incompatible versions"),
        (401, "{}", "Unauthorized"),
        (200, "a login page", "Failed to reach"),
    ],
)
def test_one_that_answers_otherwise_is_said(answering, status, text, said):
    assert said in refusal(answering(status, text))


def test_a_run_is_refused_before_any_unit(monkeypatch, tmp_path):
    url = f"http://127.0.0.1:{free_port()}/api"
    monkeypatch.setenv("PREFECT_API_URL", url)
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(ExplainedError, match="PREFECT_API_URL"):
        run("quickstart", str(tmp_path / "run"), steps=("inspect",), scheduler=None, progress=Silent())
    assert not list((tmp_path / "run").rglob("models"))
