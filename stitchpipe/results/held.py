"""Which numbers are there: keys as 64-bit integers, sorted, so that millions are asked after at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Keys: TypeAlias = npt.NDArray[np.uint64]
"""Keys of pairs, which are 16 hex digits, as the integers that they spell."""

KEY_DIGITS = 16


def keys_of(texts: pa.Array) -> Keys:
    """Return keys as integers, ``[n]``, given texts of 16 hex digits."""
    if not len(texts):
        return np.empty(0, np.uint64)
    # The texts lie one behind the other in one buffer, all of one length: the digits are decoded in one go.
    _, ends, digits = texts.buffers()
    first = int(np.frombuffer(ends, np.int32, count=texts.offset + 1)[-1])
    held = digits[first : first + KEY_DIGITS * len(texts)].to_pybytes().decode("ascii")
    return np.frombuffer(bytes.fromhex(held), ">u8").astype(np.uint64)


def texts_of(keys: Keys) -> pa.Array:
    """Return the texts of keys: 16 hex digits each."""
    digits = np.ascontiguousarray(keys, ">u8").tobytes().hex().encode()
    ends = np.arange(len(keys) + 1, dtype=np.int32) * KEY_DIGITS
    return pa.StringArray.from_buffers(len(keys), pa.py_buffer(ends.tobytes()), pa.py_buffer(digits))


def are_keys(texts: pa.Array) -> pa.Array:
    """Return which texts are keys of 16 digits; an earlier version may have left others."""
    lengths = pc.min_max(pc.binary_length(texts)).as_py()
    if texts.null_count == 0 and set(lengths.values()) == {
        KEY_DIGITS
    }:  # as a rule: looking at each takes long
        return pa.array(np.ones(len(texts), np.bool_))
    return pc.fill_null(pc.match_substring_regex(texts, "^[0-9a-f]{16}$"), fill_value=False)


def numbers_of(table: pa.Table) -> tuple[Keys, npt.NDArray[np.int32], list[str]]:
    """Return the key of each number of a table, the code of its index, and the names that the codes stand for.

    All keys are of 16 hex digits.
    """
    table = table.select(["key", "index"]).unify_dictionaries().combine_chunks()
    if not len(table):
        return np.empty(0, np.uint64), np.empty(0, np.int32), []
    index = table["index"].chunk(0)
    return keys_of(table["key"].chunk(0)), index.indices.to_numpy(), index.dictionary.to_pylist()


@dataclass(frozen=True, eq=False)
class Held:
    """Which numbers are there, or are asked for.

    Attributes
    ----------
    by_index
        The keys of each index, sorted.
    """

    by_index: Mapping[str, Keys]

    @classmethod
    def of(cls, tables: Iterable[pa.Table]) -> Held:
        """Return what tables of the columns ``key`` and ``index`` hold. Eight bytes for each number."""
        found: dict[str, list[Keys]] = {}
        for table in tables:
            keys, codes, names = numbers_of(table.filter(are_keys(table["key"])))
            for code, name in enumerate(names):
                found.setdefault(name, []).append(keys[codes == code])
        return cls({name: _each_once(np.concatenate(keys)) for name, keys in found.items()})

    def has(self, index: str, keys: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return which keys have a number of an index, in the shape of `keys`."""
        there = self.by_index.get(index)
        if there is None or not len(there):
            return np.zeros(keys.shape, np.bool_)
        at = np.minimum(np.searchsorted(there, keys), len(there) - 1)
        return np.asarray(there[at] == keys)

    def those_of(self, table: pa.Table) -> pa.Table:
        """Return the rows of a table that are among these."""
        table = table.filter(are_keys(table["key"]))
        keys, codes, names = numbers_of(table)
        chosen = np.zeros(len(table), np.bool_)
        for code, name in enumerate(names):
            here = codes == code
            chosen[here] = self.has(name, keys[here])
        return table.filter(pa.array(chosen))


def _each_once(keys: Keys) -> Keys:
    """Return keys sorted, each once; in a third of the time that `numpy.unique` takes."""
    keys.sort()
    return np.asarray(keys[np.diff(keys, prepend=~keys[:1]) != 0])


def first_of_each(table: pa.Table) -> pa.Array:
    """Return which rows of a table are the first of their key and index; all keys are of 16 digits."""
    keys, codes, _ = numbers_of(table)
    order = np.lexsort((keys, codes))
    is_again = (keys[order][1:] == keys[order][:-1]) & (codes[order][1:] == codes[order][:-1])
    first = np.ones(len(table), np.bool_)
    first[order[1:]] = ~is_again
    return pa.array(first)
