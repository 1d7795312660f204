"""New checkpoints are told of once, when they are whole, by whoever looks next."""

import uuid
from pathlib import Path

import pytest
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from flows import arrivals
from flows.arrivals import EVENT, Watched, arrived, send
from flows.installation import PrefectInstallation
from stitchpipe.run import RunPlace
from tests.flows.test_lost_runs import until
from tests.storage.object_server import BUCKET, aws, object_server

__all__ = ["aws", "object_server"]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def watched(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    return Watched(str(tmp_path / "in"), RunPlace.at(tmp_path / "run").files)


def look(watched):
    told = []
    return arrived(watched, settle_s=0.0, tell=told.append), told


def test_what_was_there_before_the_first_look_is_known(watched, tmp_path):
    (tmp_path / "in" / "old.pt").write_bytes(b"old")
    assert look(watched) == ([], [])
    (tmp_path / "in" / "deep" / "new.safetensors").write_bytes(b"new")
    (tmp_path / "in" / "notes.txt").write_bytes(b"no checkpoint")
    names, (event,) = look(watched)
    assert names == ["deep/new.safetensors"]
    assert (event.event, event.payload["checkpoints"]) == (EVENT, names)
    assert look(watched) == ([], [])


def test_a_bucket_is_watched_like_a_folder_and_remembers_for_whoever_looks_next(aws):
    checkpoints, run = f"s3://{BUCKET}/{uuid.uuid4().hex}", f"s3://{BUCKET}/{uuid.uuid4().hex}"
    look(Watched(checkpoints, RunPlace.at(run).files))
    aws.put(f"{checkpoints.removeprefix(f's3://{BUCKET}/')}/deep/a.pt", b"weights")
    names, (event,) = look(Watched(checkpoints, RunPlace.at(run).files))
    assert names == ["deep/a.pt"]
    assert event.resource["prefect.resource.name"] == checkpoints
    assert look(Watched(checkpoints, RunPlace.at(run).files)) == ([], [])


def test_a_checkpoint_that_is_replaced_is_new(watched, tmp_path):
    path = tmp_path / "in" / "a.pt"
    path.write_bytes(b"one")
    look(watched)
    path.write_bytes(b"another")
    assert look(watched)[0] == ["a.pt"]


def test_a_file_that_still_grows_is_left_for_the_next_look(watched, tmp_path, monkeypatch):
    look(watched)
    path = tmp_path / "in" / "a.pt"
    path.write_bytes(b"half")
    monkeypatch.setattr(arrivals.time, "sleep", lambda _s: path.write_bytes(b"half and half"))
    assert look(watched) == ([], [])
    monkeypatch.undo()
    assert look(watched)[0] == ["a.pt"]


def test_what_could_not_be_told_is_told_at_the_next_look(watched, tmp_path):
    def deaf(_event):
        raise ConnectionError

    look(watched)
    (tmp_path / "in" / "a.pt").write_bytes(b"whole")
    with pytest.raises(ConnectionError):
        arrived(watched, settle_s=0.0, tell=deaf)
    assert look(watched)[0] == ["a.pt"]


def test_an_event_starts_a_deployment(watched, tmp_path, server):
    with server.client() as client:
        deployment = client.create_deployment(
            client.create_flow_from_name("waits for checkpoints"), "one", description=None, version=None
        )
        trigger = EventTrigger(
            expect={EVENT},
            match={"prefect.resource.id": "stitchpipe.checkpoints.*"},
            posture=Posture.Reactive,
            threshold=1,
        )
        act = RunDeployment(source="selected", deployment_id=deployment, parameters={})
        name = f"checkpoints-{uuid.uuid4().hex}"
        client.create_automation(AutomationCore(name=name, trigger=trigger, actions=[act]))
        look(watched)
        only = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))

        def started():
            # A new automation is seen by the server a moment later: each look finds another checkpoint.
            (tmp_path / "in" / f"{uuid.uuid4().hex}.pt").write_bytes(b"new")
            assert arrived(watched, settle_s=0.0, tell=send)
            return client.read_flow_runs(deployment_filter=only)

        assert until(started, seconds=120.0)


@pytest.mark.slow
def test_a_checkpoint_in_a_folder_starts_what_prefect_yaml_deploys(tmp_path):
    """The script as people start it, and the trigger of the deployment; nobody works, so that the run only waits."""
    (tmp_path / "in").mkdir()
    with PrefectInstallation(tmp_path / "night", lambda _line: None, {"PYTHONPATH": str(ROOT)}) as night:
        night.start_server()
        for pool in ("cpu-pool", "gpu-pool"):
            night.create_pool(pool, limit=1)
        for _ in range(2):  # deployed again, it has one trigger still
            night.prefect("--no-prompt", "deploy", "--all", cwd=ROOT)
        with night.client() as client:
            deployment = client.read_deployment_by_name("sweep/nightly")
            only = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
            look = ["-m", "flows.arrivals", str(tmp_path / "in"), "--run", str(tmp_path / "run"), "--once"]
            night.python(*look, "--settle", "0")
            (tmp_path / "in" / "a.safetensors").write_bytes(b"weights")
            night.python(*look, "--settle", "0")

            def started():
                runs = client.read_flow_runs(deployment_filter=only, limit=200)
                return [run for run in runs if not run.auto_scheduled]

            (run,) = until(started, seconds=120.0)
            assert run.parameters["out"] == "s3://stitchpipe/quickstart"
            assert "stitchpipe" in run.tags
