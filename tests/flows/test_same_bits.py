"""Two worker processes give what one process gives, bit for bit."""

import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from flows.asked import asked_of
from flows.course import Course
from flows.work import pool_of
from stitchpipe import steps
from stitchpipe.run import Run

SWEEP = """
name = "two at a time"
[run]
processes = 2
[data]
kind = "digits"
test_fraction = 0.8
[dump]
layers = ["layer?.0"]
row_groups = 2
[[models]]
name = "A"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [1, 1], widths = [4, 4] }
train = { epochs = 1, seed = 0 }
[[models]]
name = "B"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [1, 1], widths = [4, 4] }
train = { epochs = 1, seed = 1 }
[[stitch]]
method = "tlm"
sources = ["B/*"]
targets = ["A/*"]
batch_size = 64
steps = 3
"""


@pytest.fixture
def sweep(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP)
    return path


def made(root):
    """Return what a run made, by path below its folder: tensors as bytes, results as tables."""
    tensors = [path for kind in ("models", "maps") for path in (root / kind).rglob("*.safetensors")]
    return {
        **{name(path, root): {k: v.tobytes() for k, v in load_file(path).items()} for path in tensors},
        **{
            name(path, root): pq.read_table(path).to_pylist()
            for path in (root / "results").rglob("*.parquet")
        },
    }


def name(path, root):
    return str(path.relative_to(root))


def one_after_the_other(path, out):
    run = Run.open(path, out)
    for model in ("A", "B"):
        steps.train(run, model)
    for model in ("A", "B"):
        for split in ("train", "test"):
            steps.dump(run, model, split)
    for layer in ("layer1.0", "layer2.0"):
        steps.stitch(run, "A", layer)


def two_at_a_time(path, out):
    asked = asked_of(str(path), str(out), ["inspect", "train", "dump", "stitch"])
    with pool_of(asked.sweep, asked.out) as pool:
        course = Course(asked, pool)
        for step in asked.course:
            course.take(step)
        course.demand_success()
        return course


@pytest.mark.slow
def test_two_processes_give_the_bits_of_one(sweep, tmp_path):
    one_after_the_other(sweep, tmp_path / "one")
    course = two_at_a_time(sweep, tmp_path / "two")
    trainings = [one for one in course.ended if one.unit.step == "train"]
    assert max(one.begun_s for one in trainings) < min(one.ended_s for one in trainings)
    outcome = made(tmp_path / "two")
    assert len(outcome) == 2 + 4 + 4
    assert outcome == made(tmp_path / "one")
