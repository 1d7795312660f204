"""Whole flows over a pretended pipeline, through a real Prefect server."""

from types import SimpleNamespace

import pytest

from flows import artifact
from flows.sweep import FlowError, chosen, stitch, sweep
from stitchpipe.steps import STEPS
from tests.flows.pretend import TARGETS, PretendError

INSPECTIONS = ["inspect a", "inspect b"]
TRAININGS = ["train a", "train b"]
DUMPS = ["dump a train", "dump a test", "dump b train", "dump b test"]
STITCHES = [f"stitch {model} {layer}" for model, layer in TARGETS]


def test_units_run_in_the_pipelines_order(server, pretend, tmp_path):
    records = sweep("s", str(tmp_path))
    names = pretend.names
    assert names[:2] == INSPECTIONS
    assert set(names[2:8]) == {*TRAININGS, *DUMPS}
    for model in "ab":
        assert names.index(f"train {model}") < min(
            names.index(f"dump {model} {split}") for split in ("train", "test")
        )
    assert names[8:11] == ["dump codes test", "compare", "fit maps"]
    assert names[11:-1] == STITCHES
    assert names[-1] == "report"
    assert [record["unit"] for record in records] == [
        *INSPECTIONS,
        *TRAININGS,
        *DUMPS,
        *names[8:11],
        *STITCHES,
        "report",
    ]


def test_only_the_chosen_steps_run(server, pretend, tmp_path):
    sweep("s", str(tmp_path), steps=["dump"])
    assert pretend.names[:4] == DUMPS
    assert pretend.names[4:] == ["dump codes test"]


def test_an_empty_address_from_an_unset_variable_is_none(server, pretend, tmp_path):
    records = sweep("s", str(tmp_path), scheduler="", steps=["compare", "stitch"], stitch_deployment="")
    assert records[0]["option"] is None
    assert pretend.names[-1].startswith("stitch")


def test_the_scheduler_and_the_part_travel(server, pretend, tmp_path):
    sweep("s", str(tmp_path), scheduler="tcp://host:1", steps=["dump", "compare", "stitch"], part="2/3")
    options = {unit.step: unit.option for unit in pretend.units}
    assert options == {"dump": "2/3", "compare": "tcp://host:1", "fit maps": "tcp://host:1", "stitch": None}


def test_the_flow_that_stitches_only_stitches(server, pretend, tmp_path):
    stitch("s", str(tmp_path))
    assert pretend.names == STITCHES


def test_an_error_comes_out_as_it_was_raised(server, pretend, tmp_path):
    with pytest.raises(PretendError) as caught:
        sweep("missing.toml", str(tmp_path))
    assert caught.value.where == "missing.toml"


@pytest.mark.parametrize("failing", ["train a", "dump b test", "stitch a layer1.1"])
def test_a_failing_unit_stops_the_flow_and_comes_out(failing, server, pretend, tmp_path):
    pretend.failing = failing
    with pytest.raises(PretendError) as caught:
        sweep("s", str(tmp_path))
    assert caught.value is pretend.failure
    assert "report" not in pretend.names
    assert failing != "train a" or "dump a test" not in pretend.names


def test_steps_have_one_order_and_known_names():
    assert chosen(None) == list(STEPS)
    assert chosen(["report", "train"]) == ["train", "report"]
    with pytest.raises(FlowError, match="'stich'") as caught:
        chosen(["stich"])
    assert caught.value.where == "steps"


def test_stitches_of_another_pool_must_complete(server, pretend, tmp_path, monkeypatch):
    asked = {}

    def run_deployment(name, *, parameters, poll_interval):
        asked.update(parameters, name=name)
        state = SimpleNamespace(name="Crashed", message="no GPU", is_completed=lambda: False)
        return SimpleNamespace(id=1, name="run", state=state)

    monkeypatch.setattr("flows.sweep.run_deployment", run_deployment)
    with pytest.raises(FlowError, match="Crashed: no GPU"):
        sweep("s", str(tmp_path), steps=["stitch"], stitch_deployment="stitch/gpu")
    assert asked == {"sweep": "s", "out": str(tmp_path), "name": "stitch/gpu"}
    assert pretend.names == ["fit maps"]


def test_the_report_is_published_as_an_artifact(server, pretend, tmp_path):
    sweep("runs/My Sweep.toml", str(tmp_path), steps=["report"])
    with server.client() as client:
        response = client._client.post("/artifacts/latest/filter", json={})
    (found,) = [each for each in response.json() if each["key"] == "sweep-my-sweep"]
    assert "| Is a\\|b? | &lt;b>yes&lt;/b> |" in found["data"]


@pytest.mark.parametrize(
    ("sweep_name", "slug"),
    [("quickstart", "quickstart"), ("/a/B c.toml", "b-c"), ("--", "sweep"), ("x/ü.toml", "sweep")],
)
def test_artifact_keys_are_lower_case_with_dashes(sweep_name, slug):
    assert artifact.slug(sweep_name) == slug
