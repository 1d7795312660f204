"""Images that belong together, from the sweep file to the results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import stitchpipe as sp
from stitchpipe import config, steps
from stitchpipe.run import Run
from stitchpipe.run.run_keys import pair_keys
from stitchpipe.steps.forecast import forecast

SWEEP = """
name = "together"
[data]
kind = "digits"
limit = 60
groups = "groups.csv"
[dump]
layers = ["layer?.0"]
row_groups = 7
batch_size = 4
{keep}
[certainty]
permutations = 19
[[models]]
name = "A"
architecture = "cifar_resnet"
options = {{ in_channels = 1, blocks = [1, 1, 1], widths = [4, 6, 8] }}
untrained = true
[[compare]]
view = "positions"
indices = ["cka_biased"]
[[compare]]
view = "pooled"
indices = ["cka", "procrustes", "rsa", "cka_minibatch"]
"""

pytestmark = pytest.mark.usefixtures("undrawn")


FIVES = np.arange(1797) // 5


def opened(tmp_path, *, scenes=FIVES, keep=True, name="run"):
    lines = ["sample,group", *(f"digits-{number:04d},scene {scene}" for number, scene in enumerate(scenes))]
    (tmp_path / "groups.csv").write_text("\n".join(lines))
    text = SWEEP.format(keep="" if keep else "keep = false")
    return Run.open(config.parse(text, where="together", folder=tmp_path), tmp_path / name)


def numbers(run):
    found = sp.open(run.place.url).results()
    order = ["view", "index", "source_layer", "target_layer"]
    return found.sort_values(order, ignore_index=True).set_index(order)


@pytest.fixture(scope="module")
def compared(tmp_path_factory, cluster):
    """Return runs of the same sweep with and without kept activations."""
    folder, runs = tmp_path_factory.mktemp("together"), []
    for keep in (True, False):
        run = opened(folder, keep=keep, name=f"kept {keep}")
        if keep:
            for split in ("train", "test"):
                steps.dump(run, "A", split)
        for view in ("positions", "pooled"):
            steps.compare(run, view, cluster=cluster)
        runs.append(run)
    return runs


def test_groups_reach_the_store_the_nulls_and_the_intervals(compared):
    run, _ = compared
    split = run.store.split("digits", "test")
    assert {stop - start for start, stop in split.group_bounds} == {5}
    assert len(split.row_groups) == 7
    found = numbers(run)
    pooled = found.loc["pooled", "cka"]
    assert (pooled["p_value"] >= 1 / 20).all()
    assert pooled["effect_size"].isna().all()
    assert pooled["reason"].str.contains("no null in closed form").all()
    assert pooled["low"].notna().all()
    assert found.loc["pooled", "procrustes"]["reason"].isna().all()
    assert found.loc["positions", "cka_biased"]["reason"].isna().all()


def test_without_kept_activations_every_bit_is_the_same(compared):
    kept, live = map(numbers, compared)
    columns = ["value", "low", "high", "corrected", "p_value", "calibrated", "n_samples", "reason"]
    assert live[columns].equals(kept[columns])


class Apart:
    """A layer on a split, but for its groups."""

    group_digest = None

    def __init__(self, contents):
        self._contents = contents

    def __getattr__(self, name):
        return getattr(self._contents, name)


def test_keys_of_pairs_know_of_groups(compared):
    for run in compared:
        ends = run.activations.ends(run.layers.names())
        apart = {
            name: replace(end, train=Apart(end.train), test=Apart(end.test)) for name, end in ends.items()
        }
        for table in run.sweep.compare:
            keys = [pair_keys(run, some, table).matrix for some in (ends, apart)]
            assert not (keys[0] == keys[1]).any()


def test_sizes_that_stand_alone_leave_numbers_without_a_null(tmp_path, cluster):
    run = opened(tmp_path, scenes=np.repeat(np.arange(60), np.arange(1, 61))[:1797])
    for split in ("train", "test"):
        steps.dump(run, "A", split)
    steps.compare(run, "pooled", cluster=cluster)
    cka = numbers(run).loc["pooled", "cka"]
    assert cka["value"].notna().all()
    assert cka["reason"].str.contains("images have none").all()
    assert cka["p_value"].isna().all()


PROBED = """
[[compare]]
view = "pooled"
indices = ["cka"]
layer_measures = ["linear_probe"]
[[stitch]]
method = "dm"
sources = ["A/layer1.0"]
targets = ["A/layer2.0"]
"""


def probed(tmp_path, cluster, name, groups):
    text = SWEEP.format(keep="")
    text = text[: text.index("[[compare]]")] + PROBED
    text = text if groups else text.replace('groups = "groups.csv"\n', "")
    run = Run.open(config.parse(text, where="together", folder=tmp_path), tmp_path / name)
    for split in ("train", "test"):
        steps.dump(run, "A", split)
    steps.compare(run, cluster=cluster)
    steps.fit_maps(run, cluster=cluster)
    steps.stitch(run, "A", "layer2.0")
    return run, sp.open(run.place.url).layer_numbers("linear_probe")


def test_errors_of_probes_and_accuracies_are_over_groups(tmp_path, cluster):
    opened(tmp_path)  # writes the groups
    run, layers = probed(tmp_path, cluster, "grouped", groups=True)
    bounds = run.store.split("digits", "test").group_bounds
    assert len(bounds) == 12
    results = sp.open(run.place.url).results()
    accuracy, relative = (
        results[results["index"] == name].iloc[0] for name in ("stitch_accuracy", "stitch_relative_accuracy")
    )
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert relative["low"] < relative["value"] < relative["high"]
    # Twelve groups tell an accuracy less surely than sixty images do.
    naive = np.sqrt(accuracy["value"] * (1 - accuracy["value"]) / 60)
    assert accuracy["high"] - accuracy["low"] > 2 * naive
    share = layers["value"].to_numpy()
    alone = np.sqrt((share * 60 + 2) / 64 * (1 - (share * 60 + 2) / 64) / 64)
    errors = layers["standard_error"].to_numpy()
    assert (errors > 0).all()
    assert not np.allclose(errors, alone, rtol=1e-3)
    _, layers = probed(tmp_path, cluster, "alone", groups=False)
    plain = sp.open((tmp_path / "alone").as_posix()).results()
    assert plain[plain["index"].str.startswith("stitch_")]["low"].isna().all()
    share = layers["value"].to_numpy()
    alone = np.sqrt((share * 60 + 2) / 64 * (1 - (share * 60 + 2) / 64) / 64)
    assert layers["standard_error"].to_numpy() == pytest.approx(alone)


def test_a_plan_says_which_groups_there_are(tmp_path):
    remarks = forecast(opened(tmp_path)).image_remarks
    assert remarks == {"train": ("12 groups of 5 images",), "test": ("12 groups of 5 images",)}
