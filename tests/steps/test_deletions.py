"""Low-rank deletions through a whole run: computed once, kept, asked by SQL, and part of a study."""

from __future__ import annotations

import numpy as np
import pytest

from stitchpipe import steps
from stitchpipe.algebra.deletions import low_rank_deletions
from stitchpipe.algebra.layer_measure import LabelledRows
from stitchpipe.asking import open_workspace
from stitchpipe.engine.planning.shapes import STORAGE_EPS
from stitchpipe.registry import index_named
from stitchpipe.rows import to_rows
from stitchpipe.run import Run
from stitchpipe.run.declarations import keep_sweep
from stitchpipe.run.names import TEST, TRAIN, LayerName

LAYER = LayerName("org/B", "layer2.0")


def deleting(sweep, *, deletions=True):
    tables = [
        table.model_copy(update={"deletions": deletions}) if table.view == "pooled" else table
        for table in sweep.compare
    ]
    return sweep.model_copy(update={"compare": tuple(tables)})


@pytest.fixture(scope="module")
def deleted(tiny, cluster, tmp_path_factory) -> Run:
    """A copy of the tiny run, with low-rank deletions of pooled layers."""
    root = tmp_path_factory.mktemp("deleted") / "run"
    tiny.copy(root)
    run = Run.open(deleting(tiny.sweep), root)
    done = steps.compare(run, cluster=cluster)
    (table,) = (table for table in run.sweep.compare if table.view == "pooled")
    assert done["deletions"] == 6 * len(table.deletion_indices) > 0
    assert done["layer_numbers"] == done["numbers"] == 0
    return run


def labelled(run, split):
    stored = run.activations.layer(LAYER, split)
    rows = to_rows(stored.read_rows(np.arange(stored.shape[0])), "pooled")
    return LabelledRows(rows, np.asarray(stored.split.labels)), STORAGE_EPS[stored.dtype.itemsize]


def test_rows_of_the_table_are_what_the_stored_rows_give(deleted):
    (train, eps), (test, _) = (labelled(deleted, split) for split in (TRAIN, TEST))
    frame = open_workspace(deleted.place.url).query(
        f"SELECT * FROM deletions WHERE model = '{LAYER.model}' AND layer = '{LAYER.layer}' AND index = 'cka'"
    )
    whole = low_rank_deletions(train, test, [index_named("cka")], images=len(test.rows), storage_eps=eps)
    assert frame["rank"].tolist() == [each.rank for each in whole.deletions] == [5, 4, 3, 2, 1]
    assert frame["value"].to_numpy() == pytest.approx([each.numbers[0].value for each in whole.deletions])
    assert frame["accuracy"].to_numpy() == pytest.approx([each.accuracy for each in whole.deletions])
    assert set(frame["whole_accuracy"]) == {whole.accuracy}
    assert frame["variance"].is_monotonic_decreasing


def test_nothing_is_computed_twice_and_another_index_alone_is_added(deleted, cluster):
    assert steps.compare(Run.open(deleted.sweep, deleted.place), cluster=cluster)["deletions"] == 0
    more = deleted.sweep.model_copy(
        update={
            "compare": tuple(
                table.model_copy(update={"indices": (*table.indices, "nbs")})
                if table.view == "pooled"
                else table
                for table in deleted.sweep.compare
            )
        }
    )
    assert steps.compare(Run.open(more, deleted.place), cluster=cluster)["deletions"] == 6


def test_the_study_ranks_by_them_where_the_sweep_asks_for_them(deleted):
    keep_sweep(deleted.sweep, deleted.place)
    steps.report(deleted)
    (finding,) = open_workspace(deleted.place.url).study("which-index").findings
    assert "sensitivity" in finding.table
    (effect, *_) = (
        each for each in finding.effects if each.what.startswith("Spearman ρ with probe accuracy over")
    )
    assert effect.unit == "layers"
    plain = Run.open(deleting(deleted.sweep, deletions=False), deleted.place.url)
    keep_sweep(plain.sweep, plain.place)
    steps.report(plain)
    (finding,) = open_workspace(deleted.place.url).study("which-index").findings
    assert "sensitivity" not in finding.table
