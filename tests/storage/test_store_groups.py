import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import ConflictError, LayerSpec, LayoutError, SampleIdError, open_store, plan_split

IDS = [f"image-{number:02d}" for number in range(23)]
GROUPS = [f"scene-{number % 5}" if number < 20 else f"lone-{number}" for number in range(23)]


def added(path, *, groups=GROUPS, ids=IDS, row_groups=4):
    store = open_store(path, mode="a")
    return store, store.add_split("scenes", "test", ids, groups=groups, row_groups=row_groups)


@given(
    named=st.lists(
        st.tuples(st.text("abcdef", min_size=1, max_size=4), st.sampled_from("xyz")), min_size=1, unique=True
    ),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_a_group_is_one_run_whatever_the_input_order(named, data):
    shuffled = data.draw(st.permutations(named))
    plans = []
    for order in (named, shuffled):
        plan = plan_split(["".join(one) for one in order], groups=[group for _, group in order], row_groups=3)
        stored = [order[i] for i in plan.order]
        plans.append((stored, plan.bounds, plan.group_bounds))
        runs = [{group for _, group in stored[start:stop]} for start, stop in plan.group_bounds]
        assert all(len(run) == 1 for run in runs)
        assert len(runs) == len({group for _, group in named})
        assert [start for start, _ in plan.group_bounds] == [0, *(stop for _, stop in plan.group_bounds[:-1])]
    assert plans[0] == plans[1]


def test_groups_named_as_their_only_sample_change_nothing():
    plain, grouped = plan_split(IDS), plan_split(IDS, groups=IDS)
    assert plain.order.tolist() == grouped.order.tolist()
    assert plain.bounds == grouped.bounds
    assert plain.group_bounds is None
    assert grouped.group_bounds == tuple(pairwise(range(24)))


@pytest.mark.parametrize(
    ("groups", "found"), [(GROUPS[:-1], "22 groups"), (["", *GROUPS[1:]], "''"), ([3, *GROUPS[1:]], "3")]
)
def test_each_sample_has_one_group(groups, found):
    with pytest.raises(SampleIdError, match=f"one non-empty text for each of the 23 samples, found {found}"):
        plan_split(IDS, groups=groups)


def test_groups_come_back_in_stored_order(tmp_path):
    store, split = added(tmp_path / "s")
    again = open_store(store.url).split("scenes", "test")
    of_sample = dict(zip(IDS, GROUPS, strict=True))
    assert again.groups == split.groups == tuple(of_sample[sample] for sample in again.sample_ids)
    assert sorted(stop - start for start, stop in again.group_bounds) == [1, 1, 1, 4, 4, 4, 4, 4]
    assert again.group_digest == split.group_digest
    assert store.add_split("scenes", "test", IDS, groups=GROUPS, row_groups=4).groups == split.groups


def test_without_groups_nothing_speaks_of_them(tmp_path):
    store, split = added(tmp_path / "s", groups=None)
    home = Path(store.url) / "scenes" / "test"
    assert (split.groups, split.group_bounds, split.group_digest) == (None, None, None)
    assert not (home / "group").exists()
    assert "group_digest" not in json.loads((home / "zarr.json").read_bytes())["attributes"]
    assert '"groups"' not in (home / "commits" / "split.json").read_text()


@pytest.mark.parametrize(("first", "second"), [(IDS, None), (None, IDS), (GROUPS, GROUPS[::-1])])
def test_other_groups_are_another_split(tmp_path, first, second):
    added(tmp_path / "s", groups=first)
    with pytest.raises(ConflictError, match="groups"):
        added(tmp_path / "s", groups=second)


def dumped(path):
    store, split = added(path)
    values = np.random.default_rng(0).standard_normal((23, 5)).astype("float32")
    dump = store.begin_dump(
        dataset="scenes",
        split="test",
        model="net",
        layers={"a": LayerSpec((5,), "float32")},
        identity={"weights": ""},
        provenance={},
    )
    for number, (start, stop) in enumerate(split.row_groups):
        dump.write(number, {"a": values[split.original_index[start:stop]]})
    dump.seal()
    [sealed] = store.representations()
    return store, store.representation(sealed.address), values[split.original_index]


def test_a_group_that_lies_in_two_row_groups_is_read_in_parts(tmp_path):
    _, representation, stored = dumped(tmp_path / "s")
    ends = {stop for _, stop in representation.row_groups}
    assert any(start < end < stop for start, stop in representation.group_bounds for end in ends)
    for number, (start, stop) in enumerate(representation.row_groups):
        for first in range(start, stop + 1):
            for last in range(first, stop + 1):
                blocks = list(representation.blocks(number, 2, rows=(first, last)))
                read = np.concatenate([np.empty((0, 5), "float32"), *blocks])
                np.testing.assert_array_equal(read, stored[first:last])
    with pytest.raises(LayoutError, match="those of row group 1"):
        representation.blocks(1, 2, rows=(0, 7))


def test_damage_to_groups_is_found_and_repaired(tmp_path):
    store, representation, _ = dumped(tmp_path / "s")
    groups = representation.split.groups
    assert store.verify() == []
    home = Path(store.url) / "scenes" / "test"
    array, record = home / "group" / "c" / "0", home / "commits" / "split.json"
    data = array.read_bytes()
    array.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    assert any("group" in str(problem.file) for problem in store.verify())
    store.repair()
    assert array.read_bytes() == data
    record.unlink()
    assert open_store(store.url, mode="a").repair().restored
    assert open_store(store.url).split("scenes", "test").groups == groups
    assert store.verify() == []


def test_a_split_is_not_rebuilt_without_its_groups(tmp_path):
    store, *_ = dumped(tmp_path / "s")
    home = Path(store.url) / "scenes" / "test"
    (home / "commits" / "split.json").unlink()
    for file in (home / "group").rglob("*"):
        if file.is_file():
            file.unlink()
    assert open_store(store.url, mode="a").repair().left
