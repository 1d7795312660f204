"""Whole flows over a pretended pipeline, through a real Prefect server."""

from types import SimpleNamespace

import pytest

from flows import artifact
from flows.progress import listening
from flows.sweep import FlowError, chosen, stitch, sweep
from tests.flows.pretend import STEPS, PretendError

IN_ORDER = [
    ("train", "a"),
    ("train", "b"),
    ("dump", "a train"),
    ("dump", "a test"),
    ("dump", "b train"),
    ("dump", "b test"),
    ("compare", "all"),
    ("fit maps", "all"),
]
STITCHES = [("stitch", f"a layer{block}") for block in ("1.0", "1.1", "2.0", "2.1")]


def test_units_run_in_the_pipelines_order(server, pretend, tmp_path):
    records = sweep("s", str(tmp_path))
    assert pretend.calls[: len(IN_ORDER)] == IN_ORDER
    assert sorted(pretend.calls[len(IN_ORDER) : -1]) == STITCHES
    assert pretend.calls[-1] == ("report", "s")
    assert [(record["step"], record["unit"]) for record in records] == [*IN_ORDER, *STITCHES, ("report", "s")]


def test_only_the_chosen_steps_run(server, pretend, tmp_path):
    sweep("s", str(tmp_path), steps=["dump", "train"])
    assert pretend.calls == IN_ORDER[:6]


def test_an_empty_address_from_an_unset_variable_is_none(server, pretend, tmp_path):
    records = sweep("s", str(tmp_path), scheduler="", steps=["compare", "stitch"], stitch_deployment="")
    assert records[0]["scheduler"] is None
    assert pretend.calls[-1][0] == "stitch"


def test_one_stitch_at_a_time(server, pretend, tmp_path):
    pretend.seconds = 0.1
    assert len(stitch("s", str(tmp_path))) == 4
    assert pretend.peak_stitching == 1


def test_progress_names_the_unit_and_reaches_its_end(server, pretend, tmp_path):
    heard = []
    with listening(lambda *report: heard.append(report)):
        sweep("s", str(tmp_path), steps=["train", "stitch"])
    assert ("train a", 10, 10) in heard
    assert ("stitch a layer2.1", 10, 10) in heard


def test_an_error_comes_out_as_it_was_raised(server, pretend, tmp_path):
    with pytest.raises(PretendError) as caught:
        sweep("missing.toml", str(tmp_path))
    assert caught.value.where == "missing.toml"


def test_a_failing_stitch_stops_the_flow_and_comes_out(server, pretend, tmp_path, monkeypatch):
    original = pretend.stitch

    def stitch_or_fail(sweep, folder, model, layer, *, report):
        if layer == "layer1.1":
            raise PretendError
        return original(sweep, folder, model, layer, report=report)

    monkeypatch.setattr("stitchpipe.sweep.stitch", stitch_or_fail)
    with pytest.raises(PretendError):
        stitch("s", str(tmp_path))
    assert pretend.calls == [STITCHES[0]]


def test_steps_have_one_order_and_known_names(pretend):
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
    assert pretend.calls == [("fit maps", "all")]


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
