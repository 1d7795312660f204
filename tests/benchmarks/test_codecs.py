"""What each codec gives in size and speed, chunk by chunk, on one core; and each digest in speed."""

from __future__ import annotations

import hashlib

import google_crc32c
import numpy as np
import pytest
import xxhash

from storage.format.codecs import CODECS, chunk_codec, codec_chain
from tests.benchmarks.tables import best_seconds

pytestmark = pytest.mark.benchmark

CHUNK_BYTES = 1 << 18


def chunks_of(arrays, dtype):
    made = []
    for array in arrays:
        stored = array.astype(dtype)
        rows = max(1, CHUNK_BYTES // stored[0].nbytes)
        made += [stored[start : start + rows] for start in range(0, len(stored) - rows + 1, rows)]
    return made


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("kind", ["activations", "Gaussian"])
def test_codecs(subject, table, repeats, dtype, kind):
    """Codecs over inner chunks of 256 KiB, CRC-32C included; ratio of times to lz4"""
    arrays = subject.activations.values()
    if kind == "Gaussian":
        arrays = [np.random.default_rng(0).standard_normal((256, 64, 16, 16)).astype(np.float32)]
    chunks = chunks_of(arrays, dtype)
    raw = sum(chunk.nbytes for chunk in chunks)
    codecs = {
        name: chunk_codec([{"name": "bytes"}, *codec_chain(name, chunks[0].itemsize)]) for name in CODECS
    }
    encoded = {name: [codec.encode(chunk) for chunk in chunks] for name, codec in codecs.items()}
    scratch = [np.empty_like(chunk) for chunk in chunks]

    def decode(name):
        for data, into in zip(encoded[name], scratch, strict=True):
            codecs[name].decode(memoryview(data), into, check=False)

    write = best_seconds(
        {name: lambda name=name: [codecs[name].encode(c) for c in chunks] for name in CODECS}, repeats=repeats
    )
    read = best_seconds({name: lambda name=name: decode(name) for name in CODECS}, repeats=repeats)
    for name in CODECS:
        size = sum(map(len, encoded[name]))
        table.add(
            values=f"{kind} {dtype}",
            codec=name,
            bytes_to_raw=f"{size / raw:.3f}",
            bytes_to_float32=f"{size / raw * np.dtype(dtype).itemsize / 4:.3f}",
            write_time_to_lz4=f"{write[name] / write['lz4']:.2f}",
            read_time_to_lz4=f"{read[name] / read['lz4']:.2f}",
        )


def test_digests(table, repeats):
    """Digests over 256 KiB; times as multiples of the time to compress the same bytes with lz4"""
    values = np.maximum(np.random.default_rng(0).standard_normal(CHUNK_BYTES // 2), 0).astype(np.float16)
    lz4 = chunk_codec([{"name": "bytes"}, *codec_chain("lz4", 2)])
    data = values.tobytes()
    candidates = {
        "XXH3-128": lambda: xxhash.xxh3_128_digest(data),
        "CRC-32C": lambda: google_crc32c.value(data),
        "SHA-256": lambda: hashlib.sha256(data).digest(),
        "BLAKE2b": lambda: hashlib.blake2b(data).digest(),
        "lz4": lambda: lz4.encode(values),
    }
    try:
        import blake3

        candidates["BLAKE3"] = lambda: blake3.blake3(data).digest()
    except ImportError:
        pass
    seconds = best_seconds(
        {name: lambda act=act: [act() for _ in range(50)] for name, act in candidates.items()},
        repeats=repeats,
    )
    for name, taken in seconds.items():
        table.add(digest=name, time_to_lz4=f"{taken / seconds['lz4']:.3f}")
