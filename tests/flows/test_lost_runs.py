"""Runs that are lost with their worker do not hold their pool's slot, and somebody is told of them."""

import time
from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType

from flows.automations import declared
from flows.doctor import SILENT, STARTING
from flows.installation import PrefectInstallation, processes_with, worker_name
from tests.flows.receiver import Receiver

ROOT = Path(__file__).resolve().parents[2]
AUTOMATIONS = ROOT / "docker" / "automations.yaml"
CASES = {"pending": StateType.PENDING, "running": StateType.RUNNING}


def until(find, seconds=420.0):
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.2)
    return found


def test_an_automation_without_anybody_to_tell_still_acts_or_is_left_out():
    block = "11111111-1111-1111-1111-111111111111"
    silent = {automation.name: automation.actions for automation in declared(AUTOMATIONS, block_id=None)}
    telling = {automation.name: automation.actions for automation in declared(AUTOMATIONS, block_id=block)}
    assert set(telling) - set(silent) == {"tell-of-runs-that-end-badly", "tell-of-late-runs"}
    assert all(actions for actions in silent.values())
    assert all(str(actions[-1].block_document_id) == block for actions in telling.values())


def test_the_doctor_calls_a_run_lost_when_the_automations_do():
    within = {
        automation.name: automation.trigger.within for automation in declared(AUTOMATIONS, block_id=None)
    }
    assert within["crash-runs-without-heartbeat"] == SILENT
    assert within["crash-runs-that-never-start"] == STARTING


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A server with the automations, and one deployment in each of two pools with a single slot."""
    receiver = Receiver()
    told = {"PYTHONPATH": str(ROOT), "STITCHPIPE_NOTIFY_URL": receiver.url}
    with PrefectInstallation(tmp_path_factory.mktemp("night"), lambda _line: None, told) as night:
        night.start_server()
        for _ in range(2):  # the second brings them up to date and makes no more
            night.python("-m", "flows.automations", str(AUTOMATIONS))
        with night.client() as client:
            flow = client.create_flow_from_name("nap")
            deployments = {}
            for case in CASES:
                night.create_pool(case, limit=1)
                deployments[case] = client.create_deployment(
                    flow,
                    case,
                    work_pool_name=case,
                    entrypoint="tests.flows.nap.nap",
                    tags=["stitchpipe"],
                    job_variables={"env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}},
                    description=None,
                    version=None,
                )
        yield night, deployments, receiver
    receiver.close()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_next_trigger_starts_after_a_run_was_lost_with_its_worker(night):
    night, deployments, receiver = night
    with night.client() as client:
        assert len(client.read_automations()) == 5
        lost = {
            case: client.create_flow_run_from_deployment(deployment, parameters={"seconds": 900.0}).id
            for case, deployment in deployments.items()
        }
        for case, state in CASES.items():
            night.start_worker(case)
            run = lost[case]
            until(lambda run=run, state=state: client.read_flow_run(run).state.type is state)
            time.sleep(1.0 if case == "pending" else 5.0)
            night.kill(worker_name(case))
            quiet = 0
            while quiet < 10:  # a worker that dies may have just started the process of the run
                quiet = 0 if night.kill_flow(run) else quiet + 1
                time.sleep(0.1)
            assert client.read_flow_run(run).state.type is state  # nobody reported it
            night.start_worker(case)
        following = [
            client.create_flow_run_from_deployment(deployment, parameters={"seconds": 0.0}).id
            for deployment in deployments.values()
        ]
        until(lambda: all(client.read_flow_run(run).state.is_completed() for run in following))
        crashed = {case: client.read_flow_run(run).state for case, run in lost.items()}
        assert {state.type for state in crashed.values()} == {StateType.CRASHED}
        assert "not started" in crashed["pending"].message
        assert "heartbeat" in crashed["running"].message
        assert not any(processes_with(f"PREFECT__FLOW_RUN_ID={run}") for run in lost.values())
        until(lambda: sum("never-start" in str(told) for told in receiver.received))
        until(lambda: sum("without-heartbeat" in str(told) for told in receiver.received))
        block = client.read_block_document_by_name("stitchpipe", "custom-webhook", include_secrets=False)
        assert receiver.url not in str(block.data)  # the address of a webhook is a secret
