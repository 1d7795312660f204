"""What is handed to others: read back with their tools, it says what the run says."""

from __future__ import annotations

import io
import zipfile

import pandas as pd
import pytest
import xarray as xr

import stitchpipe as sp
from tests.cli.command import refused, stitchpipe


def exported(tiny, path, *options):
    ended = stitchpipe("export", tiny.root, path, *options)
    assert ended.returncode == 0, ended.stderr
    assert path.name in ended.stderr
    return path


def test_one_table_has_every_number(tiny, tmp_path):
    frame = pd.read_parquet(exported(tiny, tmp_path / "all.parquet"))
    results = sp.open(tiny.root).results()
    assert len(frame) == len(results)
    assert frame["value"].sum() == pytest.approx(results["value"].sum())


@pytest.mark.parametrize("ending", ["zarr", "nc"])
def test_matrices_are_those_of_the_run(tiny, tmp_path, ending):
    path = exported(tiny, tmp_path / f"all.{ending}")
    opened = (
        xr.open_dataset(path, engine="scipy") if ending == "nc" else xr.open_zarr(path, consolidated=False)
    )
    run = sp.open(tiny.root)
    with opened:
        expected = run.matrix("cka")
        found = opened["cka pooled"].sel(source=expected["source"].values, target=expected["target"].values)
        assert found.to_numpy() == pytest.approx(expected.to_numpy(), nan_ok=True)
        assert opened["cka pooled"].attrs["measure"] == "cka"
        assert opened["stitch_accuracy dm"].notnull().sum() == 18
        assert len(opened["source"]) == 8


def test_an_archive_to_share_has_the_page_and_the_numbers(tiny, tmp_path):
    path = exported(tiny, tmp_path / "run.zip")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    assert files["report/index.html"] == (tiny.root / "report" / "index.html").read_bytes()
    frame = pd.read_parquet(io.BytesIO(files["results.parquet"]))
    assert len(frame) == len(sp.open(tiny.root).results())
    assert b'name = "tiny"' in files["sweep.toml"]
    assert "report/index.html" in files["README.txt"].decode()


def test_points_are_rows_for_embedding_atlas(tiny, tmp_path):
    frame = pd.read_parquet(exported(tiny, tmp_path / "points.parquet", "--points", "A/layer2.0"))
    plane = sp.open(tiny.root).projection("A/layer2.0")
    assert list(frame.columns) == ["id", "x", "y", "label"]
    assert frame["id"].is_unique
    assert frame[["x", "y"]].to_numpy() == pytest.approx(plane.to_numpy())


def test_nothing_is_overwritten_and_endings_say_what_is_meant(tiny, tmp_path):
    path = tmp_path / "all.parquet"
    path.touch()
    assert "it is there" in refused("export", tiny.root, path)
    assert ".xlsx" in refused("export", tiny.root, tmp_path / "all.xlsx")
    assert "No such file" in refused("export", tiny.root, tmp_path / "none" / "all.parquet")
    assert ".zip" in refused("export", tiny.root, tmp_path / "a.zip", "--points", "A/layer2.0")
    assert "layer9" in refused("export", tiny.root, tmp_path / "p.parquet", "--points", "A/layer9")
