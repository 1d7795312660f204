"""Which files are read as checkpoints, under whatever name, and what is said of the others."""

from __future__ import annotations

import gzip
import json
import pickle
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from stitchpipe.models import WeightsError, load_weights, shards_of, weights_bytes, weights_digest


class Caller:
    """Unpickling it would call something."""

    def __reduce__(self):
        return print, ("called",)


def linear(value=1.0):
    network = nn.Linear(2, 3)
    nn.init.constant_(network.weight, value)
    return network


def loads(path, network=None):
    """Return whether a file gives a network the weights of `linear()`."""
    loaded = nn.Linear(2, 3) if network is None else network
    load_weights(loaded, path)
    return bool((loaded.weight == 1).all())


def refusal(path):
    network = nn.Linear(2, 3)
    before = weights_digest(network)
    with pytest.raises(WeightsError) as refused:
        load_weights(network, path)
    assert weights_digest(network) == before
    assert "\n" not in str(refused.value)
    assert str(path) in refused.value.where or str(path.parent) in refused.value.where
    return refused.value


def index(folder, files, name="model.safetensors.index.json"):
    path = folder / name
    path.write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return path


@pytest.mark.parametrize("name", ["a.safetensors", "a.SAFETENSORS", "a.pt", "a.bin", "a"])
def test_safetensors_are_read_under_any_name(tmp_path, name):
    (tmp_path / name).write_bytes(weights_bytes(linear()))
    assert loads(tmp_path / name)


@pytest.mark.parametrize("name", ["a.PT", "a.ckpt", "a"])
def test_torch_files_are_read_under_any_name(tmp_path, name):
    torch.save(linear().state_dict(), tmp_path / name)
    assert loads(tmp_path / name)


def test_sharded_safetensors_are_read_by_their_index(tmp_path):
    state = linear().state_dict()
    save_file({"weight": state["weight"]}, tmp_path / "one.safetensors")
    save_file({"bias": state["bias"], "other": torch.zeros(1)}, tmp_path / "two.safetensors")
    path = index(tmp_path, {"weight": "one.safetensors", "bias": "two.safetensors"})
    assert loads(path)
    assert shards_of(path) == [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    assert loads(f"file://{path}")
    (tmp_path / "two.safetensors").unlink()
    assert "no such file" in refusal(path).found


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"weight": "../one.safetensors"}, "no name of a file beside it"),
        ({"weight": "/etc/passwd"}, "no name of a file beside it"),
        ({"weight": "model.safetensors.index.json"}, "no name of a file beside it"),
        ({"missing": "one.safetensors"}, "no tensor missing"),
        ([1], "no index of sharded"),
        (None, "no index of sharded"),
    ],
)
def test_an_index_that_leads_astray(tmp_path, files, found):
    save_file({"weight": torch.zeros(1)}, tmp_path / "one.safetensors")
    assert found in refusal(index(tmp_path, files)).found


def test_scalars_of_numpy_are_harmless(tmp_path):
    extra = {"best_acc": np.float64(0.9), "epoch": np.int64(3), "f32": np.float32(1), "is_best": np.bool_(1)}
    torch.save({"state_dict": linear().state_dict(), **extra}, tmp_path / "a.pt")
    assert loads(tmp_path / "a.pt")


@pytest.mark.parametrize("form", ["torch", "legacy", *range(6)])
def test_a_pickle_that_calls_something_is_named_with_what_it_calls(tmp_path, form, capsys):
    content, path = {"state_dict": linear().state_dict(), "extra": Caller()}, tmp_path / "a.pt"
    if isinstance(form, int):
        path.write_bytes(pickle.dumps({"extra": Caller()}, protocol=form))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "torch")
    refused = refusal(path)
    assert refused.found.endswith("more than tensors: builtins.print")
    assert "can run code" in refused.remedy
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (gzip.compress(b"weights", mtime=0), "gzip-compressed"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!doctype html>", "HTML"),
        (b"{}", "no index of sharded"),
        (b"", "no safetensors"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_other_files_are_called_what_they_are(tmp_path, content, found, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    said = refusal(path)
    assert found in said.found or (suffix == ".safetensors") != (found == "no safetensors")
    assert "pickle" not in said.found


def test_an_archive_of_numpy_and_a_folder(tmp_path):
    np.savez(tmp_path / "a.pt", weight=np.ones(3))
    (tmp_path / "a.pt.npz").rename(tmp_path / "a.pt")
    assert "NumPy" in refusal(tmp_path / "a.pt").found
    (tmp_path / "folder.pt").mkdir()
    assert refusal(tmp_path / "folder.pt").found == "a folder"


@pytest.mark.parametrize(
    ("weight", "found"),
    [
        (torch.ones(3, 2, dtype=torch.complex64), "complex numbers"),
        (torch.full((3, 2), 2**24 + 1), "torch.int64 that torch.float32 cannot hold"),
        (torch.full((3, 2), 1e300, dtype=torch.float64), "torch.float64 that torch.float32 cannot hold"),
        (torch.empty(3, 2, device="meta"), "no values"),
    ],
)
def test_numbers_that_the_network_cannot_hold_are_refused(tmp_path, weight, found):
    torch.save({"weight": weight, "bias": torch.zeros(3)}, tmp_path / "a.pt")
    refused = refusal(tmp_path / "a.pt")
    assert found in refused.found
    assert "tensor 'weight'" in refused.where


def test_whole_numbers_sparse_tensors_and_other_precisions_that_fit_are_read(tmp_path):
    ones = torch.ones(3, 2)
    for weight in (ones.to(torch.int32), ones.double(), ones.half(), ones.to_sparse()):
        torch.save({"weight": weight, "bias": torch.zeros(3)}, tmp_path / "a.pt")
        assert loads(tmp_path / "a.pt")


def test_a_counter_that_is_no_whole_number_is_refused(tmp_path):
    network = nn.BatchNorm1d(2)
    torch.save({**network.state_dict(), "num_batches_tracked": torch.tensor(1.5)}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=r"torch\.float32 that torch\.int64 cannot hold"):
        load_weights(network, tmp_path / "a.pt")


@given(
    begin=st.sampled_from(
        [b"", b"PK\x03\x04", b"\x80\x02", b"\x80\x04", b"{", b'{"weight_map":', struct.pack("<Q", 40) + b"{"]
    ),
    rest=st.binary(max_size=200),
    suffix=st.sampled_from([".pt", ".safetensors", ".index.json", ".pt2", ""]),
)
def test_no_bytes_raise_anything_else(tmp_path_factory, begin, rest, suffix):
    path = tmp_path_factory.mktemp("bytes") / f"a{suffix}"
    path.write_bytes(begin + rest)
    refusal(path)
