"""A thousand hostile names each have a file of their own, inside the root, also where case does not count."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.format.keys import dump_key, shard_key
from storage.place.local import LocalPlace
from storage.place.names import decode_name, encode_name
from tests.storage.test_store_names import HOSTILE

pieces = st.sampled_from(
    [*HOSTILE, "../", "/", "\\", "%", "~", ".", "com1", "ＡＢＣ", "İ", "ß", "ſ", "K", "\x7f", "\u202e"]
)
names = st.one_of(
    st.text(min_size=1, max_size=60),
    st.lists(pieces, min_size=1, max_size=4).map("".join),
    st.text("aAbB.%~/ ", min_size=1, max_size=8),
    st.text(min_size=100, max_size=130),
)


@pytest.fixture(scope="module")
def root():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder).resolve() / "deep" / "root"


SEEN: dict[str, str] = {}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(name=names)
def test_hostile_names_round_trip_inside_the_root(root, name):
    demand_round_trip(root, name)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, derandomize=True)
@given(name=names)
def test_a_thousand_hostile_names_round_trip_inside_the_root(root, name):
    demand_round_trip(root, name)


def demand_round_trip(root, name):
    segment = encode_name(name)
    assert decode_name(segment) in (name, None)
    # one segment, one name: compared as a file system does that ignores case
    assert SEEN.setdefault(segment.casefold(), name) == name
    place = LocalPlace(str(root))
    key = f"{dump_key(name, name, name, '0f' * 32)}/{shard_key(name, 1, 2)}"
    path = Path(place.path(key))
    assert path.is_relative_to(root)
    assert Path(os.path.normpath(path)) == path
    assert max(len(part.encode()) for part in path.parts) <= 255
    if len(SEEN) % 10 == 0:  # the file system itself, for some
        if place.size(key) is None:
            assert place.create(key, name.encode("utf-8", "surrogatepass"))
        assert place.read(key) == name.encode("utf-8", "surrogatepass")
        assert segment in place.directories()
        assert [found.name for found in root.parent.parent.iterdir()] == ["deep"]
