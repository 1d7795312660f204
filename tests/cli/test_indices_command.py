"""`stitchpipe indices`: every index with all that is promised of it, readable in 80 columns, whole as JSON."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from stitchpipe import registry
from stitchpipe.algebra import INDICES
from stitchpipe.algebra.layers import LAYER_MEASURES
from stitchpipe.cli import app, question_commands
from stitchpipe.cli.measure_tables import described, details, listing, records
from stitchpipe.cli.rows_out import RowsOut
from stitchpipe.measures import UnknownNameError
from stitchpipe.registry import index_measure
from stitchpipe.stitching import OBJECTIVES
from tests.cli.command import refused


def printed(view, width=80):
    written = io.StringIO()
    Console(width=width, file=written).print(view)
    return written.getvalue()


def cells(name, width=200):
    """The lines of one index in the table, as wide as they want to be."""
    lines = printed(listing(described([name])), width).splitlines()
    start = next(number for number, line in enumerate(lines) if line.split() and line.split()[0] == name)
    return lines[start : start + 3]


def test_the_table_names_every_index_and_fits_into_80_columns():
    text = printed(listing(described([])))
    assert all(len(line) <= 80 for line in text.splitlines())
    words = text.split()
    for name, index in INDICES.items():
        assert name in words
        assert index.measure.literature.split()[0] in text
    for name in (*LAYER_MEASURES, *registry.OF_STITCHES, *OBJECTIVES.own):
        assert name in words


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "cka",
            [
                "symmetric, 1 row",
                "↑ −1 … 1",
                "TSP·R· | TSP·R·",
                "Linear CKA, debiased",
                "moments; O(p·q)",
                "2019",
            ],
        ),
        ("pwcca", ["directed", "TSP··· | TSPFRL", "Morcos et al. 2018"]),
        ("procrustes_angle", ["symmetric, metric", "↓ 0 … π/2"]),
        ("dm_struct", ["directed, held out", "↓ 0 … ∞", "TSPFRL | ·SP·R·"]),
        ("soft_matching", ["symmetric", "↑ −1 … 1", "T·PF·· | T·PF··", "Khosla and Williams 2024"]),
        ("mutual_knn", ["samples", "·SP·R· | ·SP·R·", "2,000 images"]),
        ("agreement", ["logits", "······ | ······"]),
    ],
)
def test_a_row_says_what_the_registry_says(name, expected):
    row = "\n".join(cells(name))
    for part in expected:
        assert part in row


def test_names_give_the_whole_of_it():
    (index,) = described(["gulp(0.1)"])
    text = " ".join(printed(details(index), 300).split())
    for part in (
        "gulp(0.1)",
        "GULP, λ = 0.1",
        index.meaning,
        "smaller is more similar",
        "translation, scaling, permutation, rotation",
        "units of the total variance",
        "λ > 0, here 0.1",
        "Boix-Adserà et al. 2022",
    ):
        assert part in text
    assert "same as cka_biased" in " ".join(printed(details(index_measure("rv")), 300).split())
    assert "family low_rank" in printed(details(index_measure("dm_low_rank_r2")), 300)
    with pytest.raises(UnknownNameError, match="Did you mean 'gulp"):
        described(["gullp"])


def test_measures_of_stitches_and_objectives_are_explained_too():
    score, objective = described(["ood_frechet", "fula"])
    text = " ".join(printed(details(score), 300).split())
    assert "0 … ∞, smaller is more similar" in text
    assert score.meaning in text
    assert "symmetric" not in text
    text = " ".join(printed(details(objective), 300).split())
    assert "asks for representations" in text
    assert "Athanasiadis et al. 2025" in text


def test_json_holds_the_registry():
    held = json.loads(json.dumps(records(described([]))))
    indices = [record for record in held if record["kind"] == "index"]
    assert [record["name"] for record in indices] == list(INDICES)
    others = [*LAYER_MEASURES, *registry.OF_STITCHES, *OBJECTIVES.own]
    assert [record["name"] for record in held[len(indices) :]] == others
    assert {record["kind"] for record in held} == {"index", "layer", "fidelity", "ood", "objective"}
    for record, index in zip(indices, INDICES.values(), strict=True):
        for key in (
            "title",
            "meaning",
            "symmetric",
            "metric",
            "larger_is_more_similar",
            "computed_from",
            "cost",
            "literature",
        ):
            assert record[key] == getattr(index.measure, key)
        for side in ("source", "target"):
            assert set(record[f"{side}_invariances"]) == getattr(index.measure, f"{side}_invariances")
        assert (record["parameter"] is None) == (index.measure.parameter is None)
    assert next(record for record in held if record["name"] == "dm_r2")["range"] == [None, 1.0]


def test_the_command(capsys):
    question_commands.indices(())
    assert "procrustes_angle" in capsys.readouterr().out
    question_commands.indices(("svcca(0.9)",), rows=RowsOut("json"))
    (record,) = json.loads(capsys.readouterr().out)
    assert record["parameter"]["value"] == 0.9
    app.help_print(["indices"])
    text = capsys.readouterr().out
    for part in ("unchanged by", "gulp(0.1)", "Which to begin with", "--format"):
        assert part in text


def test_a_wrong_name_is_one_message():
    assert "Did you mean 'gulp" in refused("indices", "gullp")
