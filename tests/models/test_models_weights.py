"""Checkpoints: what is loaded, what is refused, and that nothing in them is ever run."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from stitchpipe.models import (
    OtherWeightsError,
    WeightsError,
    build,
    checkpoint_is_there,
    demand_weights,
    load_weights,
    weights_bytes,
    weights_digest,
)

OPTIONS = {"blocks": (2, 1), "widths": (4, 8), "num_classes": 3}


def saved(network, path):
    """Write a network's weights to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(weights_bytes(network))


def network(seed=0, **changes):
    return build("cifar_resnet", {**OPTIONS, **changes}, seed=seed)


@pytest.fixture
def other():
    return network(seed=1)


def test_safetensors_round_trip(tmp_path, other):
    path = tmp_path / "deep" / "weights.safetensors"
    saved(other, path)
    loaded = network()
    assert weights_digest(loaded) != weights_digest(other)
    load_weights(loaded, path)
    assert weights_digest(loaded) == weights_digest(other)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_published_checkpoint_of_data_parallel_training(tmp_path, other):
    """As public CIFAR ResNets come: a pickled dictionary with a nested state_dict and prefixed keys."""
    path = tmp_path / "resnet.th"
    state = {f"module.{key}": value for key, value in other.state_dict().items() if "num_batches" not in key}
    torch.save({"state_dict": state, "best_prec1": 91.7}, path)
    loaded = network()
    load_weights(loaded, path)
    assert weights_digest(loaded) == weights_digest(other)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state_dict", "net", "model_ema"])
@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "model.", "_orig_mod.backbone."]
)
def test_wrappers_and_prefixes_are_undone(tmp_path, other, wrapper, prefix):
    path = tmp_path / "checkpoint.pt"
    state = {prefix + key: value for key, value in other.state_dict().items()}
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, path)
    loaded = network()
    load_weights(loaded, path)
    assert weights_digest(loaded) == weights_digest(other)


def test_the_weights_themselves_come_before_their_running_average(tmp_path, other):
    path = tmp_path / "checkpoint.pt"
    average = {key: value * 2 for key, value in other.state_dict().items()}
    torch.save({"model_ema": average, "model": other.state_dict(), "loss": torch.tensor(0.1)}, path)
    loaded = network()
    load_weights(loaded, path)
    assert weights_digest(loaded) == weights_digest(other)


def test_a_wrapper_inside_a_wrapper(tmp_path, other):
    torch.save({"model": {"state_dict": other.state_dict(), "step": 3}}, tmp_path / "checkpoint.pt")
    loaded = network()
    load_weights(loaded, tmp_path / "checkpoint.pt")
    assert weights_digest(loaded) == weights_digest(other)


def test_prefixes_that_are_the_network_s_own_stay(tmp_path):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = nn.Linear(2, 3)

    one, loaded = Wrapped(), Wrapped()
    save_file(one.state_dict(), tmp_path / "plain.safetensors")
    save_file(
        {f"module.{key}": value for key, value in one.state_dict().items()}, tmp_path / "more.safetensors"
    )
    for name in ("plain", "more"):
        with torch.no_grad():
            loaded.model.weight.zero_()
        load_weights(loaded, tmp_path / f"{name}.safetensors")
        assert weights_digest(loaded) == weights_digest(one)


def test_a_prefix_of_some_keys_alone_is_not_taken_off(tmp_path, other):
    path = tmp_path / "checkpoint.pt"
    state = {f"model.{key}": value for key, value in other.state_dict().items()}
    torch.save({"state_dict": {**state, "criterion.weight": torch.zeros(3)}}, path)
    with pytest.raises(WeightsError, match=r"unexpected \(model\.conv1\.weight"):
        load_weights(network(), path)


class Canary:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("form", ["torch", "legacy", "pickle"])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, other, form):
    canary, path = tmp_path / "canary", tmp_path / "weights.pt"
    content = {"state_dict": other.state_dict(), "extra": Canary(canary)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "torch")
    loaded = network()
    before = weights_digest(loaded)
    with pytest.raises(WeightsError, match=r"more than tensors|no checkpoint") as refused:
        load_weights(loaded, path)
    assert not canary.exists()
    assert weights_digest(loaded) == before
    assert refused.value.where == str(path)
    torch.load(path, weights_only=False) if form != "pickle" else pickle.loads(path.read_bytes())
    assert canary.exists(), "the canary must be able to sing"


def test_a_whole_pickled_network_is_refused(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "network.pt")
    with pytest.raises(
        WeightsError,
        match=r"more than tensors: torch\.nn\.modules\.linear\.Linear\. Such a file",
    ):
        load_weights(nn.Linear(2, 2), tmp_path / "network.pt")


def test_a_compiled_program_is_refused_unread(tmp_path):
    with pytest.raises(WeightsError, match="compiled program"):
        load_weights(network(), tmp_path / "network.pt2")
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "script.pt")
    with pytest.raises(WeightsError, match="TorchScript"):
        load_weights(nn.Linear(2, 2), tmp_path / "script.pt")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_missing_file(tmp_path, suffix):
    with pytest.raises(WeightsError, match="no such file"):
        load_weights(network(), tmp_path / f"absent{suffix}")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".legacy.pt"])
def test_damaged_files_are_one_clear_message(tmp_path, other, suffix):
    whole = tmp_path / f"whole{suffix}"
    if suffix == ".safetensors":
        saved(other, whole)
    else:
        torch.save(other.state_dict(), whole, _use_new_zipfile_serialization=suffix == ".pt")
    content = whole.read_bytes()
    loaded = network()
    before = weights_digest(loaded)
    cut = [content[: len(content) * part // 8] for part in range(8)]
    noise = [b"hello", b"\x80\x02", b"PK\x03\x04" + content[4:200], b"\0" * 64, content[:3] + content[40:]]
    for number, damaged in enumerate([*cut, *noise]):
        path = tmp_path / f"damaged-{number}{suffix}"
        path.write_bytes(damaged)
        with pytest.raises(WeightsError) as refused:
            load_weights(loaded, path)
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)
    assert weights_digest(loaded) == before


def test_another_architecture_is_one_clear_message_and_loads_nothing(tmp_path, other):
    path = tmp_path / "weights.safetensors"
    state = other.state_dict()
    state["linear.weight"] = torch.zeros(7, 8)
    state["head.bias"] = state.pop("conv1.weight").clone()
    save_file(state, path)
    loaded = network()
    before = weights_digest(loaded)
    with pytest.raises(WeightsError) as refused:
        load_weights(loaded, path)
    message = str(refused.value)
    assert "1 missing (conv1.weight)" in message
    assert "1 unexpected (head.bias)" in message
    assert "1 of another shape (linear.weight (7, 8) for (3, 8))" in message
    assert weights_digest(loaded) == before


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(3)])
def test_a_file_without_weights(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="missing"):
        load_weights(network(), tmp_path / "other.pt")


def test_the_digest_tells_values_names_shapes_and_dtypes_apart():
    class Holder(nn.Module):
        def __init__(self, name, value):
            super().__init__()
            self.register_buffer(name, value)

    zeros = torch.zeros(4)
    variants = [
        Holder("a", zeros),
        Holder("b", zeros),
        Holder("a", zeros.reshape(2, 2)),
        Holder("a", zeros.double()),
        Holder("a", torch.tensor([0.0, 0.0, 0.0, 1e-45])),
        Holder("a", torch.tensor(0.0)),
    ]
    assert len({weights_digest(variant) for variant in variants}) == len(variants)
    assert weights_digest(Holder("a", torch.zeros(8)[::2])) == weights_digest(variants[0])


def test_the_digest_does_not_depend_on_the_memory_format(other):
    digest = weights_digest(other)
    assert weights_digest(other.to(memory_format=torch.channels_last)) == digest


def test_shared_tensors_are_saved(tmp_path):
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    saved(tied, tmp_path / "tied.safetensors")
    loaded = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    load_weights(loaded, tmp_path / "tied.safetensors")
    assert torch.equal(loaded[1].weight, tied[0].weight)


@pytest.mark.parametrize(
    ("blocks", "text"),
    [((2, 2), r"found 12 unexpected \(layer2\.1"), ((1, 1), r"found 10 missing \(layer1\.1")],
)
def test_a_deeper_and_a_shallower_network_do_not_fit(tmp_path, blocks, text):
    saved(network(blocks=blocks), tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError, match=text):
        load_weights(network(), tmp_path / "weights.safetensors")


def test_weights_are_held_against_the_digest_that_was_recorded(tmp_path, other):
    path = tmp_path / "weights.safetensors"
    saved(other, path)
    loaded = network()
    load_weights(loaded, path, expected=weights_digest(other))
    assert weights_digest(loaded) == weights_digest(other)
    replaced = network(seed=2)
    saved(replaced, path)
    with pytest.raises(OtherWeightsError) as refused:
        load_weights(loaded, path, expected=weights_digest(other))
    assert (refused.value.recorded, refused.value.read) == (weights_digest(other), weights_digest(replaced))
    assert weights_digest(other) in str(refused.value)
    assert weights_digest(replaced) in str(refused.value)
    assert refused.value.where == str(path)
    assert weights_digest(loaded) == weights_digest(other), "nothing was loaded"
    again = pickle.loads(pickle.dumps(refused.value))
    assert (str(again), again.recorded) == (str(refused.value), refused.value.recorded)


def test_a_digest_counts_what_a_checkpoint_leaves_out(tmp_path, other):
    state = {key: value for key, value in other.state_dict().items() if "num_batches_tracked" not in key}
    save_file(state, tmp_path / "weights.safetensors")
    load_weights(network(), tmp_path / "weights.safetensors", expected=weights_digest(other))


def test_every_flipped_bit_of_a_checkpoint_is_found(tmp_path, other):
    path = tmp_path / "weights.safetensors"
    saved(other, path)
    whole, expected = path.read_bytes(), weights_digest(other)
    loaded, silent = network(), 0
    generator = np.random.default_rng(0)
    for position in generator.integers(0, len(whole), size=100):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << int(generator.integers(8))
        path.write_bytes(flipped)
        with pytest.raises(WeightsError):
            load_weights(loaded, path, expected=expected)
        try:
            load_weights(network(), path)
            silent += 1
        except WeightsError:
            pass
    assert silent > 50, "without the digest most flips load: what this test is about"
    path.write_bytes(whole)
    load_weights(loaded, path, expected=expected)


def test_a_network_of_any_origin_is_held_against_a_digest(other):
    demand_weights(other, weights_digest(other), "model 'a'")
    with pytest.raises(
        OtherWeightsError, match=r"model 'a' \(published\): expected the weights that were recorded"
    ):
        demand_weights(network(seed=2), weights_digest(other), "model 'a' (published)")


def test_a_checkpoint_may_lie_behind_a_url(tmp_path):
    source, target = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    (tmp_path / "a.safetensors").write_bytes(weights_bytes(source))
    torch.save(source.state_dict(), tmp_path / "b.pt")
    for name in ("a.safetensors", "b.pt"):
        url = f"file://{tmp_path}/{name}"
        assert checkpoint_is_there(url)
        load_weights(target, url)
        assert weights_digest(target) == weights_digest(source)
    assert not checkpoint_is_there(f"file://{tmp_path}/c.pt")
    with pytest.raises(WeightsError, match="no such object"):
        load_weights(target, f"file://{tmp_path}/c.pt")
