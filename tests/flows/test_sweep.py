"""Whole flows over a pretended pipeline, through a real Prefect server."""

import base64

import httpx
import pytest

from flows import artifact
from flows.asked import FlowError, asked_of, chosen
from flows.sweep import dump, stitch, sweep
from stitchpipe.config import ConfigError, load
from stitchpipe.run import RunPlace
from stitchpipe.run.declarations import opened_sweep
from stitchpipe.steps import STEPS, UnitsFailedError
from tests.cli.command import modules_loaded_by
from tests.flows.pretend import TARGETS

INSPECTIONS = ["inspect a", "inspect b"]
TRAININGS = ["train a", "train b"]
DUMPS = ["dump a train", "dump a test", "dump b train", "dump b test"]
STITCHES = [f"stitch {model} {layer}" for model, layer in TARGETS]
S = "quickstart"


def test_units_run_in_the_pipelines_order(server, pretend, tmp_path):
    records = sweep(S, str(tmp_path))
    names = pretend.names
    assert names[:2] == INSPECTIONS
    assert set(names[2:8]) == {*TRAININGS, *DUMPS}
    assert names[8:] == ["dump codes train", "dump codes test", "compare", "fit maps", *STITCHES, "report"]
    assert {record["unit"] for record in records} == set(names)


def test_a_trigger_that_finds_everything_as_it_was_left_begins_nothing(server, pretend, tmp_path):
    sweep(S, str(tmp_path))
    begun = list(pretend.names)
    assert sweep(S, str(tmp_path)) == []
    assert pretend.names == begun
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "another.parquet").touch()
    assert sweep(S, str(tmp_path))  # something changed: every unit is looked at again
    assert sweep(S, str(tmp_path)) == []
    assert sweep(S, str(tmp_path), retry_failed=True)


def test_only_the_chosen_steps_run(server, pretend, tmp_path):
    sweep(S, str(tmp_path), steps=["dump"])
    assert pretend.names == [*DUMPS, "dump codes train", "dump codes test"]


def test_an_empty_address_from_an_unset_variable_is_none(server, pretend, tmp_path):
    records = sweep(S, str(tmp_path), scheduler="", steps=["compare", "stitch"], stitch_deployment="")
    assert records[0]["option"] is None
    assert pretend.names[-1].startswith("stitch")


def test_the_scheduler_and_the_part_travel(server, pretend, tmp_path):
    sweep(S, str(tmp_path), scheduler="tcp://host:1", steps=["dump", "compare", "stitch"], part="2/3")
    options = {unit.step: unit.option for unit in pretend.units if "codes" not in unit.subject}
    assert options == {"dump": "2/3", "compare": "tcp://host:1", "fit maps": "tcp://host:1", "stitch": None}


def test_the_flows_of_workers_do_their_steps_alone(server, pretend, tmp_path):
    stitch(S, str(tmp_path))
    assert pretend.names == STITCHES
    dump(S, str(tmp_path))
    assert set(pretend.names[4:]) == {*INSPECTIONS, *TRAININGS, *DUMPS, "dump codes train", "dump codes test"}


def test_a_sweep_may_be_given_whole_and_by_url(server, pretend, tmp_path):
    declared, path = load(S), tmp_path / "sweep.toml"
    path.write_text(
        'name = "other"\n[data]\nkind = "digits"\n[[models]]\nname = "A"\narchitecture = "x"\nuntrained = true'
    )
    for given, name in ((declared, S), (declared.model_dump(mode="json"), S), (path.as_uri(), "other")):
        sweep(given, str(tmp_path / "run"), steps=["report"])
        unit = pretend.units[-1]
        assert unit.sweep.startswith("run:sweeps/")
        assert opened_sweep(unit.sweep, RunPlace.at(unit.out)).name == name
    with pytest.raises(ConfigError, match="absent"):
        asked_of(f"file://{tmp_path}/absent.toml", str(tmp_path), None)


def test_a_failing_network_is_left_out_and_the_flow_says_so_at_its_end(server, pretend, tmp_path):
    pretend.failing = {"train b", "stitch a layer1.1"}
    with pytest.raises(UnitsFailedError, match="2 of 17 that failed") as caught:
        sweep(S, str(tmp_path))
    assert caught.value.left_out == ("b", "codes")
    assert list(caught.value.failed) == ["train b", "stitch a layer1.1"]
    assert not {"dump b train", "dump b test", "dump codes train"} & set(pretend.names)
    assert pretend.names[-1] == "report"
    later = [unit for unit in pretend.units if unit.step in {"compare", "stitch", "report"}]
    assert {unit.without for unit in later} == {("b", "codes")}


def test_steps_have_one_order_and_known_names():
    assert chosen(None) == list(STEPS)
    assert chosen(["report", "train"]) == ["train", "report"]
    with pytest.raises(FlowError, match="'stich'") as caught:
        chosen(["stich"])
    assert caught.value.where == "steps"


@pytest.mark.parametrize(
    ("sweep_name", "slug"),
    [("quickstart", "quickstart"), ("/a/B c.toml", "b-c"), ("--", "sweep"), ("x/ü.toml", "sweep")],
)
def test_artifact_keys_are_lower_case_with_dashes(sweep_name, slug):
    assert artifact.slug(sweep_name) == slug


def test_a_flow_run_shows_its_units_findings_page_and_progress(server, pretend, tmp_path):
    figures = tmp_path / "My run" / "report" / "figures"
    figures.mkdir(parents=True)
    (figures / "cka.png").write_bytes(b"a picture")
    pretend.failing = {"train b"}
    with pytest.raises(UnitsFailedError):
        sweep(S, str(tmp_path / "My run"))
    with server.client() as client:
        response = client._client.post("/artifacts/latest/filter", json={"limit": 200})
    found = {each["key"]: each for each in response.json()}
    assert "| Is a\\|b? | &lt;b>yes&lt;/b> |" in found["sweep-my-run"]["data"]
    assert found["page-my-run"]["data"].startswith("[The page](file:///")
    # A page of the server may show no file of a disk: the picture is in its URL.
    embedded = base64.b64encode(b"a picture").decode()
    assert found["picture-my-run"]["data"] == f"data:image/png;base64,{embedded}"
    assert found["progress-my-run"]["data"] == 100.0
    assert "train b" in found["units-my-run"]["data"]
    assert "left out" in found["units-my-run"]["data"]


def test_a_server_that_takes_nothing_to_show_ends_no_run(server, pretend, tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise httpx.ReadTimeout("no answer")

    for name in ("create_progress_artifact", "create_table_artifact"):
        monkeypatch.setattr(artifact, name, refuse)
    assert sweep(S, str(tmp_path / "run"))


def test_a_trigger_imports_torch_only_where_there_is_something_to_do(tmp_path):
    asking = f"from flows.asked import asked_of; asked = asked_of({S!r}, {str(tmp_path)!r}, None)"
    settled = "Settled(opened_sweep(asked.sweep, place), place)"
    finding = (
        "from flows.settling import *; from stitchpipe.run.declarations import *; from stitchpipe.run.settled import *",
        f"from stitchpipe.run import RunPlace; place = RunPlace.at({str(tmp_path)!r})",
        f"assert not is_everything_there({settled}, asked.steps)",
    )
    code = "; ".join(("import flows.sweep, flows.runner", asking, *finding))
    assert modules_loaded_by(code, "torch", "dask", "flows.asked") == ["flows.asked"]
