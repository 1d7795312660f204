"""A run opened for questions, without its sweep: models, layers, lazy activations, results."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stitchpipe.errors import ExplainedError, nearest
from stitchpipe.run.place import RunPlace

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from storage import Address, Store


class WorkspaceError(ExplainedError, ValueError):
    """A place holds no run, or not what was asked of it."""


class Workspace:
    """A run opened for questions; read-only.

    Parameters
    ----------
    place
        Its folder, or ``s3://bucket/prefix``. `WorkspaceError` if it holds no store.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = RunPlace.at(place)
        self.place.demand_current()
        if not self.place.has_store:
            is_there = not self.place.is_folder or Path(self.place.url).is_dir()
            raise WorkspaceError(
                where=self.place.url,
                expected="the folder of a run, with store.zarr/ in it",
                found="no store" if is_there else "no such folder",
                remedy="Give the --out folder of a run, or make one with `stitchpipe quickstart`.",
            )

    def __repr__(self) -> str:
        return f"Workspace({self.place.url!r})"

    @cached_property
    def store(self) -> Store:
        """The activation store."""
        return self.place.open_store()

    def models(self) -> list[str]:
        """Return the names of the models with sealed representations, in alphabetical order."""
        return sorted({sealed.address.model for sealed in self.store.representations()})

    def layers(self, model: str) -> list[str]:
        """Return the names of a model's layers, in the network's order; `WorkspaceError` for no such model."""
        names = dict.fromkeys(sealed.address.layer for sealed in self.store.representations(model=model))
        if not names:
            raise self._unknown("a model of this store", model, self.models())
        return list(names)

    def activations(
        self,
        model: str,
        layer: str,
        *,
        split: str = "test",
        dataset: str | None = None,
        fingerprint: str | None = None,
    ) -> xr.DataArray:
        """Return a layer's activations, lazily: nothing is read before values are asked for.

        Dimensions are ``sample, channel, y, x`` (or ``sample, token, feature``; ``sample, feature``), with
        coordinates for sample ids and labels.

        Raises
        ------
        WorkspaceError
            No such representation, or the data set must be named because there are several.
        storage.StoreError
            The name stands for several fingerprints and none is given, or a shard is damaged (on reading).
        """
        sealed = self.store.representations(dataset=dataset, split=split, model=model, layer=layer)
        addresses = {entry.address for entry in sealed}
        if not addresses:
            known = [
                f"{entry.address.model}/{entry.address.layer} on {entry.address.split}"
                for entry in self.store.representations(model=model if model in self.models() else None)
            ]
            raise self._unknown("a sealed representation", f"{model}/{layer} on {split}", known)
        if len(addresses) > 1:
            datasets = sorted(address.dataset for address in addresses)
            raise self._unknown("a single data set", f"{model}/{layer} on {split}", datasets)
        address: Address = addresses.pop()
        return self.store.representation(address, fingerprint=fingerprint).to_xarray()

    def results(self) -> pd.DataFrame:
        """Return all results in long form, one row per number."""
        return self.place.results.read()

    def query(self, sql: str) -> pd.DataFrame:
        """Answer one SELECT over the table ``results``; `stitchpipe.results.QueryError` otherwise."""
        return self.place.results.query(sql)

    def nearest(
        self,
        model: str,
        layer: str,
        *,
        measure: str,
        view: str,
        side: Literal["source", "target"] = "target",
        k: int = 10,
    ) -> pd.DataFrame:
        """Return the `k` layers most similar to one by a measure; see `stitchpipe.results.Catalogue.nearest`."""
        return self.place.results.nearest(model, layer, measure=measure, view=view, side=side, k=k)

    def _unknown(self, expected: str, found: str, known: list[str]) -> WorkspaceError:
        shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
        near = nearest(found, known)
        return WorkspaceError(
            where=self.place.url,
            expected=expected,
            found=f"'{found}'",
            remedy=f"{near} There is: {shown or 'nothing'}.".lstrip(),
        )


def open_workspace(place: str | Path) -> Workspace:
    """Open a run for questions; `WorkspaceError` if there is none."""
    return Workspace(place)
