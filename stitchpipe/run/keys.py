"""What every stored piece of work depends on, as a short digest: the whole of what decides whether it is made again.

Each function is pure and takes what the work depends on field by field, so that renaming a class or a setting of ours
changes no key. Where the same inputs would give other numbers after a change of the code, the version constant of that
work is raised here. What decides over *activations* is not here but in their identity: `stitchpipe.capture` has it,
because a store is read without any sweep.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from stitchpipe.rows import Grid

ALGEBRA_VERSION: Final = 3
"""Raised when the same representations would give other indices or maps."""
INTERVAL_VERSION: Final = 2
"""Raised when the same numbers would have other intervals."""
STITCH_VERSION: Final = 3
"""Raised when the same stitch would give other numbers."""
LAYER_VERSION: Final = 1
"""Raised when the same layer would have another number of its own."""
DELETIONS_VERSION: Final = 1
"""Raised when the same layer would have another number beside its principal components."""
DETECTOR_VERSION: Final = 1
"""Raised when the same declaration would give another detector."""
GENERATOR_VERSION: Final = 1
"""Raised when generated images change."""
INSPECTION_VERSION: Final = 1
"""Raised when the same network would be found to have other layers or cuts."""

MAP_PREFIX, STITCH_PREFIX, DETECTOR_PREFIX = "dm-", "stitch-", "detector-"


class Content(Protocol):
    """What a key must know of a layer on one split."""

    @property
    def digest(self) -> str:
        """Digest of its content."""

    @property
    def fingerprint(self) -> str:
        """Digest of the identity of its dump."""

    @property
    def sample_digest(self) -> str:
        """Digest of the sample ids in stored order."""


class Side(NamedTuple):
    """A layer on both splits, as one side of a pair."""

    name: str
    train: Content
    test: Content

    @property
    def digests(self) -> tuple[str, str]:
        """Of the content on the two splits."""
        return self.train.digest, self.test.digest


class Products(NamedTuple):
    """How blocks of rows are multiplied: last digits depend on it."""

    precision: str
    backend: str


def digest_of(*parts: Any) -> str:
    """Return the first 16 hex digits of SHA-256 over the parts' canonical JSON; all that is not JSON is refused."""
    return _whole_digest(*parts).hex()[:16]


def _whole_digest(*parts: Any) -> bytes:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_refuse)
    return sha256(text.encode()).digest()


def _refuse(part: object) -> Any:
    raise TypeError(f"a key of {type(part).__name__}: pass its fields")


def side_digest(side: Side) -> bytes:
    """Return what the keys of pairs depend on of one layer: its name, content and samples on both splits; 32 bytes."""
    return _whole_digest(side.name, side.digests, side.train.sample_digest, side.test.sample_digest)


@dataclass(frozen=True, eq=False)
class PairKeys:
    """The keys of the numbers of pairs of layers under a view: everything that they depend on but the index.

    A pair's key knows of no other layer but those of its family: a new model adds pairs, and leaves those that are
    there. It is the first eight bytes of BLAKE2b over three digests of a fixed size, so that a million keys take half
    a second.

    Attributes
    ----------
    commons
        Digest of what all pairs of a kind have in common.
    kinds
        Which of them each pair has, ``[layers, layers]``, source first.
    sides
        `side_digest` of each layer.
    """

    commons: tuple[bytes, ...]
    kinds: npt.NDArray[np.int64]
    sides: tuple[bytes, ...]

    @classmethod
    def of(
        cls,
        sides: Sequence[Side],
        *,
        view: str,
        products: Products,
        certainties: Sequence[Mapping[str, Any]],
        kinds: npt.NDArray[np.int64],
    ) -> PairKeys:
        """Return the keys of the pairs of some layers; `kinds` says which of the certainties each pair has."""
        commons = [_whole_digest(view, *products, certainty, ALGEBRA_VERSION) for certainty in certainties]
        return cls(tuple(commons), kinds, tuple(map(side_digest, sides)))

    def added_by(self, package: str | None) -> PairKeys:
        """Return the keys of an index that a package adds: they depend on its version too. None: an index of ours."""
        if package is None:
            return self
        commons = (_whole_digest(common.hex(), package) for common in self.commons)
        return PairKeys(tuple(commons), self.kinds, self.sides)

    @cached_property
    def matrix(self) -> npt.NDArray[np.uint64]:
        """The keys of all pairs, ``[layers, layers]``, source first."""
        digests = bytearray()
        for source, kinds in zip(self.sides, self.kinds, strict=True):
            begun = {
                kind: blake2b(self.commons[kind] + source, digest_size=8)
                for kind in np.unique(kinds).tolist()
            }
            for target, kind in zip(self.sides, kinds.tolist(), strict=True):
                hashed = begun[kind].copy()
                hashed.update(target)
                digests += hashed.digest()
        return np.frombuffer(bytes(digests), ">u8").astype(np.uint64).reshape(self.kinds.shape)


def prediction_key(source: tuple[str, Content], target: tuple[str, Content], *, view: str, index: str) -> str:
    """Return the key of what two models' predictions have in common, given each one's name and logits."""
    sides = ((model, logits.digest, logits.sample_digest) for model, logits in (source, target))
    return digest_of(*sides, view, index, ALGEBRA_VERSION)


def layer_key(side: Side, *, view: str, labels: str | None) -> str:
    """Return the key of the numbers that a layer has by itself under a view.

    Parameters
    ----------
    labels
        Digest of the labels of both splits, of what is fitted on the training split; None of what reads neither.
    """
    fitted_on = [] if labels is None else [side.train.digest, side.train.sample_digest, labels]
    return digest_of(side.name, side.test.digest, side.test.sample_digest, view, fitted_on, LAYER_VERSION)


def deletions_key(side: Side, *, view: str, labels: str) -> str:
    """Return the key of a layer held against its own principal components; labels of both splits are a part of it."""
    return digest_of("deletions", layer_key(side, view=view, labels=labels), DELETIONS_VERSION)


def map_key(
    source: Side, target: Side, *, view: str, grids: tuple[Grid, Grid], family: str, products: Products
) -> str:
    """Return the key of a least-squares map of a pair, fitted on the training split."""
    return MAP_PREFIX + digest_of(
        source.train.digest,
        target.train.digest,
        source.train.sample_digest,
        (view, *grids, family),
        *products,
        ALGEBRA_VERSION,
    )


def stitch_key(
    declared: Mapping[str, Any],
    source: Side,
    target: Side,
    *,
    judged_by: Mapping[str, Any],
    products: Products | None,
    objective_of: str | None = None,
    groups: Sequence[str | None] = (),
) -> str:
    """Return the key of everything that is kept of one stitch.

    Parameters
    ----------
    declared
        What the stitch is: its ends, its map, where a training begins and its budget.
    judged_by
        What the table [ood] stands for.
    products
        Of the map that it is or begins with; None where it needs none.
    objective_of
        The package, with its version, that adds what a training minimises; None where that is ours.
    groups
        Digests of what the images of both splits belong to, over which limits of accuracies are; none where each is on
        its own.

    Notes
    -----
    The target's fingerprint covers its weights, and so its tail.
    """
    return STITCH_PREFIX + digest_of(
        declared,
        source.digests,
        target.digests,
        target.test.fingerprint,
        judged_by,
        products,
        STITCH_VERSION,
        # An objective of ours adds nothing: its changes raise the version above.
        *([] if objective_of is None else [objective_of]),
        *([{"groups": list(groups)}] if groups else []),
    )


def detector_key(target: Side, *, grid: Grid, declared: Mapping[str, Any]) -> str:
    """Return the key of a detector that is trained for a target layer."""
    contents = [(content.digest, content.fingerprint) for content in (target.train, target.test)]
    return DETECTOR_PREFIX + digest_of(contents, grid, declared, DETECTOR_VERSION)


def training_key(declared: Mapping[str, Any], *, images: Sequence[str]) -> str:
    """Return the key of a model's weights: what the sweep says of them, and the digests of both splits' images."""
    return digest_of(declared, *images)


def dump_key(
    declared: Mapping[str, Any],
    *,
    dump: Mapping[str, Any],
    data: Mapping[str, Any],
    augment: Mapping[str, Any] | None,
    origin: str | None,
) -> str:
    """Return the key of what a sweep says about a dump.

    Parameters
    ----------
    augment
        How images are augmented; None where they are not.
    origin
        The key of the dump that a control is made from, on the same split; None where there is none.
    """
    return digest_of(declared, dump, data, augment, origin)


def inspection_key(declared: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Return the key of what a network was found to consist of: what is built, and for which images."""
    return digest_of(declared, data, INSPECTION_VERSION)


def part_key(keys: npt.NDArray[np.uint64], codes: npt.NDArray[np.integer[Any]], names: Sequence[str]) -> str:
    """Return the key of a part of the results, by the key of each of its numbers and the code of its index."""
    hashed = sha256(json.dumps(list(names)).encode())
    hashed.update(keys.astype(">u8").tobytes())
    hashed.update(codes.astype(">i4").tobytes())
    return hashed.hexdigest()[:16]
