import sqlite3
from contextlib import closing

import pytest
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_LOGGING_LEVEL,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from flows.installation import PrefectInstallation
from flows.processes import OwnedProcess
from tests.flows import pretend as pretended


@pytest.fixture(scope="package")
def installation(tmp_path_factory):
    """A real Prefect server with all of its services, for all tests of this room; it ends with them."""
    with PrefectInstallation(tmp_path_factory.mktemp("prefect"), say=lambda _line: None) as installation:
        installation.start_server()
        yield installation


@pytest.fixture
def server(installation):
    """This process's Prefect settings point at the room's server."""
    quiet = {PREFECT_LOGGING_LEVEL: "CRITICAL", PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings({PREFECT_API_URL: installation.api_url, **quiet}):
        yield installation


@pytest.fixture
def pretend(monkeypatch):
    """Flows get a pool without processes, whose units are pretended."""
    pool = pretended.PretendPool()
    monkeypatch.setattr("flows.work.pool_of", lambda sweep, out: pool)
    return pool


@pytest.fixture(scope="package")
def migrated_home(installation, tmp_path_factory):
    """A directory for private servers whose first database is already migrated, which saves its start."""
    home = tmp_path_factory.mktemp("private")
    (home / "0").mkdir()
    with (
        closing(sqlite3.connect(installation.home / "prefect.db")) as source,
        closing(sqlite3.connect(home / "0" / "prefect.db")) as target,
    ):
        source.backup(target)
    return home


@pytest.fixture
def owned(tmp_path):
    """Start processes that are stopped at the end of the test."""
    started = []

    def start(*command, env=None):
        log = tmp_path / f"{len(started)}.log"
        process = OwnedProcess("a test's process", command, env=env or {}, log=log)
        started.append(process)
        return process

    yield start
    for process in started:
        process.stop()
