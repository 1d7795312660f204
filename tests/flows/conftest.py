import sqlite3
from contextlib import closing

import pytest
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_LOGGING_LEVEL,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from flows.children import Child
from flows.stage import Stage
from tests.flows.pretend import Pretend, install


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    """A real Prefect server with all of its services, for the whole session."""
    with Stage(tmp_path_factory.mktemp("prefect"), say=lambda _line: None) as stage:
        stage.start_server()
        yield stage


@pytest.fixture
def server(stage):
    """This process's Prefect settings point at the session's server."""
    quiet = {PREFECT_LOGGING_LEVEL: "CRITICAL", PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings({PREFECT_API_URL: stage.api_url, **quiet}):
        yield stage


@pytest.fixture
def pretend(monkeypatch):
    """`stitchpipe.sweep` replaced by functions that only record their calls."""
    pretend = Pretend()
    install(pretend, lambda module, name, value: monkeypatch.setattr(module, name, value, raising=False))
    return pretend


@pytest.fixture(scope="session")
def migrated_home(stage, tmp_path_factory):
    """A directory for embedded servers whose first database is already migrated, which saves its start."""
    home = tmp_path_factory.mktemp("embedded")
    (home / "0").mkdir()
    with (
        closing(sqlite3.connect(stage.home / "prefect.db")) as source,
        closing(sqlite3.connect(home / "0" / "prefect.db")) as target,
    ):
        source.backup(target)
    return home


@pytest.fixture
def child(tmp_path):
    """Start child processes that are stopped at the end of the test."""
    started = []

    def start(*command, env=None):
        child = Child("a test's child", command, env=env or {}, log=tmp_path / f"{len(started)}.log")
        started.append(child)
        return child

    yield start
    for each in started:
        each.stop()
