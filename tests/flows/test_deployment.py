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
@pytest.mark.timeout(800)
def test_a_scheduled_run_fires_in_the_cpu_pool_stitches_in_the_gpu_pool_and_finishes(tmp_path):
    said = []
    out, sweep = tmp_path / "out", tmp_path / "tiny.toml"
    sweep.write_text(TINY)
    run = LoopbackCheck(sweep=str(sweep), out=out, timeout_s=600.0, say=said.append).run()
    assert run.state == "COMPLETED", said
    assert run.auto_scheduled
    assert run.states[0] == "Scheduled"
    assert run.stitch_states == ("COMPLETED",)
    assert (out / "report" / "index.html").is_file()
    assert list((out / "results").glob("*.parquet"))
    assert (out / "store.zarr").is_dir()
