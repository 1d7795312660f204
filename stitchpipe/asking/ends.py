"""Layers by name: ``MODEL/LAYER`` with globs, a model's name for all its layers, and one refusal of what is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from stitchpipe.asking.errors import WorkspaceError, listed
from stitchpipe.globs import meant_by
from stitchpipe.run.names import LayerName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stitchpipe.run.place import RunPlace

Ends: TypeAlias = "str | Sequence[str]"
"""``A/layer2.0``, ``B/*``, ``*/layer?.0``, ``A`` for all layers of A, or several of these."""

EVERYTHING = "*"


@dataclass(frozen=True)
class LayerNames:
    """The layers that names may mean, model by model, in the networks' order.

    Attributes
    ----------
    where
        What has these layers, for messages.
    """

    where: str
    known: tuple[LayerName, ...]

    def matching(self, ends: Ends) -> list[LayerName]:
        """Return the layers that some globs match, each once, in the networks' order.

        Raises
        ------
        WorkspaceError
            A glob matches none; the nearest names are given.
        """
        chosen: set[LayerName] = set()
        for pattern in (ends,) if isinstance(ends, str) else ends:
            chosen.update(self._of(pattern))
        return [name for name in self.known if name in chosen]

    def one(self, end: str) -> LayerName:
        """Return the one layer that a name or glob means; `WorkspaceError` where it means none or several."""
        layers = self.matching(end)
        if len(layers) > 1:
            raise WorkspaceError(
                where=self.where,
                expected="the name of one layer, MODEL/LAYER",
                found=f"'{end}', which means {len(layers)}",
                remedy=f"Say which: {listed([str(layer) for layer in layers])}.",
            )
        return layers[0]

    def _of(self, pattern: str) -> list[LayerName]:
        """Return what a glob means. Names come first as they are: they may hold brackets, and models' names slashes."""
        exact = [name for name in self.known if str(name) == pattern]
        if exact:
            return exact
        models, _, layers = pattern.rpartition("/")
        of_models = set(meant_by(models, dict.fromkeys(name.model for name in self.known)))
        hits = [name for name in self.known if name.model in of_models and fnmatchcase(name.layer, layers)]
        hits = hits or [name for name in self.known if pattern == name.model]
        hits = hits or [name for name in self.known if fnmatchcase(name.model, pattern)]
        if not hits:
            names = [*map(str, self.known), *self.models]
            if "/" not in pattern:
                raise WorkspaceError(
                    where=self.where,
                    expected="MODEL/LAYER, a glob over it, or a model",
                    found=f"'{pattern}'",
                    remedy=f"{self._near(pattern, names)} Models are {listed(self.models)}.".lstrip(),
                )
            raise WorkspaceError.unknown(self.where, "MODEL/LAYER or a glob over it", pattern, names)
        return hits

    def _near(self, pattern: str, names: Sequence[str]) -> str:
        """Return the layers that are called so in some model, or else the nearest names."""
        of_models = [str(name) for name in self.known if name.layer == pattern]
        if of_models:
            return f"Say of which model: {listed(of_models)}."
        near = WorkspaceError.unknown(self.where, "", pattern, names).remedy
        return near.partition(" There is:")[0] if "?" in near else ""

    @cached_property
    def models(self) -> list[str]:
        """The models, in order."""
        return list(dict.fromkeys(name.model for name in self.known))


def measured_layers(place: RunPlace) -> LayerNames:
    """Return the layers that a run has numbers of, models by name, layers in their network's order.

    Raises
    ------
    stitchpipe.results.QueryError
        There are no results.

    Notes
    -----
    Reads six columns of the results.
    """
    sides = " UNION ALL ".join(
        f"SELECT DISTINCT {side}_model AS model, {side}_layer AS layer, {side}_depth AS depth FROM results"  # noqa: S608  (our own words)
        for side in ("source", "target")
    )
    table = place.results.table(f"SELECT model, layer, min(depth) AS depth FROM ({sides}) GROUP BY ALL")  # noqa: S608
    rows = zip(*(table[name].to_pylist() for name in ("model", "layer", "depth")), strict=True)
    return LayerNames(f"results of {place.url}", in_order(rows))


def in_order(layers: Iterable[tuple[str, str, int | None]]) -> tuple[LayerName, ...]:
    """Return layers, given with their depths, models by name and layers by depth; those without one come last."""

    def position(row: tuple[str, str, int | None]) -> tuple[object, ...]:
        model, layer, depth = row
        return (natural(model), depth is None, depth or 0, natural(layer))

    return tuple(LayerName(model, layer) for model, layer, _ in sorted(layers, key=position))


def natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts names as people do: numbers by value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]
