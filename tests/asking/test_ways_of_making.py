"""Stitches of one pair of layers that were made in different ways: no question takes one for the other."""

from __future__ import annotations

from dataclasses import fields
from textwrap import wrap

import pytest

from stitchpipe.asking import WorkspaceError, all_matrices, matrix
from stitchpipe.asking.pair_numbers import PAIR
from stitchpipe.asking.pictures import LINE
from stitchpipe.asking.selection import StitchChoice
from stitchpipe.asking.titles import title_of
from stitchpipe.cli.layer_questions import WhichStitches
from stitchpipe.results import MAKING, table_of_records
from stitchpipe.run import RunPlace
from stitchpipe.studies.stitches import stitches
from tests import synthetic_results

OTHERS = {
    "method": "dm_ridge(0.1)", "init": "dm", "objective": "soft_labels", "seed": 1, "steps": 5, "batch_size": 16,
    "learning_rate": 0.5, "weight_decay": 0.5, "augmented": 2, "precision": "bfloat16",
}  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    """Numbers of trained stitches of the made-up run, every column of their making filled."""
    frame = synthetic_results.results(views=())
    rows = frame[(frame["method"] == "tlm") & (frame["init"] == "random")].astype(object)
    budget = {"batch_size": 64, "learning_rate": 0.1, "weight_decay": 0.0, "augmented": 0}
    return [
        {**row, **budget, "precision": "float32", "key": "one"}
        for row in rows.where(rows.notna(), None).to_dict("records")
    ]


def place_of(folder, rows):
    place = RunPlace.at(folder)
    place.results.write("stitch-made-up", table_of_records(rows))
    return place


def test_whatever_stitches_differ_in_can_be_chosen():
    assert set(StitchChoice.__annotations__) == set(MAKING) == OTHERS.keys()
    assert [field.name for field in fields(WhichStitches)] == list(MAKING)


@pytest.mark.parametrize("column", MAKING)
def test_stitches_that_differ_in_one_thing_alone_are_told_apart(column, trained, tmp_path):
    other = [{**row, column: OTHERS[column], "key": "two", "value": row["value"] / 2} for row in trained]
    place = place_of(tmp_path, [*trained, *other])
    with pytest.raises(WorkspaceError, match=f"differ in {column}.*Say which: {column}="):
        matrix(place, "stitch_accuracy", "A", "A")
    halves = matrix(place, "stitch_accuracy", "A", "A", **{column: OTHERS[column]})
    whole = matrix(place, "stitch_accuracy", "A", "A", **{column: trained[0][column]})
    assert halves.to_numpy() == pytest.approx(whole.to_numpy() / 2, nan_ok=True)

    every = all_matrices(place)
    (named,) = [name for name in every if is_of(name, str(OTHERS[column]))]
    at = {side: halves[side].values for side in ("source", "target")}
    assert every[named].sel(at).to_numpy() == pytest.approx(halves.to_numpy(), nan_ok=True)
    assert "left_out" not in every.attrs

    wide = stitches(place.results.read(), synthetic_results.ORDER)
    assert len(wide) == 2 * len({tuple(row[name] for name in PAIR) for row in trained})


def test_a_matrix_of_stitches_has_a_title_that_tells_how_they_were_made(trained, tmp_path):
    place = place_of(tmp_path, trained)
    made = trained[0]
    title = title_of(matrix(place, "stitch_accuracy", "A", "A"))
    assert f"TLM from {made['init']} for {made['objective']}, {made['steps']:.0f} steps" in title
    picture = matrix(place, "stitch_accuracy", "A", "A").to_svg()
    assert all(line in picture for line in wrap(title, LINE))


def is_of(name, value):
    """Return whether a matrix is that of the accuracy of stitches with a value among their making."""
    measure, *making = name.replace("=", " ").split()
    return measure == "stitch_accuracy" and value in making


def test_numbers_of_equal_standing_are_left_out_and_said(trained, tmp_path):
    place = place_of(tmp_path, [*trained, *({**row, "key": "two"} for row in trained)])
    every = all_matrices(place)
    assert not len(every)
    assert any(name.startswith("stitch_accuracy tlm") for name in every.attrs["left_out"])
