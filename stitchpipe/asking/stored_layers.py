"""What a run's store holds: layers by name, the contents that a name stands for now, and bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stitchpipe.asking.ends import LayerNames
from stitchpipe.asking.errors import WorkspaceError, listed
from stitchpipe.run.file_names import dump_record
from stitchpipe.run.names import LayerName

if TYPE_CHECKING:
    import pandas as pd

    from stitchpipe.run.place import RunPlace
    from storage import EvictedLayer, Representation, SealedLayer, Store


def representations(store: Store) -> pd.DataFrame:
    """Return every representation that a store holds or held, one row each, in the order of their addresses.

    Returns
    -------
    DataFrame
        ``dataset``, ``split``, ``model``, ``layer``, ``shape`` (samples first), ``dtype``, ``bytes`` (on the disk, as
        compressed), ``fingerprint`` and ``state``: ``sealed``, or ``evicted`` of one whose values were given up, with
        the bytes that it had.

    Notes
    -----
    Reads the records of the store and no values.

    Examples
    --------
    >>> run.representations().groupby("model")["bytes"].sum()  # doctest: +SKIP
    """
    import pandas as pd  # noqa: PLC0415 - a third of a second that only whoever asks should pay

    rows = [_row(layer, "sealed") for layer in store.representations()]
    rows += [_row(layer, "evicted") for layer in store.evicted()]
    columns = ["dataset", "split", "model", "layer", "shape", "dtype", "bytes", "fingerprint", "state"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values(["dataset", "split", "model"], kind="stable", ignore_index=True)


def stored_names(store: Store) -> LayerNames:
    """Return the layers that a store has values of, in the order of the store."""
    sealed = (layer.address for layer in store.representations())
    names = dict.fromkeys(LayerName(address.model, address.layer) for address in sealed)
    return LayerNames(f"activations in {store.url}", tuple(names))


def stored_layer(
    place: RunPlace,
    store: Store,
    name: LayerName,
    split: str,
    *,
    dataset: str | None = None,
    fingerprint: str | None = None,
) -> Representation:
    """Return the values that a layer's name stands for on a split: those that the run dumped last.

    Parameters
    ----------
    dataset
        Needed only where the store has several with such a split.
    fingerprint
        The first digits of another dump's, to have that one.

    Raises
    ------
    WorkspaceError
        There are none on this split, or of several data sets.
    storage.AmbiguousError
        Several dumps have this name, and the run has none of them on record, as where they were ingested.
    """
    sealed = store.representations(dataset=dataset, split=split, model=name.model, layer=name.layer)
    datasets = sorted({layer.address.dataset for layer in sealed})
    if not sealed:
        there = store.representations(dataset=dataset, model=name.model, layer=name.layer)
        known = sorted({f"{layer.address.dataset}/{layer.address.split}" for layer in there})
        raise WorkspaceError(
            where=f"{name} in {store.url}",
            expected=f"values on split '{split}'",
            found="none",
            remedy=f"There is: {listed(known)}.",
        )
    if len(datasets) > 1:
        raise WorkspaceError(
            where=f"{name} in {store.url}",
            expected="the data set that is meant, because there are several",
            found="none named",
            remedy=f"Say which, dataset='{datasets[0]}' for example: {listed(datasets)}.",
        )
    record = place.files.record(dump_record(name.model, split)) if fingerprint is None else None
    if record is not None and record["fingerprint"] in {layer.fingerprint for layer in sealed}:
        fingerprint = str(record["fingerprint"])
    return store.representation(sealed[0].address, fingerprint=fingerprint)


def _row(layer: SealedLayer | EvictedLayer, state: str) -> dict[str, Any]:
    at = layer.address
    return {
        "dataset": at.dataset,
        "split": at.split,
        "model": at.model,
        "layer": at.layer,
        "shape": tuple(layer.shape),
        "dtype": str(layer.dtype),
        "bytes": layer.n_bytes,
        "fingerprint": layer.fingerprint,
        "state": state,
    }
