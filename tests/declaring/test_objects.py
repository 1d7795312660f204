"""Sweeps of Python objects: identity, what is data, and a whole run in this process."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import stitchpipe as sp
from stitchpipe.config import ConfigError
from stitchpipe.data import DataError, load_splits
from stitchpipe.data.kinds import object as held_images
from stitchpipe.declaring.images import declared_images
from stitchpipe.declaring.sweeps import sweep_of
from stitchpipe.graph import LayerError
from stitchpipe.models import ArchitectureError, build, hold_module, objects
from stitchpipe.run import RunPlace
from stitchpipe.run.agenda import Agenda
from stitchpipe.run.claims import Claims
from stitchpipe.run.ledger import Ledger
from stitchpipe.steps import UnitsFailedError

N = 40


class Small(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale
        self.layer1 = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.layer2 = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1, stride=2), nn.ReLU())
        self.head = nn.Linear(6, 3)

    def forward(self, images):
        return self.scale * self.head(self.layer2(self.layer1(images)).mean(dim=(2, 3)))


class Chance(Small):
    def forward(self, images):
        return super().forward(images + torch.rand_like(images))


def small(seed, scale=1.0):
    torch.manual_seed(seed)
    return Small(scale)


IMAGES = torch.rand(N, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(N) % 3


class Pairs(Dataset):
    classes = ("cat", "dog", "eel")

    def __len__(self):
        return N

    def __getitem__(self, number):
        return IMAGES[number], int(LABELS[number])


class Stream(IterableDataset):
    def __iter__(self):
        yield from zip(IMAGES, LABELS, strict=True)


class LikeHuggingFace:
    """What a data set of `datasets` shows of itself."""

    column_names = ("image", "label")

    def __init__(self):
        self.features = {"label": SimpleNamespace(names=["cat", "dog", "eel"])}

    def __len__(self):
        return N

    def __getitem__(self, number):
        pixels = (255 * IMAGES[number][0].numpy()).astype(np.uint8)
        return {"image": Image.fromarray(pixels), "label": int(LABELS[number])}


def collate(items):
    return {
        "pixel_values": torch.stack([image for image, _ in items]),
        "labels": torch.tensor([k for _, k in items]),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def run(folder):
    stitch = {"method": "dm", "sources": ["mine/layer1"], "targets": ["other/layer1"]}
    return sp.run(
        models={"mine": small(0), "other": small(1)},
        data=Pairs(),
        out=folder / "run",
        layers=["layer?"],
        compare={"pooled": ["cka"]},
        certainty={"permutations": 19},
        dump={"row_groups": 4},
        stitch=[stitch],
        progress=False,
    )


def test_a_run_of_objects_is_a_run(run):
    assert run.models() == ["mine", "other"]
    cka = run.matrix("cka", "mine", "other")
    assert cka.shape == (2, 2)
    assert cka.attrs["n_samples"] == N // 2
    network = run.stitched("mine/layer1", "other/layer1")
    with torch.no_grad():
        answers = network(run.images()).argmax(1).numpy()
    said = run.measures("stitch_accuracy").to_pandas()["value"].item()
    assert (answers == run.activations("mine/layer1").label.values).mean() == said
    assert "<svg" in run._repr_html_()
    assert run.place.has_page


def test_what_was_done_and_what_failed_is_on_record(run, folder):
    (agenda,) = Agenda.all_of(run.place.files)
    outcomes = Ledger(run.place.files).outcomes()
    assert outcomes.keys() == {name for names in agenda.units.values() for name in names}
    assert {outcome.state for outcome in outcomes.values()} == {"done"}
    with pytest.raises(LayerError, match="layr"):
        sp.run(models={"m": small(0)}, data=Pairs(), out=folder / "wrong", layers=["layr?"], progress=False)
    with pytest.raises(UnitsFailedError, match="same image"):
        sp.run(models={"m": Chance()}, data=Pairs(), out=folder / "chance", layers=["layer?"], progress=False)
    states = {
        name: end.state for name, end in Ledger(RunPlace.at(folder / "chance").files).outcomes().items()
    }
    assert states == {"inspect m": "done", "train m": "done", "dump m train": "failed"}


def test_what_fails_ends_nothing_else_and_is_tried_again_alone(folder):
    def call():
        torch.manual_seed(1)
        with pytest.warns(UserWarning, match="1 of 14 units of work failed: dump random train"):
            return sp.run(
                models={"random": Chance(), "one": small(2), "two": small(3)},
                data=Pairs(),
                out=folder / "partly",
                layers=["layer?"],
                compare={"pooled": ["cka"]},
                certainty={"permutations": 0, "intervals": False},
                dump={"row_groups": 4},
                progress=False,
            )

    first = call()
    assert first.failed.keys() == {"dump random train"}
    assert "same image" in first.failed["dump random train"]
    assert "1 unit of work failed; the same call tries them again:\n- dump random train: " in repr(first)
    assert "dump random train" in first._repr_html_()
    assert first.matrix("cka", "one", "two").shape == (2, 2)
    assert first.models() == ["one", "two"]
    page = first.place.files.read_published("report", "index.html").decode()
    assert "1 failed or left out" in page
    ledger = Ledger(first.place.files)
    before = ledger.outcomes()
    assert call().failed.keys() == first.failed.keys()
    changed = {name for name, outcome in ledger.outcomes().items() if outcome != before[name]}
    assert changed == {"dump random train"}


def test_a_unit_that_another_process_works_on_is_waited_for(folder, monkeypatch):
    files, waits = RunPlace.at(folder / "shared").files, []
    with Claims(files) as others:
        others.take("dump one test")

        def wait(seconds):
            waits.append(seconds)
            if len(waits) == 2:
                others.give_back("dump one test")

        monkeypatch.setattr("stitchpipe.declaring.in_this_process.time", SimpleNamespace(sleep=wait))
        run = sp.run(
            models={"one": small(2)},
            data=Pairs(),
            out=folder / "shared",
            layers=["layer?"],
            compare={"pooled": ["cka"]},
            certainty={"permutations": 0, "intervals": False},
            dump={"row_groups": 4},
            progress=False,
        )
    assert run.failed == {}
    assert len(waits) == 2
    assert Ledger(files).outcomes()["dump one test"].state == "done"


def test_the_same_objects_find_their_run_again(run, folder, monkeypatch):
    before = run.place.results.contents()
    monkeypatch.setattr("stitchpipe.steps.dumping.capture.dump", None)
    stitch = {"method": "dm", "sources": ["mine/layer1"], "targets": ["other/layer1"]}
    again = sp.run(
        models={"mine": small(0), "other": small(1)},
        data=Pairs(),
        out=folder / "run",
        layers=["layer?"],
        compare={"pooled": ["cka"]},
        certainty={"permutations": 19},
        dump={"row_groups": 4},
        stitch=[stitch],
        progress=False,
    )
    assert again.place.results.contents() == before


def test_what_was_an_object_of_another_process_is_said(run, monkeypatch):
    monkeypatch.setattr(objects, "_HELD", {})
    assert sp.open(run.place.url).matrix("cka").shape == (4, 4)
    with pytest.raises(ArchitectureError, match=r"object of another Python process\. Call `sp\.run` again"):
        sp.open(run.place.url).network("mine")
    monkeypatch.setattr(held_images, "_HELD", {})
    with pytest.raises(DataError, match=r"object of another Python process"):
        sp.open(run.place.url).images()


def test_a_plan_says_what_would_be_done(folder):
    plan = sp.plan(
        models={"mine": small(0), "other": small(1)}, data=Pairs(), layers=["layer?"], out=folder / "none"
    )
    assert plan.numbers == 4 * 4 * 3
    assert plan.images == {"train": N // 2, "test": N // 2}
    assert plan.activation_bytes == 2 * 4 * N * (4 * 64 + 6 * 16 + 3)  # logits too
    assert "layer1" in repr(plan)
    assert "48" in plan._repr_html_()
    assert not (folder / "none").exists()
    assert callable(sp.plan)  # and no module of that name in the room's place
    assert callable(sp.run)


def test_a_module_is_known_by_its_weights_its_source_and_its_numbers():
    name = hold_module(small(0))
    assert name.startswith("object/Small@")
    assert hold_module(small(0)) == name
    assert hold_module(small(1)) != name
    assert hold_module(small(0, scale=2.0)) != name
    network = small(0)
    with torch.no_grad():
        network.head.bias[0] += 1
    assert hold_module(network) != name
    built = build(name, {}, seed=0)
    assert not built.training
    with torch.no_grad():
        built.head.bias[0] += 1
        assert torch.equal(build(name, {}, seed=0)(IMAGES[:2]), small(0)(IMAGES[:2]))
    with pytest.raises(ArchitectureError, match="no options"):
        build(name, {"num_classes": 3}, seed=0)


def test_a_class_without_source_is_known_by_its_code():
    names = set()
    for number in ("1.0", "2.0", "1.0"):
        space = {"nn": nn}
        exec(f"class Typed(nn.Module):\n    def forward(self, x):\n        return {number} * x", space)
        names.add(hold_module(space["Typed"]()))
    assert len(names) == 2


@pytest.mark.parametrize(
    ("data", "labelled"),
    [
        (Pairs(), True),
        (TensorDataset(IMAGES, LABELS), True),
        (DataLoader(Pairs(), batch_size=7, shuffle=True), True),
        (DataLoader(Pairs(), batch_size=7, collate_fn=collate), True),
        (DataLoader(Stream(), batch_size=7), True),
        ([(batch, labels) for batch, labels in zip(IMAGES.split(9), LABELS.split(9), strict=True)], True),
        (iter(IMAGES.split(9)), False),
        (list(IMAGES.split(9)), False),
        (IMAGES, False),
        (LikeHuggingFace(), True),
    ],
    ids=[
        "dataset",
        "tensors",
        "loader",
        "collated",
        "stream",
        "pairs",
        "iterator",
        "list",
        "tensor",
        "datasets",
    ],
)
def test_what_is_data(data, labelled):
    table = declared_images(data, "mine", 0.25)
    splits = load_splits(sweep_of({"m": small(0)}, table).data)
    assert [len(splits[name]) for name in ("train", "test")] == [30, 10]
    together = torch.cat([splits[name].batch(range(len(splits[name]))) for name in ("train", "test")])
    ids = [int(name.rpartition("/")[2]) for split in ("train", "test") for name in splits[split].sample_ids]
    assert sorted(ids) == list(range(N))
    torch.testing.assert_close(together, IMAGES[ids], atol=1 / 255, rtol=0)
    if labelled:
        labels = np.concatenate([splits[name].labels for name in ("train", "test")])
        np.testing.assert_array_equal(labels, LABELS[ids])
    else:
        assert splits["test"].labels is None
    assert table["digests"]["train"] == splits["train"].digest


def test_both_splits_may_be_given_and_other_images_are_other_data():
    one = declared_images({"train": Pairs(), "test": IMAGES[:5]}, "mine", 0.5)
    two = declared_images({"train": Pairs(), "test": IMAGES[:5] + 0.001}, "mine", 0.5)
    assert one["digests"]["train"] == two["digests"]["train"]
    assert one["digests"]["test"] != two["digests"]["test"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (3, "found a int"),
        ([{"text": "a"}], "found a mapping with text"),
        (IMAGES[:1], "images for both splits"),
    ],
)
def test_what_is_no_data_is_said(data, words):
    with pytest.raises(DataError, match=words):
        declared_images(data, "mine", 0.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"models": {}}, "networks by name"),
        ({"models": {"a": 3}}, r"models\['a'\]: expected a torch module"),
        ({"compare": {"pooled": ["ckaa"]}}, "Did you mean 'cka'"),
        ({"stich": []}, "Did you mean 'stitch'"),
    ],
)
def test_what_makes_no_sweep_is_said(changes, words):
    with pytest.raises(ConfigError, match=words):
        sweep_of(**{"models": {"a": small(0)}, "data": {"kind": "digits"}, **changes})


def test_a_flat_folder_is_data_without_labels(tmp_path):
    for number in range(30):
        pixels = np.full((6, 5), number, np.uint8)
        (tmp_path / "deep").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / ("deep" if number % 2 else ".") / f"{number:02d}.png")
    (tmp_path / ".hidden.png").write_bytes(b"")
    table = declared_images(tmp_path, "mine", 0.4)
    assert table["kind"] == "flat_folder"
    declared = sweep_of({"m": small(0)}, tmp_path, test_fraction=0.4).data
    splits = load_splits(declared)
    assert sum(map(len, splits.values())) == 30
    assert splits["test"].labels is None
    assert not set(splits["train"].sample_ids) & set(splits["test"].sample_ids)
    Image.fromarray(np.zeros((6, 5), np.uint8)).save(tmp_path / "more.png")
    assert set(splits["test"].sample_ids) <= set(load_splits(declared)["test"].sample_ids)
    with pytest.raises(DataError, match="split 'test'"):
        load_splits(declared.model_copy(update={"test_fraction": 1e-9}))
    with pytest.raises(DataError, match="no such folder"):
        load_splits(declared.model_copy(update={"root": tmp_path / "none"}))
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        Image.fromarray(pixels).save(tmp_path / split / "x.png")
    assert [len(images) for images in load_splits(declared).values()] == [1, 1]
