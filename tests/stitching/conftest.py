import pytest
import torch

from tests.stitching.small_stitches import images, labels, stored


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """Images ``(61, 3, 6, 6)`` with labels, in six row groups."""
    return stored(tmp_path_factory.mktemp("source") / "store.zarr", images(), labels=labels())
