"""Groups of images that this process has: cut between, recorded in the store, taken whole by intervals and nulls."""

from __future__ import annotations

import numpy as np
import pytest

import stitchpipe as sp
from stitchpipe.data import DataError, load_splits
from stitchpipe.declaring.images import declared_images
from stitchpipe.declaring.sweeps import sweep_of
from stitchpipe.run.names import SPLITS
from tests.declaring.test_objects import LABELS, N, Pairs, small

PAIRED = [f"scene {number // 2}" for number in range(N)]


def splits(data, **options):
    declared = declared_images(data, "objects", 0.5, **options)
    return load_splits(sweep_of({"m": small(0)}, declared).data, SPLITS)


def test_data_that_are_cut_are_cut_between_groups():
    found = splits(Pairs(), groups=PAIRED)
    assert [len(found[split]) for split in SPLITS] == [N // 2, N // 2]
    assert not set(found["train"].groups) & set(found["test"].groups)
    for images in found.values():
        numbers = [int(sample.partition("/")[2]) for sample in images.sample_ids]
        assert images.groups == tuple(PAIRED[number] for number in numbers)
        assert images.labels.tolist() == LABELS[numbers].tolist()


def test_without_groups_everything_is_as_it_was():
    found = splits(Pairs())
    order = np.random.default_rng(0).permutation(N)
    for split, positions in (("train", order[N // 2 :]), ("test", order[: N // 2])):
        assert found[split].groups is None
        numbers = [int(sample.partition("/")[2]) for sample in found[split].sample_ids]
        assert numbers == sorted(positions.tolist())
    whole = {"train": Pairs(), "test": Pairs()}
    plain, given = (splits(whole, **some) for some in ({}, {"groups": {"train": PAIRED, "test": PAIRED}}))
    # Groups are part of what the data are, and nothing else of them changes.
    assert plain["train"].digest != given["train"].digest
    assert plain["train"].sample_ids == given["train"].sample_ids
    assert given["test"].groups == tuple(PAIRED)


def test_declared_data_take_the_file_of_their_groups(tmp_path):
    assert declared_images({"kind": "digits"}, "d", 0.5, groups="g.csv") == {
        "kind": "digits",
        "groups": "g.csv",
    }
    assert declared_images(tmp_path, "d", 0.5, groups=tmp_path / "g.csv")["groups"] == str(tmp_path / "g.csv")


@pytest.mark.parametrize(
    ("data", "groups", "found"),
    [
        (Pairs(), PAIRED[1:], f"each of {N} images, found {N - 1}"),
        (Pairs(), [None, *PAIRED[1:]], "found None"),
        (Pairs(), [0.5] * N, r"found float 0\.5"),
        (Pairs(), "groups.csv", "found a str"),
        (Pairs(), ["one"] * N, "found one group"),
        (Pairs(), ["most"] * (N - 1) + ["one"], "scenes"),
        ({"train": Pairs(), "test": Pairs()}, PAIRED, "found a list"),
        ({"train": Pairs(), "test": Pairs()}, {"train": PAIRED}, "found the keys train"),
        ({"train": Pairs(), "test": Pairs()}, {"train": PAIRED, "test": PAIRED[1:]}, "split 'test'"),
        ({"kind": "digits"}, PAIRED, "a CSV file"),
    ],
)
def test_groups_that_do_not_fit_are_refused_in_one_line(data, groups, found):
    if found == "scenes":  # one image is enough for a test split
        assert splits(data, groups=groups)["test"].groups == ("one",)
        return
    with pytest.raises(DataError, match=found) as refused:
        declared_images(data, "objects", 0.5, groups=groups)
    assert str(refused.value).count("\n") <= 4


def test_a_run_of_objects_takes_groups_whole(tmp_path):
    options = {
        "models": {"mine": small(0), "other": small(1)},
        "layers": ["layer?"],
        "compare": {"pooled": ["cka"]},
        "certainty": {"permutations": 19},
        "dump": {"row_groups": 4},
        "progress": False,
    }
    run = sp.run(data=Pairs(), groups=np.array(PAIRED), out=tmp_path / "together", **options)
    split = run.store.split("python", "test")
    assert [stop - start for start, stop in split.group_bounds] == [2] * (N // 4)
    found = run.results()
    assert found["reason"].str.contains("no null in closed form").all()
    assert found["effect_size"].isna().all()
    assert (found["p_value"] >= 1 / 20).all()
    assert sp.plan(data=Pairs(), groups=PAIRED, out=tmp_path / "planned", **{
        name: value for name, value in options.items() if name != "progress"
    }).images == {"train": N // 2, "test": N // 2}  # fmt: skip
