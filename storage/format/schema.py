"""What a store holds, as values: addresses, layer specifications, shards, manifests."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from storage.errors import LayoutError
from storage.format.digests import digest_of, digest_of_bytes, plain
from storage.format.keys import dump_key
from storage.format.row_groups import CHUNK_BYTES, row_group_bounds
from storage.format.shard_bytes import ChunkTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.format.codecs import CodecName

FORMAT = 1
"""Version of the layout and the records; a reader refuses a newer one."""

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None

MARKER = "marker"
MANIFEST = "manifest"

DTYPES = ("float32", "float16")

_LAYER_SET = "pass_name"
"""How records of format 1 call the layer set."""


@dataclass(frozen=True, order=True)
class Address:
    """The name of a representation: one layer of one model on one split of one data set."""

    dataset: str
    split: str
    model: str
    layer: str

    def __str__(self) -> str:
        """Return the address as people write it."""
        return f"{self.dataset}/{self.split}/{self.model}/{self.layer}"

    def label(self, fingerprint: str) -> str:
        """Return how people tell the representations of this name apart: with the first digits of the fingerprint."""
        return f"{self} ({fingerprint[:12]})"


@dataclass(frozen=True)
class LayerSpec:
    """How one layer is stored.

    `shape` is one sample's: ``(C, H, W)``, ``(T, D)`` or ``(D,)``; `dtype` is ``float32`` or ``float16``.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        if not 1 <= len(self.shape) <= 3 or min(self.shape) < 1:
            raise LayoutError(
                where="layer specification",
                expected="one sample's shape as (C, H, W), (T, D) or (D,), all sizes positive",
                found=str(self.shape),
                remedy="Reshape the layer's output before it is stored.",
            )
        if self.dtype not in DTYPES:
            raise LayoutError(
                where="layer specification",
                expected=f"a dtype out of {', '.join(DTYPES)}",
                found=repr(self.dtype),
                remedy="Store bfloat16 and float64 activations as float32.",
            )

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample, uncompressed."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, order=True)
class SealedLayer:
    """One representation that can be opened: its address and fingerprint, and what it holds."""

    address: Address
    fingerprint: str
    shape: tuple[int, ...]
    dtype: str
    n_bytes: int


@dataclass(frozen=True)
class DumpIdentity:
    """Which dump: a model's name on a split, and the identity that its fingerprint is the digest of."""

    dataset: str
    split: str
    model: str
    identity: Mapping[str, JSON]
    sample_digest: str

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, hex, of the identity and of the samples; the model's name is no part of it."""
        return digest_of({"identity": self.identity, "sample_digest": self.sample_digest})

    @property
    def key(self) -> str:
        """Key of the dump's group."""
        return dump_key(self.dataset, self.split, self.model, self.fingerprint)

    def label(self, layer: str = "*") -> str:
        """Return how errors name a representation of this dump."""
        return Address(self.dataset, self.split, self.model, layer).label(self.fingerprint)


@dataclass(frozen=True)
class Encoding:
    """How activations are laid out and compressed: part of no identity, the values do not depend on it.

    Parameters
    ----------
    codec
        Compressor of inner chunks; one of `storage.CODECS`. Sizes and speeds of each stand in ``storage/DESIGN.md``.
    chunk_bytes
        What an inner chunk may hold, uncompressed: the least that a reader of single samples has to decode.
    """

    codec: CodecName = "lz4"
    chunk_bytes: int = CHUNK_BYTES


@dataclass(frozen=True)
class ShardRecord:
    """One committed shard: its key below the dump, its size, what its values may be, and its chunks' digests."""

    key: str
    n_bytes: int
    n_rows: int
    absmax: float
    chunks: ChunkTable

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON; it stands in the marker of its row group."""
        own = {"key": self.key, "n_bytes": self.n_bytes, "n_rows": self.n_rows, "absmax": self.absmax}
        return {**own, "chunks": self.chunks.to_json()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ShardRecord:
        """Return the record that `to_json` described."""
        return cls(**{**content, "chunks": ChunkTable.from_json(content["chunks"])})

    def seal(self) -> ShardSeal:
        """Return what the manifest says of this shard."""
        return ShardSeal(self.key, self.n_bytes, self.n_rows, self.absmax, digest_of(self.to_json()))


@dataclass(frozen=True)
class ShardSeal:
    """What a manifest says of one shard; `digest` is the SHA-256 of its record in the marker."""

    key: str
    n_bytes: int
    n_rows: int
    absmax: float
    digest: str


@dataclass(frozen=True)
class FileRecord:
    """A file beside the shards that readers of plain Zarr rely on: metadata, coordinates."""

    key: str
    n_bytes: int
    sha256: str

    @classmethod
    def of(cls, key: str, data: bytes) -> FileRecord:
        """Return the record of a file's bytes."""
        return cls(key=key, n_bytes=len(data), sha256=digest_of_bytes(data))


@dataclass(frozen=True)
class LayerRecord:
    """One committed layer: everything a reader needs to decode its shards and to refuse others.

    `metadata` is the text of the array's ``zarr.json``, so that decoding never trusts the file.
    """

    layer: str
    shape: tuple[int, ...]
    dtype: str
    metadata: str
    shards: tuple[ShardSeal, ...]
    files: tuple[FileRecord, ...]

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> LayerRecord:
        """Return the record that `to_json` described."""
        return cls(
            layer=content["layer"],
            shape=tuple(content["shape"]),
            dtype=content["dtype"],
            metadata=content["metadata"],
            shards=tuple(ShardSeal(**shard) for shard in content["shards"]),
            files=tuple(FileRecord(**file) for file in content["files"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON."""
        return plain(asdict(self), where="layer record")


@dataclass(frozen=True)
class Manifest:
    """The commit of a layer set: which layers it sealed over which split, and under which identity.

    A *layer set* is the layers that a dump writes together: those that were not sealed when it was begun. Below its
    name, `layer_set`, lie the markers that hold the digests of the shards' chunks. `generation` counts the retirements
    (`storage.commits.retiring`) that were there when it was begun.
    """

    dataset: str
    split: str
    model: str
    fingerprint: str
    identity: Mapping[str, JSON]
    provenance: tuple[Mapping[str, JSON], ...]
    sample_digest: str
    n_samples: int
    rows_per_group: int
    generation: int
    layer_set: str
    layers: Mapping[str, LayerRecord]
    files: tuple[FileRecord, ...]

    @property
    def specs(self) -> dict[str, LayerSpec]:
        """Shape and dtype of every layer."""
        return {name: LayerSpec(shape=layer.shape, dtype=layer.dtype) for name, layer in self.layers.items()}

    @property
    def row_groups(self) -> tuple[tuple[int, int], ...]:
        """``(start, stop)`` of every row group."""
        return row_group_bounds(self.n_samples, self.rows_per_group)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Manifest:
        """Return the manifest that `to_json` described."""
        layers = {name: LayerRecord.from_json(layer) for name, layer in content["layers"].items()}
        files = tuple(FileRecord(**file) for file in content["files"])
        rest = {"layers": layers, "files": files, "provenance": tuple(content["provenance"])}
        own = {key: value for key, value in content.items() if key != _LAYER_SET}
        return cls(**{**own, **rest, "layer_set": content[_LAYER_SET]})

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as plain JSON."""
        layers = {name: layer.to_json() for name, layer in self.layers.items()}
        files = [asdict(file) for file in self.files]
        own = {**self.__dict__, _LAYER_SET: self.layer_set, "layers": layers, "files": files}
        del own["layer_set"]
        return plain(own, where="manifest")


def layer_set_name(layers: Mapping[str, LayerSpec], generation: int) -> str:
    """Return the name of the set of these layers: 12 digits of a digest of their names, specs and generation."""
    specs = {name: [list(spec.shape), spec.dtype] for name, spec in layers.items()}
    return digest_of({"layers": specs, "generation": generation})[:12]
