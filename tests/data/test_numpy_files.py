"""NumPy files of all kinds of damage and malice: refused before they are unpacked, in one line, or read right."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.data.images import DataError
from stitchpipe.data.kinds.arrays import load_arrays
from stitchpipe.errors import ExplainedError
from stitchpipe.ingest import ingest_files

IMAGES = np.arange(640, dtype=np.uint8).reshape(10, 8, 8)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def headed(shape, descr="|u1", data=b"0" * 640):
    """Return an ``.npy`` file with whatever shape and type its header declares."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - len(header) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def archive(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, data in members:
            file.writestr(name, data)
    return path


def patched(path, local, central):
    """Change a byte of every member's headers in an archive."""
    data = bytearray(path.read_bytes())
    for magic, offset, value in ((b"PK\x03\x04", *local), (b"PK\x01\x02", *central)):
        at = -1
        while (at := data.find(magic, at + 1)) >= 0:
            data[at + offset] = value
    path.write_bytes(data)
    return path


def labels(path):
    return load_arrays({"train": path}, name="x")["train"].labels


def found(path):
    with pytest.raises(DataError) as refused:
        labels(path)
    assert "\n" not in str(refused.value)
    assert refused.value.remedy
    return refused.value.found


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_archives_in_every_usual_compression_are_read(tmp_path, compression):
    members = [("images.npy", npy(IMAGES)), ("labels.npy", npy(np.arange(10)))]
    assert labels(archive(tmp_path / "a.npz", members, compression)).tolist() == list(range(10))


@pytest.mark.parametrize("second", ["labels.npy", "labels"])
def test_a_name_that_is_there_twice_is_refused(tmp_path, second):
    members = [
        ("images.npy", npy(IMAGES)),
        ("labels.npy", npy(np.arange(10))),
        (second, npy(np.arange(10)[::-1])),
    ]
    path = archive(tmp_path / "a.npz", members)
    assert found(path) == "two arrays called 'labels'"
    with pytest.raises(ExplainedError, match="two arrays called 'labels'"):
        ingest_files(tmp_path / "run", [path], dataset="d", split="s", model="m", ids="range")


def test_a_small_file_that_unpacks_to_hundreds_of_megabytes_is_refused_unread(tmp_path, monkeypatch):
    inside = archive(
        tmp_path / "inner.npz",
        [("images.npy", npy(np.zeros((300_000, 18, 18), np.uint8)))],
        zipfile.ZIP_DEFLATED,
    )
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    assert "that unpacks to 97,200,128 bytes from" in found(inside)


def test_an_encrypted_archive_and_an_unknown_compression(tmp_path):
    path = archive(tmp_path / "a.npz", [("images.npy", npy(IMAGES))])
    assert "an encrypted array" in found(patched(path, (6, 1), (8, 1)))
    path = archive(tmp_path / "b.npz", [("images.npy", npy(IMAGES))])
    assert "compression that is not known here (93)" in found(patched(path, (8, 93), (10, 93)))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (headed("(-1, 8, 8)"), "shape (-1, 8, 8)"),
        (headed("(1000000000000, 8, 8)"), "640 of 64,000,000,000,000 bytes"),
        (headed("(10000000000000000000000000, 8, 8)"), "640 of 640,000,000"),
        (headed("(True, 8, 8)"), "TypeError"),
        (headed("(10, 8, 8)", "|O"), "pickled objects"),
        (headed("(10, 8)"), "shape (10, 8)"),
        (headed("(10, 0, 8)"), "shape (10, 0, 8)"),
        (headed("(10, 8, 8)", "<c8", b"0" * 5120), "complex64"),
        (b"", "pickled objects, or no NumPy file|magic"),
        (npy(IMAGES)[:200], "72 of 640 bytes"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_headers_are_not_taken_at_their_word(tmp_path, content, text, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        path.write_bytes(content)
    else:
        archive(path, [("images.npy", content)])
    assert any(part in found(path) for part in text.split("|"))


def test_an_archive_of_other_things(tmp_path):
    assert "no array 'images'" in found(archive(tmp_path / "a.npz", [("readme.txt", b"x")]))
    assert "no array 'images'" in found(archive(tmp_path / "b.npz", []))
    assert found(archive(tmp_path / "c.npz", [("images", b"x")])) == "'images', which is no array"
    (tmp_path / "d.npz").mkdir()
    assert found(tmp_path / "d.npz") == "a folder"


@pytest.mark.parametrize("values", [[2**63 + 1] * 10, [0] * 9 + [2**63]])
def test_labels_beyond_64_bits_with_a_sign_are_refused(tmp_path, values):
    path = archive(
        tmp_path / "a.npz", [("images.npy", npy(IMAGES)), ("labels.npy", npy(np.array(values, np.uint64)))]
    )
    assert "beyond 64 bits" in found(path)
    rows = np.ones((10, 4), np.float32)
    np.savez(tmp_path / "rows.npz", layer=rows, labels=np.array(values, np.uint64))
    with pytest.raises(ExplainedError, match="labels of 64 bits"):
        ingest_files(
            tmp_path / "run", [tmp_path / "rows.npz"], dataset="d", split="s", model="m", ids="range"
        )


def test_ids_that_are_no_text(tmp_path):
    ids = npy(np.array([f"\udcff{number}" for number in range(10)]))
    assert "no valid text" in found(
        archive(tmp_path / "a.npz", [("images.npy", npy(IMAGES)), ("ids.npy", ids)])
    )


@given(
    data=st.binary(max_size=300),
    at=st.integers(0, 2000),
    suffix=st.sampled_from([".npy", ".npz", ".parquet"]),
)
def test_no_bytes_raise_anything_but_a_refusal(tmp_path_factory, data, at, suffix):
    folder = tmp_path_factory.mktemp("bytes")
    sound = (
        npy(IMAGES) if suffix == ".npy" else archive(folder / "s", [("images.npy", npy(IMAGES))]).read_bytes()
    )
    at %= len(sound)
    path = folder / f"a{suffix}"
    path.write_bytes(sound[:at] + data + sound[at + len(data) :])
    for read in (
        lambda: labels(path),
        lambda: ingest_files(folder / "run", [path], dataset="d", split="s", model="m", ids="range"),
    ):
        with suppress(ExplainedError):
            read()
