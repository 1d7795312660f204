"""Models of which there are only activations: what was ingested for them in the run's store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.config import ConfigError, StoredData
from stitchpipe.errors import nearest
from stitchpipe.registry import index_measure
from stitchpipe.run.names import SPLITS, TEST, TRAIN
from storage import Address, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from stitchpipe.config import IngestedModel, Sweep
    from storage import Representation, SealedLayer, Store


class Ingested:
    """What was ingested for the models of a sweep.

    Parameters
    ----------
    open_store
        Opens the run's store for reading.
    """

    def __init__(self, sweep: Sweep, open_store: Callable[[], Store], url: str) -> None:
        self._sweep, self._open_store, self._url = sweep, open_store, url

    def shapes(self, declared: IngestedModel) -> dict[str, tuple[int, ...]]:
        """Return the shape of a sample of every layer that was ingested for a model, by name.

        Raises
        ------
        ConfigError
            The store has none on the test split, or there is no store; a fingerprint that the sweep names is of none.
        """
        store = self._store_there()
        shapes: dict[str, tuple[int, ...]] = {}
        if store is not None:
            self._demand_fingerprints(store, declared)
            shapes = {
                sealed.address.layer: sealed.shape[1:] for sealed in self._sealed(store, declared, TEST)
            }
        if not shapes:
            label = self._sweep.data.label
            raise ConfigError(
                where=f"model '{declared.name}'",
                expected=f"ingested activations on split '{TEST}' of data set '{label}' in {self._url}",
                found="none",
                remedy=f"Put them there with `stitchpipe ingest DIR FILE --dataset {label} "
                f"--split {TEST} --model {declared.name}`, DIR being the --out of this sweep.",
            )
        return shapes

    def representation(self, store: Store, declared: IngestedModel, layer: str, split: str) -> Representation:
        """Open one ingested layer on one split.

        A store without a training split has nothing to fit on, which `demand_fitting_split` refused where something
        is fitted: the test split then stands in, unread.

        Raises
        ------
        ConfigError
            There are several, and the sweep does not say which.
        storage.StoreError
            There is none.
        """
        if split == TRAIN and TRAIN not in self.splits(store):
            split = TEST
        address = Address(self._sweep.data.label, split, declared.name, layer)
        sealed = self._sealed(store, declared, split, layer)
        if len(sealed) > 1:
            raise ConfigError(
                where=f"model '{declared.name}'",
                expected=f"one representation called {address}",
                found=f"{len(sealed)}: {', '.join(candidate.fingerprint[:12] for candidate in sealed)}",
                remedy='Say which one is meant: fingerprints = ["DIGITS"] in its [[models]] table.',
            )
        return store.representation(address, fingerprint=sealed[0].fingerprint if sealed else None)

    def splits(self, store: Store) -> tuple[str, ...]:
        """Return which of both splits the pipeline can use: both, unless the store is all there is."""
        if not isinstance(self._sweep.data, StoredData):
            return SPLITS
        return tuple(name for name in SPLITS if (self._sweep.data.label, name) in store.splits())

    def demand_fitting_split(self) -> None:
        """Refuse maps and stitches where the store has no training split to fit them on.

        Raises
        ------
        ConfigError
            Names what is asked for.
        """
        sweep = self._sweep
        held_out = sorted(
            {index for table in sweep.compare for index in table.indices if index_measure(index).held_out}
        )
        wanted = [*held_out, *(["stitches"] if sweep.stitch else [])]
        store = self._store_there() if isinstance(sweep.data, StoredData) and wanted else None
        if store is None:
            return
        there = self.splits(store)
        if TRAIN not in there:
            raise ConfigError(
                where=f"sweep '{sweep.name}'",
                expected=f"a split '{TRAIN}' of data set '{sweep.data.label}', for maps to be fitted on",
                found=f"only '{', '.join(there)}', with {', '.join(wanted)} asked for",
                remedy=f"Ingest activations of other samples with --split {TRAIN}, or ask for other indices.",
            )

    def _sealed(
        self, store: Store, declared: IngestedModel, split: str, layer: str | None = None
    ) -> list[SealedLayer]:
        """Return what is sealed for a model on a split; where a fingerprint that the sweep names is there, it alone."""
        sealed = store.representations(
            dataset=self._sweep.data.label, split=split, model=declared.name, layer=layer
        )
        named = [candidate for candidate in sealed if candidate.fingerprint.startswith(declared.fingerprints)]
        chosen = {candidate.address for candidate in named}
        return [candidate for candidate in sealed if candidate in named or candidate.address not in chosen]

    def _demand_fingerprints(self, store: Store, declared: IngestedModel) -> None:
        """Refuse a fingerprint that nothing of the model has: it would choose nothing, in silence."""
        sealed = store.representations(dataset=self._sweep.data.label, model=declared.name)
        known = {candidate.fingerprint for candidate in sealed}
        for digits in declared.fingerprints:
            if known and not any(fingerprint.startswith(digits) for fingerprint in known):
                raise ConfigError(
                    where=f"model '{declared.name}', fingerprints",
                    expected=f"the first digits of one of {', '.join(sorted(each[:12] for each in known))}",
                    found=f"'{digits}'",
                    remedy=nearest(digits, [each[: len(digits)] for each in known]) or "Name one of these.",
                )

    def _store_there(self) -> Store | None:
        """Return the run's store, or None where nothing was put there yet."""
        try:
            return self._open_store()
        except NotFoundError:
            return None
