from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Address, LayerSpec, LayoutError
from storage.place.names import MAX_SEGMENT, RESERVED, decode_name, encode_name
from tests.storage.small_dump import IDS, new_store, truth

HOSTILE = [
    "..", ".", "...", "a\\b", "a//b", "a/b", "/etc/passwd", "../../up", "nul\0byte", "x" * 300, "X" * 300,
    "é", "e\u0301", "名前" * 90, "ResNet", "resnet", "RESNET", "con", "AUX.txt", "zarr.json", "commits", "c", "c.0.0",
    "__init__", "a b", " a", "a ", "a.", "~a", "a~0123", "%41", "A", "<img onerror=x>", "\ud800", "\n", "-rf", "*",
]  # fmt: skip
names = (
    st.text(st.characters(), min_size=1, max_size=40)
    | st.sampled_from(HOSTILE)
    | st.text("aA.~%/\\_c", min_size=1)
)


@given(name=names)
def test_a_segment_is_one_portable_path_component(name):
    segment = encode_name(name)
    assert PurePosixPath("root", segment).parts == ("root", segment)
    assert segment.isascii()
    assert segment == segment.lower()
    assert 1 <= len(segment) <= MAX_SEGMENT
    assert segment not in RESERVED
    assert segment[0] != "."
    assert segment[-1] != "."
    assert not segment.startswith("__")
    assert not set(segment) & set('\\/:*?"<>| \0')


@given(name=names)
def test_segments_decode_to_their_name(name):
    assert decode_name(encode_name(name)) in (name, None if len(encode_name(name)) == MAX_SEGMENT else name)


@given(left=names, right=names)
def test_different_names_never_share_a_segment(left, right):
    assert (encode_name(left) == encode_name(right)) == (left == right)


def test_hostile_names_stay_apart_even_where_case_does_not_count():
    segments = {encode_name(name).casefold() for name in HOSTILE}
    assert len(segments) == len(HOSTILE)


def test_long_names_differ_by_their_ends():
    assert encode_name("x" * 300 + "1") != encode_name("x" * 300 + "2")
    assert decode_name(encode_name("x" * 300)) is None


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_name_is_text(name):
    with pytest.raises(LayoutError, match="text of at least one character"):
        encode_name(name)


def test_plain_names_stand_for_themselves():
    for name in ("layer1.0", "resnet18", "digits", "test", "conv-2_b"):
        assert encode_name(name) == name


def test_hostile_names_round_trip_through_a_store_and_stay_inside_it(tmp_path):
    store = new_store(tmp_path / "deep" / "store.zarr")
    for name in HOSTILE:
        store.add_split(name, name, IDS[:5], row_groups=1)
    for name in ("..", "x" * 300):
        dump = store.begin_dump(
            dataset=name,
            split=name,
            model=name,
            layers={n: LayerSpec((7,)) for n in HOSTILE},
            identity={},
            provenance={},
        )
        dump.write(0, dict.fromkeys(HOSTILE, truth(store, "logits")[:5]))
        dump.seal()
        found = store.representations(dataset=name)
        assert {entry.address for entry in found} == {Address(name, name, name, layer) for layer in HOSTILE}
        assert store.representation(Address(name, name, name, "..")).read(0).shape == (5, 7)
    assert set(store.splits()) == {("digits", "test"), *((name, name) for name in HOSTILE)}
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["store.zarr"]
    assert store.verify() == []


def test_a_model_whose_name_begins_like_another_is_not_taken_for_it(tmp_path):
    store = new_store(tmp_path / "s")
    for model in ("net", "net~1", "net-1"):
        dump = store.begin_dump(
            dataset="digits",
            split="test",
            model=model,
            layers={"l": LayerSpec((7,))},
            identity={},
            provenance={},
        )
        for group, (start, stop) in enumerate(dump.split.row_groups):
            dump.write(group, {"l": truth(store, "logits")[start:stop]})
        dump.seal()
    assert [entry.address.model for entry in store.representations(model="net")] == ["net"]
