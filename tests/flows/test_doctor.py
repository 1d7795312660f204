"""What the doctor finds of a Prefect server: a real one, and one whose answers are made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import httpx
import pytest
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.states import Pending, Running
from prefect.types._datetime import now

from flows.doctor import Server, checks_of_server, looks
from stitchpipe.steps.checkup import checks_of
from tests.cli.command import modules_loaded_by


def states(checks):
    return {check.name: check.state for check in checks}


def test_a_server_that_is_not_there_is_one_problem():
    (check,) = checks_of(looks({"PREFECT_API_URL": "http://127.0.0.1:9/api"}))
    assert check.state == "problem"
    assert "PREFECT_API_URL" in check.remedy
    assert looks({}) == ()


def test_looking_does_not_import_prefect():
    assert modules_loaded_by("import flows.doctor", "prefect", "torch", "dask") == []


def test_a_real_server_with_a_pool_and_no_worker(installation):
    with installation.client() as client:
        client.create_work_pool(WorkPoolCreate(name="idle-pool", type="process", concurrency_limit=0))
        flow = client.create_flow_from_name("of the doctor")
        client.create_deployment(flow, "checked", entrypoint="flows.sweep.sweep", work_pool_name="idle-pool")
        deployment = client.read_deployment_by_name("of the doctor/checked")
        run = client.create_flow_run_from_deployment(deployment.id, state=Pending())
        lost = client.create_flow_run_from_deployment(deployment.id, state=Running())
        try:
            server = Server(installation.api_url, {})
            at_once = list(checks_of_server(server))
            later = list(checks_of_server(server, datetime.now(UTC) + timedelta(minutes=5)))
        finally:
            client.delete_flow_run(run.id)
            client.delete_flow_run(lost.id)
            client.delete_deployment(deployment.id)
            client.delete_work_pool("idle-pool")
    assert states(at_once)["server"] == "ok"
    assert states(at_once)["pool idle-pool"] == "problem"
    assert states(at_once)["deployment of the doctor/checked"] == "ok"
    assert states(at_once)["deployments"] == "warning"
    assert f"flow run {run.name}" not in states(at_once)
    assert states(later)[f"flow run {run.name}"] == "problem"
    (check,) = (check for check in later if check.name == f"flow run {lost.name}")
    assert "without a heartbeat" in check.found
    assert f"flow-run delete {lost.id}" in check.remedy


ENDING = [{"type": "change-flow-run-state", "state": "CRASHED"}]


def automation(name, after, *, enabled=True, actions=ENDING):
    return {"name": name, "enabled": enabled, "actions": actions, "trigger": {"after": [after]}}


@pytest.fixture
def answers(monkeypatch):
    """What a server that is made up answers, by path; whatever is not there is empty."""
    told = {"/health": True, "/admin/version": version("prefect"), "/events/filter": {"events": []}}

    def answer(request):
        return httpx.Response(200, json=told.get(request.url.path.removeprefix("/api"), []))

    def client(**settings):
        return real(**settings, transport=httpx.MockTransport(answer))

    real = httpx.Client
    monkeypatch.setattr("flows.doctor.httpx.Client", client)
    return told


def checks_of_made_up():
    return list(checks_of_server(Server("http://made.up/api", {})))


def test_another_version_is_a_problem(answers):
    answers["/admin/version"] = "3.1.0"
    assert states(checks_of_made_up())["server"] == "problem"


def test_automations_that_are_missing_or_switched_off(answers):
    running = automation("runs", "prefect.flow-run.heartbeat")
    starting = automation("starts", "prefect.flow-run.Pending")
    tells = automation("tells", "prefect.flow-run.Pending", actions=[{"type": "send-notification"}])
    for there, wanted in (
        ([running, starting], ["ok", "ok"]),
        ([running, tells], ["ok", "warning"]),
        ([{**running, "enabled": False}, starting], ["warning", "ok"]),
        ([{**running, "trigger": {"triggers": [running["trigger"]]}}], ["ok", "warning"]),
    ):
        answers["/automations/filter"] = there
        assert [check.state for check in checks_of_made_up() if check.name == "automations"] == wanted


def test_late_runs_and_runs_that_give_signs(answers):
    due = (now("UTC") - timedelta(minutes=7)).isoformat()
    run = {"id": "1", "name": "wise-owl", "state_name": "Late", "state": {"timestamp": due}, "created": due}
    answers["/flow_runs/filter"] = [{**run, "expected_start_time": due}]
    answers["/events/filter"] = {"events": [{}]}
    checks = [check for check in checks_of_made_up() if check.name == "flow runs"]
    assert [(check.state, "7 min" in check.found) for check in checks] == [("warning", True)]


def test_an_answer_of_another_interface_is_a_problem_of_that_look_alone(answers):
    answers["/work_pools/filter"] = [{"of": "the future"}]
    told = states(checks_of_made_up())
    assert told["work pools"] == "problem"
    assert told["automations"] == "warning"
