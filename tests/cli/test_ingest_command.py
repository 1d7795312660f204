"""Files in, numbers out, by the command line alone."""

from __future__ import annotations

import numpy as np

import stitchpipe as sp
from tests.cli.command import modules_loaded_by, refused, stitchpipe

N = 30
SWEEP = """
name = "theirs"
data = { kind = "store", name = "mine" }
[[models]]
name = "one"
ingested = true
[[models]]
name = "other"
ingested = true
[[compare]]
view = "pooled"
indices = ["cka"]
[run]
workers = 1
"""


def test_two_files_become_a_comparison(tmp_path, without_prefect, cluster):
    address = cluster.client.scheduler.address
    rng = np.random.default_rng(0)
    ids = [f"s{i}" for i in range(N)]
    run = tmp_path / "run"
    where = ("--dataset", "mine", "--split", "test")
    np.save(tmp_path / "one.npy", rng.standard_normal((N, 4, 3, 3)))
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    np.savez(tmp_path / "other.npz", h=rng.standard_normal((N, 6)).astype("float32"), ids=ids[::-1])
    assert "--ids range" in refused("ingest", run, tmp_path / "one.npy", *where, "--model", "one")
    done = stitchpipe(
        "ingest", run, tmp_path / "one.npy", *where, "--model", "one", "--ids", tmp_path / "ids.txt",
        "--layer", "layer1.0", "--dtype", "float16", "--channels-last",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "30 samples" in done.stdout
    done = stitchpipe("ingest", run, tmp_path / "other.npz", *where, "--model", "other")
    assert done.returncode == 0, done.stderr
    listed = stitchpipe("ls", run).stdout
    assert "mine,one,1,test," in listed
    assert sp.open(run).activations("one/layer1.0").shape == (N, 3, 4, 3)
    # Long paths are broken where the terminal ends.
    assert "other.npz" in "".join(stitchpipe("show", run, "other/h").stdout.split())
    (tmp_path / "sweep.toml").write_text(SWEEP)
    done = stitchpipe("compare", tmp_path / "sweep.toml", "--out", run, "--scheduler", address)
    assert done.returncode == 0, done.stderr
    assert stitchpipe("query", run, "SELECT count(*) AS n FROM results").stdout.split() == ["n", "4"]


def test_ingesting_needs_no_torch():
    assert (
        modules_loaded_by("import stitchpipe.ingest, stitchpipe.cli.terminal", "torch", "dask", "prefect")
        == []
    )


def test_help_shows_an_example():
    text = stitchpipe("ingest", "--help").stdout
    assert "stitchpipe ingest runs/mine acts.npz" in text
    assert "range" in text
