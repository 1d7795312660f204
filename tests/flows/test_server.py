"""Settings before Prefect is imported, and the private server."""

import os
import subprocess
import sys

import pytest

from flows.processes import ProcessError
from flows.server import PrivateServer, claimed_home, homes, prepare


def test_an_address_that_was_given_is_used_as_it_is():
    environ = {"PREFECT_API_URL": "http://prefect.example:4200/api", "DO_NOT_TRACK": "0"}
    assert prepare(environ) is None
    assert environ["PREFECT_API_URL"] == "http://prefect.example:4200/api"
    assert environ["DO_NOT_TRACK"] == "0"  # explicit settings win
    assert environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert "PREFECT_HOME" not in environ


def test_where_private_servers_live(tmp_path):
    assert homes({"STITCHPIPE_PREFECT_HOME": str(tmp_path)}) == tmp_path
    assert homes({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "stitchpipe" / "prefect"
    assert homes({}).parts[-3:] == (".cache", "stitchpipe", "prefect")


def test_a_home_is_claimed_by_one_and_given_back(tmp_path):
    first, home = claimed_home(tmp_path)
    second, other = claimed_home(tmp_path)
    assert (home.name, other.name) == ("0", "1")
    first.close()
    third, again = claimed_home(tmp_path)
    assert again == home
    for lock in (second, third):
        lock.close()


def test_a_home_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ProcessError, match=r"cannot be written.*STITCHPIPE_PREFECT_HOME"):
        claimed_home(tmp_path / "file" / "homes")


def test_a_server_that_does_not_start_is_an_error_with_its_last_words(tmp_path):
    (tmp_path / "uvicorn.py").write_text("raise SystemExit('the database is from another version')")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    server = PrivateServer(tmp_path / "homes", environ)
    try:
        with pytest.raises(ProcessError, match="the database is from another version") as caught:
            server.wait_until_healthy()
    finally:
        server.stop()
    assert "private Prefect server" in caught.value.where
    assert "status 1" in caught.value.found


def test_the_runner_prepares_before_prefect_is_imported():
    code = "import sys, flows.runner; sys.exit(bool({'prefect', 'torch', 'dask'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
