"""Maps by their ends, and networks that are stitched together by them: they do on images what the run says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

import stitchpipe as sp
from stitchpipe.asking import WorkspaceError
from stitchpipe.config import ConfigError
from stitchpipe.graph import LayerError
from stitchpipe.results import MapFileError, made_of, map_bytes, table_of_records
from storage import CorruptError

SECOND = "org/B/layer3.0"


@pytest.fixture(scope="module")
def run(tiny):
    return sp.open(tiny.root)


def test_a_direct_map_is_the_fit_of_its_ends(run):
    fitted = run.map("A/layer2.0", "A/layer2.0")
    store = run.store
    rows = store.representation(store.representations(model="A", layer="layer2.0", split="train")[0].address)
    X = rows.read_rows(slice(None)).astype(np.float64).transpose(0, 2, 3, 1).reshape(-1, 6)
    again = sp.algebra.direct_matching(X, X, storage_eps=2.0**-23)
    np.testing.assert_allclose(fitted.W, again.W, atol=1e-6)
    assert run.map("*B/layer3.0", "A/layer1.0").W.shape == (4, 8)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda run: run.map("A/layer3.0", SECOND), r"Into org/B/layer3.0 they come from nothing"),
        (lambda run: run.map("A/layer9.0", "A/layer1.0"), "Did you mean 'A/layer"),
        (lambda run: run.map("A/layer?.0", "A/layer1.0"), "which means 3"),
        (lambda run: run.map("A/layer1.0", "A/layer1.0", method="tml"), "Did you mean 'tlm'"),
        (lambda run: run.map("A/layer1.0", "A/layer1.0", method="dm_rige"), "ridge"),
        (lambda run: run.map("A/layer1.0", "A/layer1.0", method="dm_ridge(0.1)"), "found none among"),
        (lambda run: run.map("A/layer1.0", "A/layer1.0", seed=0), "nothing is trained"),
        (
            lambda run: run.map("A/layer1.0", "A/layer1.0", method="tlm"),
            "Say which: init='dm' for example; init is dm, identity, random",
        ),
        (lambda run: run.map("A/layer1.0", "A/layer1.0", method="tlm", seed=7), "seed=7, found none"),
        (lambda run: run.map("A/layer1.0", "A/layer1.0", method="tlm", sed=7), "Did you mean 'seed'"),
    ],
)
def test_what_is_no_map_is_said(run, ask, words):
    with pytest.raises(WorkspaceError, match=words):
        ask(run)


@pytest.mark.parametrize(
    ("source", "target", "how"),
    [
        (SECOND, "A/layer1.0", {"method": "dm"}),
        ("A/layer2.0", "A/layer3.0", {"method": "dm"}),
        (SECOND, "A/layer1.0", {"method": "tlm", "seed": 0}),
        ("A/layer1.0", "A/layer1.0", {"method": "tlm", "init": "identity"}),
    ],
)
def test_a_stitched_network_is_as_accurate_on_images_as_the_run_says(run, tiny, source, target, how):
    images = tiny.run.data.splits["test"]
    network = run.stitched(source, target, **how)
    with torch.no_grad():
        answers = network(images.batch(range(len(images)))).argmax(1)
    said = run.measures("stitch_accuracy", source=source, target=target, **how).to_pandas()["value"].item()
    assert (answers.numpy() == images.labels).mean() == said


def test_the_stitching_layer_can_be_trained_on_and_nothing_else(run, tiny):
    network = run.stitched("A/layer1.0", "A/layer2.0").train()
    network(tiny.run.data.splits["test"].batch([0, 1])).sum().backward()
    trained = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert trained == {"stitch.weight", "stitch.bias"}


def test_a_network_is_its_layers_and_its_tail(run, tiny):
    images = tiny.run.data.splits["test"].batch(range(5))
    network, tail = run.network("org/B"), run.tail("A/layer3.0")
    stored = run.store.representations(model="org/B", layer="logits", split="test")[0]
    logits = run.store.representation(stored.address).read_samples(
        tiny.run.data.splits["test"].sample_ids[:5]
    )
    with torch.no_grad():
        np.testing.assert_allclose(network(images).numpy(), logits, atol=1e-5)
        assert tail(torch.rand(2, 8, 2, 2)).shape == (2, 10)
    assert not network.training
    with pytest.raises(ConfigError, match="found 'C'"):
        run.network("C")
    with pytest.raises(WorkspaceError, match="Did you mean"):
        run.tail("A/layer4.0")
    with pytest.raises((LayerError, WorkspaceError)):
        run.tail("A/logits")
    with pytest.raises(LayerError, match=r"'layer2\.0\+layer3\.0': .* found layer2\.0, which nothing needs"):
        run.tail("A/layer2.0+layer3.0")


def test_a_map_that_is_damaged_or_of_other_ends_is_refused(tiny, tmp_path):
    copy = tiny.copy(tmp_path / "copy")
    run, files = sp.open(copy.place.url), copy.place.files
    fitted = run.map("A/layer1.0", "A/layer2.0")
    names = {}
    for file in files.listing("maps"):
        made = made_of(files.read(file), where=file.name)
        names[made["source"], made["target"], made["method"]] = file
    name = names["A/layer1.0", "A/layer2.0", "dm"].name
    files.remove(name)
    files.write(name, ".safetensors", map_bytes(fitted, {"source": "A/x", "target": "A/y"}))
    with pytest.raises(MapFileError, match="found one of A/x into A/y"):
        run.map("A/layer1.0", "A/layer2.0")
    path = tmp_path / "copy" / names[SECOND, "A/layer1.0", "dm"].key
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptError, match="dm-"):
        run.map(SECOND, "A/layer1.0")


def test_of_numbers_of_several_declarations_those_of_the_runs_own_count(tiny, tmp_path):
    """A sweep that was changed and run again into the same place leaves numbers of both."""
    copy = tiny.copy(tmp_path / "copy")
    before = sp.open(tiny.root).matrix("cka", "A", "org/B")
    rows = sp.open(tiny.root).measures("cka", source="A", target="org/B").to_arrow().to_pylist()
    for number, row in enumerate(rows):
        row |= {"value": 0.0, "key": f"{number:016x}"}
    copy.place.results.write("compare-other", table_of_records(rows))
    run = sp.open(copy.place.url)
    after = run.matrix("cka", "A", "org/B")
    np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(
        run.nearest("A/layer2.0", among="org/B")["value"],
        sp.open(tiny.root).nearest("A/layer2.0", among="org/B")["value"],
    )
    assert isinstance(run.measures("cka").to_arrow(), pa.Table)
    copy.place.declare("")
    with pytest.raises(ConfigError):
        run.matrix("cka", "A", "org/B")
