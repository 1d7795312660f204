import numpy as np
import pytest

from storage import NotFoundError, open_store
from storage.commits.retiring import RetiredLayer, latest_of, retire, retired_since, retirements
from storage.commits.sealed_layer_sets import manifests
from tests.storage.small_dump import SHAPES, address, begin, blocks_of, dumped, finish, truth


@pytest.fixture
def store(tmp_path):
    return dumped(tmp_path / "s")


def place_and_dump(store):
    return store._place, begin(store).identity.key


def take_out(store, layers, kept=(), reason="damaged"):
    place, dump = place_and_dump(store)
    (manifest,) = [m for m in manifests(place, dump) if set(layers) <= set(m.layers)]
    return retire(
        place, dump, {name: RetiredLayer(manifest.layer_set, kept) for name in layers}, reason=reason
    )


def written(dump):
    """Finish a dump and return the row groups it computed."""
    computed = dump.missing_row_groups()
    finish(dump)
    return computed


def test_a_retired_layer_is_out_of_sight_and_the_others_stay(store):
    assert take_out(store, ["logits"]).number == 0
    assert {found.address.layer for found in store.representations()} == set(SHAPES) - {"logits"}
    with pytest.raises(NotFoundError, match="took it out of sight") as caught:
        store.representation(address("logits"))
    assert "only these row groups" in caught.value.remedy
    assert store.verify() == []


@pytest.mark.parametrize("kept", [(), (0, 2), (0, 1, 2, 3)])
def test_only_row_groups_that_were_not_kept_are_computed(store, kept):
    take_out(store, ["logits"], kept)
    dump = begin(store)
    assert set(dump.layers) == {"logits"}
    assert written(dump) == sorted(set(range(4)) - set(kept))
    np.testing.assert_array_equal(
        store.representation(address("logits")).read_rows(slice(None)), truth(store, "logits")
    )
    assert store.verify() == []
    assert begin(store).sealed


def test_two_layers_keep_what_both_keep(store):
    place, dump = place_and_dump(store)
    (manifest,) = manifests(place, dump)
    layers = {
        "logits": RetiredLayer(manifest.layer_set, (0, 1)),
        "blocks.1": RetiredLayer(manifest.layer_set, (1, 2, 3)),
    }
    retire(place, dump, layers, reason="damaged")
    assert written(begin(store)) == [0, 2, 3]
    assert store.verify() == []


def test_a_layer_asked_for_anew_beside_a_retired_one_computes_all(store):
    finish(begin(store, ["logits"], identity={"weights": "w1"}))
    place = store._place
    dump = begin(store, ["logits"], identity={"weights": "w1"}).identity.key
    (manifest,) = manifests(place, dump)
    retire(place, dump, {"logits": RetiredLayer(manifest.layer_set, (0, 1, 2))}, reason="damaged")
    wider = begin(store, ["logits", "blocks.1"], identity={"weights": "w1"})
    assert written(wider) == [0, 1, 2, 3]
    assert store.verify() == []


def test_a_layer_is_retired_and_dumped_again_many_times(store):
    for round_ in range(4):
        take_out(store, ["logits"], (round_,))
        assert written(begin(store)) == sorted({0, 1, 2, 3} - {round_})
        take_out(store, ["layer1.0"], ())
        assert written(begin(store)) == [0, 1, 2, 3]
    place, dump = place_and_dump(store)
    assert len(retirements(place, dump)) == 8
    assert store.verify() == []
    for name in SHAPES:
        np.testing.assert_array_equal(
            store.representation(address(name)).read_rows(slice(None)), truth(store, name)
        )


def test_a_pass_begun_before_a_retirement_does_not_bring_its_layers_back(tmp_path):
    store = dumped(tmp_path / "s", layers=["layer1.0"])
    before = begin(store, ["logits"])
    for group in range(4):
        before.write(group, blocks_of(before, group))
    place, dump = place_and_dump(store)
    retire(place, dump, {"logits": RetiredLayer("none", ())}, reason="evicted")
    before.seal()
    assert [found.address.layer for found in store.representations()] == ["layer1.0"]
    finish(begin(store, ["logits"]))
    assert len(store.representations()) == 2
    assert store.verify() == []


def test_history_counts_generations_from_the_records(store):
    place, dump = place_and_dump(store)
    assert retirements(place, dump) == ()
    first = take_out(store, ["logits"], reason="evicted")
    second = take_out(store, ["layer1.0"])
    history = retirements(place, dump)
    assert history == (first, second)
    assert [retired_since(history, name) for name in ("logits", "layer1.0", "blocks.1")] == [1, 2, 0]
    assert latest_of(history, "logits") == first
    assert latest_of(history, "blocks.1") is None
    assert first.day.startswith("20")


def test_a_lost_retirement_is_a_problem_that_a_repair_mends(store):
    take_out(store, ["logits"])
    finish(begin(store))
    take_out(store, ["logits"])
    finish(begin(store))
    place, dump = place_and_dump(store)
    place.remove(f"{dump}/commits/retired-00000.json")
    fresh = open_store(store.url, mode="a")
    assert any("retirements" in problem.expected for problem in fresh.verify())
    assert fresh.repair().redo == ()
    assert fresh.verify() == []
    assert len(retirements(place, dump)) == 2
    assert len(fresh.representations()) == len(SHAPES)
    np.testing.assert_array_equal(
        fresh.representation(address("logits")).read_rows(slice(None)), truth(fresh, "logits")
    )
