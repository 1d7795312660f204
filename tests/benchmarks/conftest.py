"""What the benchmarks are run on: synthetic images and random weights, or a folder of images and a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.dumped_network import Subject
from tests.benchmarks.tables import Table


def pytest_addoption(parser):
    group = parser.getgroup("benchmarks")
    group.addoption(
        "--images-root", type=Path, help="folder of images, SPLIT/CLASS/*; default: random pixels"
    )
    group.addoption("--weights", type=Path, help="checkpoint of a CIFAR ResNet-20; default: random weights")
    group.addoption(
        "--weights-56", type=Path, help="checkpoint of a CIFAR ResNet-56; default: random weights"
    )
    group.addoption("--images", type=int, default=2000, help="number of images (default 2000)")
    group.addoption(
        "--results-rows",
        type=int,
        default=2_000_000,
        help="rows of the results that are asked (default 2 million)",
    )
    group.addoption(
        "--results-parts", type=int, default=2000, help="small parts of the results (default 2000)"
    )
    group.addoption("--repeats", type=int, default=3, help="runs of each candidate, in turn; the best counts")


@pytest.fixture(scope="session")
def subject(pytestconfig) -> Subject:
    """A CIFAR ResNet-20 and images for it."""
    return Subject(
        n_images=pytestconfig.getoption("--images"),
        images_root=pytestconfig.getoption("--images-root"),
        weights=pytestconfig.getoption("--weights"),
    )


@pytest.fixture(scope="session")
def repeats(pytestconfig) -> int:
    return pytestconfig.getoption("--repeats")


@pytest.fixture
def table(request, subject):
    """A table that is printed, with what it was measured on, when the benchmark ends."""
    made = Table(title=request.function.__doc__ or request.node.name, about=subject.describe())
    yield made
    made.show()
