"""What a run says of its networks at its end, against the made-up results that it is said of."""

from __future__ import annotations

import pandas as pd

from stitchpipe.report import comparison
from stitchpipe.steps.highlights import KEEPS, highlights
from tests.synthetic_results import results


def told(frame):
    """Return what is said of results, by its title."""
    order = {
        model: list(dict.fromkeys(rows)) for model, rows in frame.groupby("source_model")["source_layer"]
    }
    stitches = frame[frame["method"].notna()]
    return {line["title"]: line["text"] for line in highlights(comparison(frame, order), stitches)}


def test_the_pair_that_is_most_alike_is_the_one_that_the_results_have():
    frame = results(views=("pooled",))
    lines = told(frame)
    across = frame[(frame["index"] == "cka") & (frame["source_model"] != frame["target_model"])]
    across = across[across["method"].isna()]
    for title, chosen in (("Most", across["value"].idxmax()), ("Least", across["value"].idxmin())):
        row = across.loc[chosen]
        text = lines[f"{title} alike of two models"]
        for end in ("source", "target"):
            assert f"{row[f'{end}_model']}/{row[f'{end}_layer']}" in text
        assert f"cka {row['value']:.3g}" in text


def test_of_a_distance_the_smallest_is_most_alike():
    frame = results(views=("pooled",), stitches=False)
    frame = frame[frame["index"] == "procrustes_angle"]
    across = frame[frame["source_model"] != frame["target_model"]]
    assert f"procrustes_angle {across['value'].min():.3g}" in told(frame)["Most alike of two models"]


def test_stitches_that_keep_the_accuracy_are_counted():
    frame = results(views=("pooled",))
    accuracy = frame[frame["index"] == "stitch_relative_accuracy"]["value"]
    text = told(frame)["Stitches"]
    assert text.startswith(f"{(accuracy >= KEEPS).sum()} of {len(accuracy)} keep 95%")


def test_what_there_are_no_numbers_for_is_not_said():
    alone = results(views=("pooled",), stitches=False)
    alone = alone[(alone["source_model"] == "A") & (alone["target_model"] == "A")]
    assert list(told(alone)) == ["Most alike", "Least alike"]
    assert highlights(comparison(alone.head(0), {"A": []}), pd.DataFrame(columns=alone.columns)) == []


def test_nulls_that_disagree_with_their_closed_form_are_told_and_where_most():
    frame = results(views=("pooled",), stitches=False)
    cka = frame.index[frame["index"] == "cka"]
    frame.loc[cka, "null_gap"] = 1.0
    assert "Nulls" not in told(frame)
    frame.loc[cka[3], "null_gap"] = 7.25
    text = told(frame)["Nulls"]
    assert text.startswith(f"1 of {len(cka)} permuted nulls")
    assert f"{frame.loc[cka[3], 'source_model']}/{frame.loc[cka[3], 'source_layer']}" in text
    assert "7.25" in text
