"""What a sweep's later steps work on: the two ends of every pair, found in the store by the dumps' records.

Neither weights nor forward passes are needed here: a source network may be gone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from stitchpipe.registry import provider
from stitchpipe.rows import grid_of, token_grid
from stitchpipe.stitching import OBJECTIVES
from stitchpipe.sweep.dumping import stored
from stitchpipe.sweep.folder import Folder, key_of, opened_store
from stitchpipe.sweep.foreign_images import ood_identity
from stitchpipe.sweep.networks import TEST, TRAIN
from storage import Address, Representation, Store, check_pairing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np

    from stitchpipe.config import Compare, Sweep
    from stitchpipe.rows import Grid, View
    from stitchpipe.sweep.jobs import Job, LayerName

ALGEBRA_VERSION = 2
"""Raised when the same representations would give other indices or maps."""
STITCH_VERSION = 3
"""Raised when the same stitch would give other numbers."""
STITCH_VIEW: View = "positions"
"""A 1×1 convolution acts on every position: its least-squares map is fitted on positions."""


class Contents(Protocol):
    """What comparisons must know of a layer on a split, beside its values; a representation tells it, for one."""

    @property
    def address(self) -> Address:
        """Its name."""

    @property
    def fingerprint(self) -> str:
        """Digest of the identity of its dump."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What makes its values what they are."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What it was computed with."""

    @property
    def chunk_rows(self) -> int:
        """Samples that are read as one."""

    @property
    def digest(self) -> str:
        """Digest of its content."""

    @property
    def sample_digest(self) -> str:
        """Digest of the sample ids in stored order."""

    @property
    def row_groups(self) -> tuple[tuple[int, int], ...]:
        """``(start, stop)`` of each."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_samples, …)``."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As stored, or as it would be."""


Known = TypeVar("Known", bound=Contents, covariant=True)  # noqa: PLC0105  (every End is one of Contents too)


@dataclass(frozen=True, slots=True)
class End(Generic[Known]):
    """A layer on both splits; maps are fitted on `train` and scored on `test`."""

    name: LayerName
    train: Known
    test: Known

    @property
    def grid(self) -> Grid:
        """Return the grid of the layer's positions."""
        shape, image = self.test.shape[1:], self.test.identity.get("image_size")
        tokens = token_grid(shape[0], (image[0], image[1])) if image and len(shape) == 2 else None
        return grid_of(shape, tokens)

    @property
    def digests(self) -> tuple[str, str]:
        """Return the content digests on the two splits."""
        return (self.train.digest, self.test.digest)


StoredEnd: TypeAlias = End[Representation]
Ends: TypeAlias = "Mapping[LayerName, End[Contents]]"


def open_ends(sweep: Sweep, folder: Folder, names: Iterable[LayerName]) -> dict[LayerName, StoredEnd]:
    """Open the named layers on both splits, and check that all hold the same samples in the same order.

    Raises
    ------
    ConfigError
        A model was not dumped as the sweep declares it, or an ingested one's name stands for several contents.
    storage.StoreError
        A representation is missing; samples differ.
    """
    store = opened_store(sweep, folder)
    found = {
        name: End(name, *(open_representation(sweep, folder, store, name, split) for split in (TRAIN, TEST)))
        for name in names
    }
    first = next(iter(found.values()))
    for end in found.values():
        check_pairing(first.train, end.train)
        check_pairing(first.test, end.test)
    return found


def open_representation(
    sweep: Sweep, folder: Folder, store: Store, name: LayerName, split: str
) -> Representation:
    """Open one layer on one split: as the sweep's dump recorded it, or as it was ingested."""
    return stored(sweep, folder, store, sweep.model(name.model), name.layer, split)


def pair_keys(sweep: Sweep, ends: Ends, table: Compare) -> dict[tuple[LayerName, LayerName], str]:
    """Return the key of every pair's numbers: everything that they depend on but the index.

    A pair's key knows of no other layer: a new model adds pairs, and leaves those that are there.
    """
    first = next(iter(ends.values()))
    rest = (
        first.train.sample_digest,
        first.test.sample_digest,
        table.view,
        sweep.run.products,
        sweep.run.backend,
        sweep.certainty.model_dump(),
        ALGEBRA_VERSION,
    )
    sides = {name: (str(name), end.digests) for name, end in ends.items()}
    return {(x, y): key_of(sides[x], sides[y], *rest) for x in ends for y in ends}


def index_key(pair_key: str, index: str) -> str:
    """Return the key of one index of a pair: the pair's own, but where a package adds the index, that package counts.

    A new version of the package computes its own index again and nothing else.
    """
    added_by = provider(index)
    return pair_key if added_by is None else key_of(pair_key, added_by)


def map_key(sweep: Sweep, source: End[Contents], target: End[Contents], family: str) -> str:
    """Return the key of a least-squares map of a pair, fitted on the training split."""
    return "dm-" + key_of(
        source.train.digest,
        target.train.digest,
        source.train.sample_digest,
        (STITCH_VIEW, source.grid, target.grid, family),
        sweep.run.products,
        sweep.run.backend,
        ALGEBRA_VERSION,
    )


def stitch_key(sweep: Sweep, job: Job, ends: Ends) -> str:
    """Return a stitch's key in the catalogue: everything that its numbers depend on.

    The target's fingerprint covers its weights, and so its tail.
    """
    source, target = ends[job.source], ends[job.target]
    version = 0 if job.budget is None else OBJECTIVES.named(job.budget.objective).version
    return "stitch-" + key_of(
        asdict(job),
        source.digests,
        target.digests,
        target.test.fingerprint,
        ood_identity(sweep),
        (sweep.run.products, sweep.run.backend) if job.map is not None else None,
        STITCH_VERSION,
        *([version] if version else []),
    )


def ends_of(jobs: Sequence[Job]) -> list[LayerName]:
    """Return the layers that stitches begin or end at, each once, sorted."""
    return sorted({name for job in jobs for name in (job.source, job.target)})
