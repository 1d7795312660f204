"""What others import of the store, and what that costs."""

import subprocess
import sys

import pytest

import storage


def loaded(code):
    """Return which of the heavy libraries are imported by some code, in a fresh interpreter."""
    heavy = ("numpy", "zarr", "xarray", "obstore", "numcodecs")
    check = f"{code}\nimport sys\nprint(*[name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return answer.stdout.split()


@pytest.mark.parametrize("name", storage.__all__)
def test_every_name_is_there(name):
    assert getattr(storage, name) is not None
    assert name in dir(storage)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'Stoer'"):
        storage.Stoer  # noqa: B018


@pytest.mark.parametrize(
    "code", ["import storage", "import storage.errors", "from storage import StoreError"]
)
def test_errors_cost_no_library(code):
    assert loaded(code) == []


def test_activations_are_read_without_xarray():
    assert "xarray" not in loaded("from storage import open_store, Representation")
