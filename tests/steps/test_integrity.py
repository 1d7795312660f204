"""A run as a whole is as safe as its store: whatever is damaged is found, refused where it is read, and made again."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from stitchpipe import steps
from stitchpipe.asking import Workspace
from stitchpipe.config import parse
from stitchpipe.models import OtherWeightsError, build, weights_bytes
from stitchpipe.run import PlaceError, Run
from stitchpipe.steps import maintenance
from storage import CorruptError
from tests.storage.object_server import aws, new_objects, object_server  # noqa: F401  (fixtures)
from tests.tiny_sweep import run_steps

LOADED = """
name = "loaded"
[data]
kind = "digits"
limit = 120
[dump]
layers = ["layer?.0"]
row_groups = 4
[[models]]
name = "A"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [1, 1], widths = [4, 6], num_classes = 10 }
weights = "a.safetensors"
[[compare]]
view = "pooled"
indices = ["cka"]
[[stitch]]
method = "tlm"
sources = ["A/layer2.0"]
targets = ["A/layer1.0"]
init = ["random", "dm"]
steps = 3
[certainty]
intervals = false
permutations = 0
[run]
workers = 1
"""
NETWORK = {"in_channels": 1, "blocks": [1, 1], "widths": [4, 6], "num_classes": 10}


def silent(name, done, total):
    del name, done, total


def problems(root):
    return maintenance.verify(str(root), model=None, sample="100%", progress=silent).problems


def files_of(root):
    """Return every file of a run, its store included."""
    return sorted(path for path in Path(root).rglob("*") if path.is_file() and path.stat().st_size)


def replace_weights(folder, seed):
    (folder / "a.safetensors").write_bytes(weights_bytes(build("cifar_resnet", NETWORK, seed=seed)))


def opened(folder, text=LOADED):
    """Open the sweep whose checkpoint lies beside the first run, in the run of a folder."""
    return Run.open(parse(text, where="loaded", folder=Path((folder / "home").read_text())), folder / "run")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory, cluster):
    """A folder with a checkpoint and a finished run of it."""
    folder = tmp_path_factory.mktemp("loaded")
    (folder / "home").write_text(str(folder))
    replace_weights(folder, 0)
    run_steps(opened(folder), cluster)
    return folder


@pytest.fixture
def copied(loaded, tmp_path):
    shutil.copytree(loaded, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def replaced(loaded):
    """Other weights lie under the name of those that were dumped."""
    replace_weights(loaded, 1)
    yield
    replace_weights(loaded, 0)


def flipped(path, generator):
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    path.write_bytes(data)


def missed(root, count):
    """Flip single bits of random files one after the other; return the files where `verify` did not find it."""
    generator, unfound = random.Random(11), []
    for path in generator.choices(files_of(root), k=count):
        sound = path.read_bytes()
        flipped(path, generator)
        if not problems(root):
            unfound.append(path)
        path.write_bytes(sound)
    assert problems(root) == ()
    return unfound


def test_a_finished_run_is_sound_and_every_kind_of_file_lies_in_it(loaded):
    assert problems(loaded / "run") == ()
    kinds = {path.relative_to(loaded / "run").parts[0] for path in files_of(loaded / "run")}
    assert kinds == {"commits", "curves", "maps", "report", "results", "store.zarr", "sweep.toml"}


def test_verify_finds_flips_anywhere_in_a_finished_run(copied):
    assert missed(copied / "run", 25) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_verify_finds_hundred_of_hundred_flips(tiny, tmp_path):
    shutil.copytree(tiny.root, tmp_path / "run")
    assert missed(tmp_path / "run", 100) == []


def test_what_is_damaged_is_taken_out_and_the_next_run_makes_it_again(copied, cluster):
    root, generator = copied / "run", random.Random(3)
    before = opened(copied).results.read()
    for pattern in ("maps/*", "curves/*", "results/*", "report/index.html"):
        flipped(next(root.glob(pattern)), generator)
    found = problems(root)
    assert len(found) == 4
    assert all(problem.remedy for problem in found)
    mended = maintenance.repair(str(root), progress=silent)
    assert (mended.n_quarantined >= 4, mended.left) == (True, [])
    run_steps(opened(copied), cluster)
    assert problems(root) == ()
    columns = ["index", "source_layer", "target_layer", "method", "init", "value"]
    order = columns[:-1]
    again = opened(copied).results.read()
    assert (
        again[columns]
        .sort_values(order, ignore_index=True)
        .equals(before[columns].sort_values(order, ignore_index=True))
    )


def test_trained_weights_with_one_flip_are_refused(tiny, tmp_path):
    run = tiny.copy(tmp_path / "run")
    path = next((tmp_path / "run" / "models").rglob("weights-*.safetensors"))
    flipped(path, random.Random(1))
    with pytest.raises(CorruptError, match=path.name):
        run.networks.loaded("A" if "/A/" in str(path).replace("%41", "A") else "org/B")


@pytest.mark.parametrize("step", ["dump", "stitch"])
def test_weights_replaced_under_the_same_name_are_refused_by_later_steps(copied, replaced, step):
    run = opened(copied)
    for part in run.place.files.listing("results"):
        run.place.files.remove(part.name)
    unit = {"dump": "test", "stitch": "layer1.0"}[step]
    with pytest.raises(OtherWeightsError, match="model 'A', weights from"):
        getattr(steps, step)(run, "A", unit)


def test_a_whole_run_with_other_weights_dumps_and_compares_anew(copied, replaced, cluster):
    before = opened(copied).results.read()
    run_steps(opened(copied), cluster)
    after = opened(copied).results.read()
    assert len(after) == 2 * len(before)
    assert after["target_digest"].nunique() == 2 * before["target_digest"].nunique()
    assert problems(copied / "run") == ()


def test_layers_come_from_records_and_no_network_is_built_for_them(copied, monkeypatch):
    def built(*arguments):
        raise AssertionError(f"built for its layers: {arguments}")

    monkeypatch.setattr("stitchpipe.run.networks.Networks.built", built)
    run = opened(copied)
    steps.units(run)
    steps.compare(run)
    steps.fit_maps(run)
    steps.stitch(run, "A", "layer1.0")
    steps.report(run)


def test_a_network_declared_otherwise_is_inspected_again(copied):
    text = LOADED.replace("blocks = [1, 1], widths = [4, 6]", "blocks = [1, 1, 1], widths = [4, 6, 8]")
    text = text.replace('weights = "a.safetensors"', "untrained = true")
    run = opened(copied, text)
    assert [info.name for info in run.layers.of("A")] == ["layer1.0", "layer2.0", "layer3.0"]


def test_the_folder_of_an_earlier_version_is_refused(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "compare-1234.parquet").write_bytes(b"PAR1")
    for use in (Workspace, lambda root: Run.open(parse(LOADED, where="x", folder=tmp_path), root)):
        with pytest.raises(PlaceError, match="earlier version.*Choose another --out"):
            use(tmp_path)


@pytest.mark.slow
def test_a_whole_run_lies_in_a_bucket(loaded, aws, cluster):  # noqa: F811
    url = f"{new_objects().url}/run"
    run = Run.open(parse(LOADED, where="loaded", folder=loaded), url)
    run_steps(run, cluster)
    assert problems(url) == ()
    columns = ["index", "source_layer", "target_layer", "method", "init", "value"]
    order = columns[:-1]
    remote, local = (
        results.read()[columns].sort_values(order, ignore_index=True)
        for results in (run.results, opened(loaded).results)
    )
    assert remote.equals(local)
    assert Workspace(url).models() == ["A"]
    steps.stitch(Run.open(run.sweep, url), "A", "layer1.0")
