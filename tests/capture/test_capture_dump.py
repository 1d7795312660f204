"""Dumps: the store holds what the network computes, whatever happened on the way, or nothing."""

from __future__ import annotations

import dataclasses
import importlib
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import storage
from stitchpipe.capture import CaptureError, Precision, Settings, StoredView, dump, identity, provenance
from stitchpipe.data import ImageSplit, load_digits_splits
from stitchpipe.graph import LayerError
from stitchpipe.models import build
from storage import Address, ConflictError, NonFiniteError, NotFoundError, RangeError, open_store
from storage.place.staging import StagedFile

LAYERS = ("layer1.0", "layer2.0")
OPTIONS = {"blocks": (1, 1), "widths": (4, 6), "in_channels": 1}
COUNT, GROUPS = 30, 3


def split_of(images, **changes):
    labels = np.arange(len(images)) % 10
    fields = {
        "dataset": "part",
        "name": "test",
        "fetch": lambda positions: images[torch.as_tensor(positions, dtype=torch.long)],
        "labels": labels,
        "sample_ids": tuple(f"id-{number}" for number in range(len(images))),
        "class_names": tuple("0123456789"),
        "digest": "0" * 64,
        "preprocessing": {"scale": "1/16"},
    }
    return ImageSplit(**{**fields, **changes})


@pytest.fixture(scope="module")
def digits():
    return load_digits_splits()["test"].batch(range(COUNT))


@pytest.fixture
def network():
    return build("cifar_resnet", OPTIONS, seed=0)


@pytest.fixture
def store(tmp_path):
    return opened(tmp_path / "store.zarr")


def opened(path, count=COUNT):
    store = open_store(path, mode="a")
    store.add_split(
        "part",
        "test",
        [f"id-{number}" for number in range(count)],
        labels=np.arange(count) % 10,
        class_names=list("0123456789"),
        row_groups=GROUPS,
        provenance={},
    )
    return store


def run(network, images, store, **options):
    kept = {name: options.pop(name) for name in list(options) if name in Settings.__slots__}
    chosen = {"model": "A", "architecture": "cifar", "layers": LAYERS, **options}
    settings = Settings(**{"batch_size": 5, **kept})
    images = images if isinstance(images, ImageSplit) else split_of(images)
    return dump(network, images, store, settings=settings, **chosen)


def stored(store, layer, **options):
    found = store.representation(Address("part", "test", "A", layer), **options)
    return np.concatenate([found.read(number) for number in range(len(found.row_groups))]), found


def test_the_store_holds_every_layer_and_the_logits_of_every_image(network, digits, store):
    record = run(network, digits, store)
    assert (record.layers, record.n_samples, record.row_groups, record.row_groups_written) == (
        LAYERS,
        COUNT,
        GROUPS,
        GROUPS,
    )
    with torch.no_grad():
        stem = F.relu(network.bn1(network.conv1(digits)))
        first = network.layer1(stem)
        expected = {"layer1.0": first, "layer2.0": network.layer2(first), "logits": network(digits)}
    assert {item.address.layer for item in store.representations()} == set(expected)
    for layer, values in expected.items():
        got, found = stored(store, layer)
        assert found.fingerprint == record.fingerprint
        assert got.dtype == np.float32
        in_order = np.empty_like(got)
        in_order[found.split.original_index] = got
        np.testing.assert_allclose(in_order, values.numpy(), rtol=1e-4, atol=1e-5)
        wanted = values.numpy()[found.split.original_index]
        assert [f"id-{k}" for k in found.split.original_index] == list(found.split.sample_ids)
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_finished_dump_is_skipped(network, digits, store):
    first = run(network, digits, store)
    again = run(network, digits, store)
    assert again == dataclasses.replace(first, row_groups_written=0)


@pytest.mark.parametrize("stop_at", [0, 2])
def test_an_interrupted_dump_goes_on_and_ends_with_the_same_values(network, digits, tmp_path, stop_at):
    undisturbed, disturbed = opened(tmp_path / "one.zarr"), opened(tmp_path / "two.zarr")
    run(network, digits, undisturbed)

    calls = []

    def stop(done, _total):
        calls.append(done)
        if len(calls) > stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(network, digits, disturbed, on_row_group=stop, queue_bytes=1)
    assert disturbed.representations() == []
    written = len(list(Path(disturbed.url).rglob("row-group-*.json")))
    assert calls[-1] <= written <= stop_at
    progress = []
    record = run(network, digits, disturbed, on_row_group=lambda *numbers: progress.append(numbers))
    assert record.row_groups_written == GROUPS - written
    assert progress[0] == (written, GROUPS)
    assert progress[-1] == (GROUPS, GROUPS)
    assert [done for done, _ in progress] == sorted(done for done, _ in progress)
    for layer in (*LAYERS, "logits"):
        got, one = stored(disturbed, layer)
        expected, other = stored(undisturbed, layer)
        assert np.array_equal(got, expected)
        assert one.digest == other.digest


def test_more_layers_join_a_sealed_dump(network, digits, store):
    first = run(network, digits, store, layers=("layer2.0",))
    before, _ = stored(store, "layer2.0")
    second = run(network, digits, store)
    assert second.fingerprint == first.fingerprint
    assert second.row_groups_written == GROUPS
    assert np.array_equal(stored(store, "layer2.0")[0], before)
    assert stored(store, "layer1.0")[0].shape == (COUNT, 4, 8, 8)


def test_a_network_in_training_mode_is_dumped_in_eval_mode(network, digits, tmp_path):
    one, other = opened(tmp_path / "one.zarr"), opened(tmp_path / "two.zarr")
    run(network, digits, one)
    record = run(network.train(), digits, other)
    assert record.fingerprint == stored(one, "logits")[1].fingerprint
    assert np.array_equal(stored(one, "logits")[0], stored(other, "logits")[0])


def test_a_changed_weight_is_another_dump_under_the_same_name(network, digits, store):
    first = run(network, digits, store)
    with torch.no_grad():
        network.linear.bias[0] += 1e-6
    second = run(network, digits, store)
    assert second.fingerprint != first.fingerprint
    assert second.row_groups_written == GROUPS
    old, _ = stored(store, "logits", fingerprint=first.fingerprint)
    new, _ = stored(store, "logits", fingerprint=second.fingerprint)
    assert (old[:, 0] != new[:, 0]).any()
    assert np.array_equal(old[:, 1:], new[:, 1:])


def test_what_makes_the_values_is_identity(network, digits):
    def identity_of(images=None, *, net=network, architecture="cifar", **settings):
        images = split_of(digits) if images is None else images
        chosen = Settings(**{"batch_size": 5, **settings})
        return json.dumps(identity(net, architecture, images, settings=chosen), sort_keys=True)

    changed = build("cifar_resnet", OPTIONS, seed=0)
    changed.bn1.running_mean[0] += 1e-6
    variants = [
        identity_of(),
        identity_of(net=changed),
        identity_of(split_of(digits, digest="1" * 64)),
        identity_of(split_of(digits, preprocessing={"scale": "1/255"})),
        identity_of(architecture="other"),
        identity_of(dtype="float16"),
        identity_of(batch_size=6),
        identity_of(view=StoredView("pooled")),
        identity_of(view=StoredView("positions", count=3)),
        identity_of(view=StoredView("positions", count=4)),
        identity_of(view=StoredView("positions", count=3, seed=1)),
    ]
    assert len(set(variants)) == len(variants)
    assert identity_of(net=build("cifar_resnet", OPTIONS, seed=0)) == variants[0]


def test_provenance_says_what_made_the_values_and_is_no_identity(network, digits, store):
    run(network, digits, store)
    facts = provenance(torch.device("cpu"))
    assert facts["torch"] == torch.__version__
    assert facts["torch_threads"] == str(torch.get_num_threads())
    assert facts["device"] == "cpu"
    assert not set(facts) & set(identity(network, "x", split_of(digits), settings=Settings()))
    assert facts["torch"] in str(stored(store, "logits")[1].provenance)


def test_forward_passes_are_in_full_float32_and_the_settings_come_back(network, digits, store):
    def settings():
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    before, seen = settings(), []
    torch.set_float32_matmul_precision("high")
    network.linear.register_forward_hook(lambda *_: seen.append(settings()))
    try:
        run(network, digits, store)
        assert set(seen) == {("highest", False)}
        assert settings() == ("high", before[1])
    finally:
        torch.set_float32_matmul_precision(before[0])
    recorded = str(stored(store, "logits")[1].provenance)
    assert "'float32_matmul_precision': 'highest'" in recorded
    assert "'tf32': 'False'" in recorded


class Noisy(nn.Module):
    """Dropout by a function, which eval() does not reach."""

    def forward(self, x):
        return F.dropout(x, 0.5, training=True)


class Jitter(nn.Module):
    """Noise of a millionth, which is below the tolerance, or of a thousandth, which is not."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x * (1 + self.size * torch.rand_like(x))


def with_layer(layer):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), layer, nn.Flatten(), nn.Linear(144, 3))


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Noisy(), "two forward passes.*Dropout"),
        (Jitter(1e-3), "two forward passes"),
        (nn.BatchNorm2d(4, track_running_stats=False), "other images of the batch.*Batch normalisation"),
    ],
    ids=["dropout", "noise", "batch norm"],
)
@pytest.mark.parametrize("batch_size", [1, 8])
def test_a_network_that_answers_differently_is_refused_before_anything_is_written(
    digits, store, layer, text, batch_size
):
    with pytest.raises(CaptureError, match=text) as refused:
        run(with_layer(layer), digits, store, layers=("1",), batch_size=batch_size)
    assert refused.value.where == "layer '1'"
    assert store.representations() == []


def test_differences_within_the_tolerance_are_let_through(digits, store):
    assert run(with_layer(Jitter(1e-7)), digits, store, layers=("1",)).row_groups_written == GROUPS


def test_activations_that_are_not_finite_are_refused(digits, store):
    images = digits.clone()
    images[13] = float("nan")
    with pytest.raises(NonFiniteError, match="id-13"):
        run(with_layer(nn.ReLU()), images, store, layers=("1",))
    assert store.representations() == []


def test_activations_beyond_float16_are_refused_not_clipped(network, digits, store):
    with torch.no_grad():
        network.linear.bias[3] = 7e4
    with pytest.raises(RangeError, match="float32"):
        run(network, digits, store, dtype="float16")
    assert store.representations() == []


def test_float16_storage_rounds_the_float32_values(network, digits, tmp_path):
    wide, narrow = opened(tmp_path / "one.zarr"), opened(tmp_path / "two.zarr")
    run(network, digits, wide)
    run(network, digits, narrow, dtype="float16")
    for layer in LAYERS:
        assert np.array_equal(stored(narrow, layer)[0], stored(wide, layer)[0].astype(np.float16))


@pytest.mark.parametrize("change", ["permuted", "fewer", "renamed"])
def test_images_other_than_those_of_the_split_are_refused(network, digits, store, change):
    ids = [f"id-{number}" for number in range(COUNT)]
    if change == "permuted":
        ids[3], ids[4] = ids[4], ids[3]
    elif change == "fewer":
        ids = ids[:-1]
    else:
        ids[20] = "other"
    found = {"permuted": "'id-4' at position 3", "fewer": "29 ids", "renamed": "'other' at position 20"}[
        change
    ]
    images = split_of(digits[: len(ids)], sample_ids=tuple(ids))
    with pytest.raises(CaptureError, match=f"samples that the store holds.*found {found}"):
        run(network, images, store)


def test_a_split_the_store_does_not_know(network, digits, store):
    with pytest.raises(NotFoundError):
        run(network, split_of(digits, name="validation"), store)


def test_an_unknown_layer_is_refused_before_anything_is_written(network, digits, store):
    with pytest.raises(LayerError, match=r"Did you mean .*layer1\.0"):
        run(network, digits, store, layers=("layer1.O",))
    assert store.representations() == []


def test_a_layer_of_another_shape_under_the_same_identity_is_refused(network, digits, store):
    run(network, digits, store)
    larger = F.interpolate(digits, size=(16, 16))
    with pytest.raises(ConflictError):
        run(network, larger, store)


def test_parts_of_a_dump_end_in_the_bytes_of_one_process(network, digits, tmp_path):
    whole, divided = opened(tmp_path / "one.zarr"), opened(tmp_path / "two.zarr")
    run(network, digits, whole)
    first = run(network, digits, divided, part=(1, 2))
    assert not first.sealed
    assert divided.representations() == []
    second = run(network, digits, divided, part=(0, 2))
    assert second.sealed
    assert first.row_groups_written + second.row_groups_written == GROUPS
    for layer in (*LAYERS, "logits"):
        assert stored(divided, layer)[1].digest == stored(whole, layer)[1].digest


def test_a_failure_while_writing_ends_the_forward_pass(network, digits, store, monkeypatch):
    def full(self, data):
        raise storage.WriteError(path="x", n_bytes=len(data), cause=OSError(28, "No space left on device"))

    monkeypatch.setattr(StagedFile, "write", full)
    with pytest.raises(storage.WriteError, match="No space"):
        run(network, digits, store, queue_bytes=1)
    assert [thread for thread in threading.enumerate() if thread.name == "write-behind"] == []
    monkeypatch.undo()
    assert run(network, digits, store).row_groups_written == GROUPS


@pytest.mark.parametrize("writers", [1, 3])
@pytest.mark.parametrize("queue_bytes", [1, 1 << 30])
def test_queue_and_writers_change_no_byte(network, digits, tmp_path, writers, queue_bytes):
    one, other = opened(tmp_path / "one.zarr"), opened(tmp_path / "two.zarr")
    run(network, digits, one)
    run(network, digits, other, writers=writers, queue_bytes=queue_bytes)
    assert stored(one, "layer1.0")[1].digest == stored(other, "layer1.0")[1].digest


def test_a_pooled_dump_holds_the_means(network, digits, tmp_path):
    full, pooled = opened(tmp_path / "one.zarr"), opened(tmp_path / "two.zarr")
    run(network, digits, full)
    run(network, digits, pooled, view=StoredView("pooled"))
    for layer in LAYERS:
        wanted = stored(full, layer)[0].mean((2, 3))
        np.testing.assert_allclose(stored(pooled, layer)[0], wanted, rtol=1e-5, atol=1e-6)
    assert np.array_equal(stored(pooled, "logits")[0], stored(full, "logits")[0])
    assert stored(pooled, "layer1.0")[1].identity["view"] == {"view": "pooled"}


def test_sampled_positions_are_the_same_places_of_every_layer(network, digits, tmp_path):
    view = StoredView("positions", count=5, seed=3)
    full, sampled = opened(tmp_path / "one.zarr"), opened(tmp_path / "two.zarr")
    run(network, digits, full)
    run(network, digits, sampled, view=view)
    points = np.random.default_rng(3).random((5, 2))
    for layer in LAYERS:
        whole, got = stored(full, layer)[0], stored(sampled, layer)[0]
        assert got.shape == (COUNT, 5, whole.shape[1])
        for k, (y, x) in enumerate(points):
            cell = whole[:, :, int(y * whole.shape[2]), int(x * whole.shape[3])]
            assert np.array_equal(got[:, k], cell)
    assert stored(sampled, "layer1.0")[1].identity["view"] == {"view": "positions", "count": 5, "seed": 3}


def test_tokens_without_a_place_are_no_positions():
    cells = StoredView("positions", count=200).cells((1 + 14 * 14, 8))
    assert cells.min() >= 1
    assert cells.max() <= 14 * 14
    assert len(set(cells.tolist())) > 100


def test_another_precision_takes_a_sealed_dump_over_after_comparing_one_row_group(network, digits, store):
    first = run(network, digits, store)
    assert not first.reprobed
    assert not run(network, digits, store).reprobed
    again = run(network, digits, store, precision=Precision(autocast="bfloat16"))
    assert (again.reprobed, again.row_groups_written, again.fingerprint) == (True, 0, first.fingerprint)


def test_another_version_that_gives_other_values_is_refused(network, digits, store, monkeypatch):
    run(network, digits, store)
    module = importlib.import_module("stitchpipe.capture.dump")
    monkeypatch.setattr(module, "provenance", lambda *_: {"torch": "99.0"})
    original = network.conv1.forward
    network.conv1.forward = lambda images: 1.1 * original(images)
    with pytest.raises(CaptureError, match=r"by more than 1 %.*torch: .* → 99"):
        run(network, digits, store)


def test_autocast_is_recorded(network, digits, store):
    run(network, digits, store, precision=Precision(autocast="bfloat16"))
    got, found = stored(store, "layer1.0")
    assert found.provenance["autocast"] == "bfloat16"
    assert got.dtype == np.float32
