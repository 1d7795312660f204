"""A run's folder, opened for questions: models, layers, lazy activations, results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError
from stitchpipe.location import store_location
from stitchpipe.results import Catalogue
from storage import Address, Store, open_store

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class WorkspaceError(ExplainedError, ValueError):
    """A folder holds no run, or not what was asked of it."""


class Workspace:
    """A run's folder: ``store.zarr/``, ``results/*.parquet``, ``report/index.html``.

    Parameters
    ----------
    root
        The folder; read-only use. `WorkspaceError` if it holds no store.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        location = store_location(self.root)
        if "://" not in location and not Path(location).is_dir():
            raise WorkspaceError(
                where=str(self.root),
                expected="the folder of a run, with store.zarr/ in it",
                found="no store" if self.root.is_dir() else "no such folder",
                remedy="Give the --out folder of a run, or make one with `stitchpipe quickstart`.",
            )
        self._store = open_store(location)

    def __repr__(self) -> str:
        return f"Workspace({str(self.root)!r})"

    @property
    def store(self) -> Store:
        """Return the activation store."""
        return self._store

    def models(self) -> list[str]:
        """Return the names of the models with sealed representations, in alphabetical order."""
        return sorted({found.address.model for found in self._store.representations()})

    def layers(self, model: str) -> list[str]:
        """Return the names of a model's layers, in the network's order; `WorkspaceError` for no such model."""
        names = dict.fromkeys(found.address.layer for found in self._store.representations(model=model))
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
        found = self._store.representations(dataset=dataset, split=split, model=model, layer=layer)
        addresses = {entry.address for entry in found}
        if not addresses:
            known = [
                f"{entry.address.model}/{entry.address.layer} on {entry.address.split}"
                for entry in self._store.representations(model=model if model in self.models() else None)
            ]
            raise self._unknown("a sealed representation", f"{model}/{layer} on {split}", known)
        if len(addresses) > 1:
            raise self._unknown(
                "a single data set", f"{model}/{layer} on {split}", sorted(a.dataset for a in addresses)
            )
        address: Address = addresses.pop()
        return self._store.representation(address, fingerprint=fingerprint).to_xarray()

    def results(self) -> pd.DataFrame:
        """Return all results in long form, one row per number."""
        return self._catalogue.read()

    def query(self, sql: str) -> pd.DataFrame:
        """Answer one SELECT over the table ``results``; `stitchpipe.results.QueryError` otherwise."""
        return self._catalogue.query(sql)

    @property
    def _catalogue(self) -> Catalogue:
        return Catalogue(self.root / "results")

    def _unknown(self, expected: str, found: str, known: list[str]) -> WorkspaceError:
        shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
        return WorkspaceError(
            where=str(self.root),
            expected=expected,
            found=f"'{found}'",
            remedy=f"There is: {shown or 'nothing'}.",
        )


def open_workspace(root: str | Path) -> Workspace:
    """Open a run's folder; `WorkspaceError` if there is none."""
    return Workspace(root)
