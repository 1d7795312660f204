"""The command line: help that teaches, one message for a mistake, exit codes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import stitchpipe as sp
from stitchpipe.asking import WorkspaceError
from stitchpipe.cli.documents import document
from stitchpipe.config import parse
from stitchpipe.results import SCHEMA
from tests.cli.command import complaint, in_a_process, modules_loaded_by, refused, stitchpipe
from tests.tiny_sweep import TINY


def test_help_lists_what_there_is():
    text = stitchpipe("--help").stdout
    for command in (
        "quickstart",
        "run",
        "plan",
        "dump",
        "compare",
        "stitch",
        "report",
        "ingest",
        "ls",
        "show",
        "query",
    ):
        assert command in text
    assert "interrupted" in stitchpipe("quickstart", "--help").stdout


def test_importing_the_package_is_light():
    assert modules_loaded_by("import stitchpipe", "torch", "dask", "prefect", "sklearn") == []
    assert modules_loaded_by("import json", "json", "dask") == ["json"]  # the question can be answered
    # Libraries of data and networks are imported for data and networks of theirs.
    libraries = ("sklearn", "torchvision", "torch._dynamo", "timm", "transformers")
    assert modules_loaded_by("import stitchpipe.data, stitchpipe.models.by_name", *libraries) == []
    ours = "from stitchpipe.models import demand_known; demand_known('cifar_resnet')"
    assert modules_loaded_by(ours, *libraries) == []


def test_a_process_says_the_same_and_returns_its_code(tiny):
    for arguments, code in ((("gallery",), 0), (("show", tiny.root, "A/layer9"), 2)):
        ended = in_a_process(*arguments)
        assert ended == stitchpipe(*arguments)
        assert ended.returncode == code
    assert "layer9" in complaint(ended)


def test_ls_and_show_tell_what_is_there(tiny):
    listed = stitchpipe("ls", tiny.root, "*").stdout
    assert "layer1.0" in listed
    assert "org/B" in listed
    shown = stitchpipe("show", tiny.root, "org/B/layer1.0").stdout
    assert "fingerprint" in shown
    assert "torch" in shown
    assert "layer9" in refused("show", tiny.root, "A/layer9")
    with pytest.raises(WorkspaceError, match="a model of this store.*found.*rse"):
        document(sp.open(tiny.root), "rse")


def test_query_answers(tiny):
    sql = "SELECT index, count(*) AS n FROM results WHERE method IS NULL GROUP BY index ORDER BY index"
    lines = stitchpipe("query", tiny.root, sql).stdout.splitlines()
    assert lines[0] == "index,n"
    assert "cka,36" in lines
    assert "SELECT" in refused("query", tiny.root, "DROP TABLE results")
    assert "colum" in refused("query", tiny.root, "SELECT nothing FROM results")


def test_plan_prints_defaults_and_runs_nothing(tiny, tmp_path):
    done = stitchpipe("plan", tiny.path, "--out", tmp_path / "run", columns=300)
    assert done.returncode == 0
    assert "batch_size = 64" in done.stdout
    assert "72 directed pairs" in done.stdout
    assert done.stdout.count("on this machine when idle") == 2  # of the engine's work and of the networks'
    declaration = done.stdout[: done.stdout.index("What it would do")]
    assert parse(declaration, where="plan", folder=tmp_path) == tiny.sweep
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (('"org/B"', '"A"'), "more than once"),
        (("epochs = 2", "epoch = 2"), "Did you mean 'epochs'?"),
        (('kind = "digits"', 'kind = "image_folder"\nroot = "nowhere"'), "nowhere"),
    ],
)
def test_a_mistake_in_a_sweep_is_one_message(tmp_path, change, hint):
    path = tmp_path / "sweep.toml"
    path.write_text(TINY.replace(*change, 1))
    assert hint in refused("run", path, "--out", tmp_path / "run")
    assert not (tmp_path / "run" / "store.zarr").exists()


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (('layers = ["layer?.0"]', 'layers = ["block*"]'), "block*"),
        (('sources = ["A/*", "org/B/*"]', 'sources = ["Z/*"]'), "Models are A, org/B"),
    ],
)
def test_a_name_that_no_network_has_is_one_message(tmp_path, without_prefect, change, hint):
    path = tmp_path / "sweep.toml"
    path.write_text(TINY.replace(*change, 1))
    assert hint in refused("run", path, "--out", tmp_path / "run")
    assert not (tmp_path / "run" / "store.zarr").exists()


def test_a_checkpoint_that_cannot_be_loaded_fails_alone(tiny, tmp_path, without_prefect):
    weights = next((tiny.root / "models").rglob("*.safetensors"))
    path, cut, out = tmp_path / "sweep.toml", tmp_path / "cut.safetensors", tmp_path / "run"
    cut.write_bytes(weights.read_bytes()[:-100])
    network = TINY[TINY.index("[[models]]") :].partition("[[models]]\n")[2].partition("[[")[0]
    text = TINY.partition("[[compare]]")[0]
    for name, file, widths in (("other", weights, "9"), ("cut", cut, "8")):
        table = network.replace("train = { epochs = 2, seed = 0 }", f'weights = "{file}"')
        text += "[[models]]\n" + table.replace('"A"', f'"{name}"').replace("8]", f"{widths}]")
    path.write_text(text)
    ended = stitchpipe("dump", path, "--out", out)
    assert ended.returncode == 3
    said = complaint(ended)
    assert "2 of 16 that failed" in said
    assert "Without cut, other the rest was done." in said
    lines = {line.partition(":")[0]: line for line in said.splitlines()[1:]}
    assert set(lines) == {"- train other", "- train cut"}
    assert "shape" in lines["- train other"]
    assert {record.address.model for record in sp.open(out).store.representations()} == {"A", "org/B"}
    again = stitchpipe("dump", path, "--out", out)
    assert (again.returncode, "shape" in again.stderr) == (3, True)


@pytest.mark.parametrize("command", ["ls", "show"])
def test_a_folder_without_a_run_is_one_message(tmp_path, command):
    assert "no store" in refused(command, tmp_path)
    assert "no such folder" in refused(command, tmp_path / "absent")


def test_an_unreadable_store_is_one_message(tiny, tmp_path):
    run = tiny.copy(tmp_path / "run")
    record = next(Path(run.store_url).rglob("manifest.json"))
    record.write_text(record.read_text().replace("layer", "laier", 1))
    assert "manifest.json" in refused("ls", run.place.url)


@pytest.mark.slow
def test_a_damaged_shard_ends_a_comparison_with_one_message(tiny, tmp_path):
    run = tiny.copy(tmp_path / "run")
    shard = next(path for path in Path(run.store_url).rglob("c.0*") if "activations" in str(path))
    shard.write_bytes(shard.read_bytes()[:-7])
    for part in run.place.files.listing("results"):
        run.place.files.remove(part.name)
    assert shard.name in complaint(in_a_process("compare", tiny.path, "--out", run.place.url))


def test_out_must_be_a_folder(tiny, tmp_path):
    (tmp_path / "file").touch()
    assert "folder" in refused("run", tiny.path, "--out", tmp_path / "file")


def test_a_sweep_that_is_not_there_is_one_message(tmp_path):
    assert "quickstart" in refused("run", tmp_path / "absent.toml")


def test_help_and_commands_that_ask_import_nothing_heavy():
    heavy = ("torch", "dask", "prefect", "pydantic", "pandas", "scipy")
    assert modules_loaded_by("import stitchpipe.cli", *heavy) == []
    # What a query needs beside the database: zarr, scipy and torch take longer than the answer.
    asking = "import stitchpipe.run.place, stitchpipe.run.tables_beside, stitchpipe.results"
    assert modules_loaded_by(asking, "torch", "dask", "zarr", "scipy", "pydantic") == []


def test_ls_groups_by_model_with_bytes_and_totals(tiny):
    listed = stitchpipe("ls", tiny.root, "--format", "table").stdout
    assert "all" in listed.splitlines()[-2]
    models = json.loads(stitchpipe("ls", tiny.root, "--format", "json").stdout)
    assert [model["model"] for model in models] == ["A", "org/B"]
    layers = json.loads(stitchpipe("ls", tiny.root, "*", "--format", "json").stdout)
    assert sum(layer["bytes"] for layer in layers) == sum(model["bytes"] for model in models)
    assert "There is A, org/B" in refused("ls", tiny.root, "C*")


def test_show_is_one_document(tiny):
    run = json.loads(stitchpipe("show", tiny.root, "--format", "json").stdout)
    assert (run["sweep"], len(run["models"])) == ("tiny", 2)
    layer = json.loads(stitchpipe("show", tiny.root, "A/layer1.0", "--format", "json").stdout)
    assert {entry["split"] for entry in layer["layers"]} == {"train", "test"}
    assert all(entry["provenance"]["torch"] for entry in layer["layers"])


def test_a_question_may_name_the_tables_beside_the_results(tiny):
    def answer(sql):
        return json.loads(stitchpipe("query", tiny.root, sql, "--format", "json").stdout)

    stored = answer("SELECT sum(bytes) AS n FROM representations")[0]["n"]
    assert stored == sum(row["bytes"] for row in answer("SELECT bytes FROM models"))
    (count,) = answer("SELECT count(*) AS n FROM stitches WHERE accuracy IS NOT NULL")
    assert count["n"] == len(tiny.run.stitches)
    untold = "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL"
    assert answer(untold) == []
    told = stitchpipe("query", tiny.root).stdout
    assert all(
        f"\n{table},," in told for table in ("stitches", "layers", "representations", "models", "runs")
    )
    assert "representations" in refused("query", tiny.root, "SELECT nothing FROM models")


def test_a_run_without_results_answers_from_the_tables_that_it_has(tiny, tmp_path):
    run = tiny.copy(tmp_path / "run")
    for results in ("results", "commits/files/results"):
        shutil.rmtree(Path(run.place.url) / results)

    def answer(sql):
        return json.loads(stitchpipe("query", run.place.url, sql, "--format", "json").stdout)

    assert answer("SELECT count(*) AS n FROM models") == [{"n": 2}]
    assert answer("SELECT count(*) AS n FROM results JOIN stitches USING (source_model)") == [{"n": 0}]
    columns = [row["column_name"] for row in answer("DESCRIBE results")]
    assert columns == list(SCHEMA.names)
    assert "results" in refused("nearest", run.place.url, "A/layer1.0")


def test_a_place_without_a_run_answers_nothing(tmp_path):
    sql = "SELECT count(*) FROM models"
    assert "nothing of one" in refused("query", tmp_path, sql)
    assert "no such folder" in refused("query", tmp_path / "absent", sql)


def test_the_queries_of_the_help_are_answered(tiny):
    help_text = stitchpipe("query", "--help", columns=500).stdout
    queries = re.findall(r"^SELECT .+", help_text, re.MULTILINE)
    assert len(queries) == 5
    for sql in queries:
        assert stitchpipe("query", tiny.root, sql.strip()).returncode == 0, sql


def test_a_run_is_enough_where_it_keeps_its_sweep(tiny, tmp_path, without_prefect, undrawn):
    run = tiny.copy(tmp_path / "run")
    done = stitchpipe("report", run.place.url)  # tests/tiny_sweep.py began it without the command line
    assert done.returncode == 0
    done = stitchpipe("report", run.place.url, "--only", "A")
    assert f"{run.place.url}/report/parts/tiny.A/index.html" in done.stdout
    assert run.place.findings()["sweep"] == "tiny"
    assert run.place.findings("tiny.A")["sweep"] == "tiny.A"
    assert stitchpipe("report", run.place.url, "--sweep", "tiny.A").returncode == 0
    assert "only tiny" in refused("report", run.place.url, "--sweep", "tidy")


def test_options_that_contradict_each_other_are_refused(tiny, tmp_path):
    assert "--out" in refused("compare", tiny.root, "--out", tmp_path)
    assert "--sweep" in refused("compare", tiny.path, "--sweep", "tiny")
    assert "neither" in refused("compare", tmp_path / "nowhere")
    assert "found none" in refused("compare", tmp_path)
