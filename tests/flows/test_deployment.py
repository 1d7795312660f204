"""The deployment: runs are scheduled at all, and one really fires and finishes."""

import time

import pytest
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.schedules import CronSchedule

from flows.loopback import LoopbackCheck
from tests.tiny_sweep import TINY


def test_the_pinned_server_schedules_runs(installation):
    """Prefect with sqlalchemy 2.1 answers, looks healthy, and never schedules anything."""
    nightly = DeploymentScheduleCreate(schedule=CronSchedule(cron="17 2 * * *", timezone="UTC"))
    with installation.client() as client:
        flow = client.create_flow_from_name("never run")
        deployment = client.create_deployment(
            flow, "nightly", schedules=[nightly], description=None, version=None
        )
        only = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
        deadline = time.monotonic() + 60.0
        while not (runs := client.read_flow_runs(deployment_filter=only)) and time.monotonic() < deadline:
            time.sleep(0.5)
    assert runs
    assert all(run.auto_scheduled and run.state_name == "Scheduled" for run in runs)
    assert {(run.expected_start_time.hour, run.expected_start_time.minute) for run in runs} == {(2, 17)}


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_schedule_fires_and_the_night_ends_in_a_bucket(tmp_path):
    """Server, pools, two GPU workers, a Dask cluster and an S3 server; nothing of the run on a disk, no secret."""
    said, sweep = [], tmp_path / "tiny.toml"
    sweep.write_text(TINY)
    report = LoopbackCheck(sweep=str(sweep), timeout_s=900.0, say=said.append).run()
    assert report.states[0] == "Scheduled", said
    assert report.states[-1] == "Completed", said
    assert report.triggers == 1
    assert report.place.startswith("s3://")
    assert report.gpu_runs
    assert {run.split()[1] for run in report.gpu_runs} == {"COMPLETED"}
    assert report.numbers > 100
