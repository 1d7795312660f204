"""The layers of every model of a sweep, from the records that `inspect` leaves: no network is built for them again.

A network is inspected where no record of it is there, as for `stitchpipe plan` before anything was run; what was found
is then remembered for as long as the run is open.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cached_property
from glob import escape
from typing import TYPE_CHECKING, Any

from stitchpipe.config import ControlModel, IngestedModel, NetworkModel, RandomCodes, layer_word
from stitchpipe.globs import meant_by
from stitchpipe.graph import Inspection, InspectionError, LayerError, LayerInfo, inspect, matching, suggestion
from stitchpipe.run import keys
from stitchpipe.run.declared import data_fields, network_fields
from stitchpipe.run.file_names import inspection_record
from stitchpipe.run.layer_words import meant
from stitchpipe.run.names import TEST, LayerName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.config import Control, Model, Stitch, Sweep
    from stitchpipe.run.data import RunData
    from stitchpipe.run.ingested import Ingested
    from stitchpipe.run.networks import Networks
    from stitchpipe.run.place import RunPlace

CODES = "codes"
"""The layer of random codes."""

LayerTable = dict[str, tuple[LayerInfo, ...]]
"""Model → the layers that the sweep's globs select, in the network's order."""


class Layers:
    """The layers of a sweep's models."""

    def __init__(
        self, sweep: Sweep, place: RunPlace, data: RunData, networks: Networks, ingested: Ingested
    ) -> None:
        self._sweep, self._place, self._data = sweep, place, data
        self._networks, self._ingested = networks, ingested
        self._inspected: dict[str, Inspection] = {}
        self._on_record: set[str] = set()
        self._selected: LayerTable = {}

    @cached_property
    def table(self) -> LayerTable:
        """For every model, the layers that the sweep's globs select, in the network's order; errors as `of`."""
        self._look_up()
        return {declared.name: self.of(declared.name) for declared in self._sweep.models}

    def of(self, model: str) -> tuple[LayerInfo, ...]:
        """Return the layers of one model that the sweep's globs select, in the network's order.

        Those of ingested models are those of the store, in the natural order of their names; a control that permutes
        samples has those of the model whose they are. No other model is looked at.

        Raises
        ------
        ConfigError, stitchpipe.graph.LayerError
            The architecture is unknown, a glob matches no layer, or nothing was ingested.
        """
        if model not in self._selected:
            self._selected[model] = self._select(self._sweep.model(model))
        return self._selected[model]

    def _select(self, declared: Model) -> tuple[LayerInfo, ...]:
        if isinstance(declared, ControlModel):
            return _chosen(self._control_layers(declared.control), declared.layers or ("*",), declared)
        if isinstance(declared, IngestedModel):
            known = self._ingested_layers(declared)
        else:
            known = self.inspection(declared).layers
        return _chosen(known, self._sweep.layer_globs(declared), declared)

    def demand_globs(self) -> None:
        """Refuse a glob or word that several models share and that fits no layer of any of them.

        Of a part of a sweep nothing is refused, because it may fit in the rest.

        Raises
        ------
        stitchpipe.graph.LayerError
            The first such glob, with where it stands.
        """
        if self._sweep.part_of is not None or self._sweep.left_out:
            return
        sharing: dict[tuple[str, str], list[NetworkModel]] = {}
        for declared in self._sweep.models:
            if not isinstance(declared, NetworkModel):
                continue
            for choice in self._sweep.layer_globs(declared) if _shares(declared) else ():
                sharing.setdefault((_key_of(declared), choice), []).append(declared)
        for (key, choice), models in sharing.items():
            known = [self.inspection(declared).layers for declared in models]
            if not any(_fitting(layers, choice) for layers in known):
                names = [info.name for layers in known for info in layers if not info.is_function]
                raise LayerError(
                    where=key,
                    expected=f"globs that fit a layer of one of its {len(models)} models",
                    found=f"'{choice}', which fits none",
                    remedy=suggestion(choice, list(dict.fromkeys(names))),
                )

    @cached_property
    def headless(self) -> frozenset[str]:
        """The models whose networks give features and no logits."""
        networks = self._sweep.networks
        return frozenset(declared.name for declared in networks if not self.inspection(declared).has_logits)

    def names(self) -> list[LayerName]:
        """Return every layer of the table, model by model, in the networks' order."""
        return [LayerName(model, info.name) for model, infos in self.table.items() for info in infos]

    @cached_property
    def depths(self) -> dict[LayerName, int]:
        """The place of every layer of the table in its network's order, 0 for the first."""
        return {
            LayerName(model, info.name): depth
            for model, infos in self.table.items()
            for depth, info in enumerate(infos)
        }

    def without_words(self, stitch: Stitch) -> Stitch:
        """Return a table of stitches with names of layers in place of words, of those that the sweep selects."""
        ends = {side: self._addresses(getattr(stitch, side)) for side in ("sources", "targets")}
        return stitch.model_copy(update=ends)

    def _addresses(self, patterns: Sequence[str]) -> tuple[str, ...]:
        found: list[str] = []
        for pattern in patterns:
            models, _, layer = pattern.rpartition("/")
            # A word that no layer of these models fits stays, and is refused like a glob that fits none.
            found += (layer_word(layer) is not None and self._spelt(models, layer)) or [pattern]
        return tuple(found)

    def _spelt(self, models: str, word: str) -> list[str]:
        names = meant_by(models, self._sweep.labels)
        return [f"{escape(name)}/{escape(layer)}" for name in names for layer in self._meant(name, word)]

    def _meant(self, model: str, word: str) -> list[str]:
        """Return the names of the layers of a model that a word stands for among those that the sweep selects."""
        selected = self.of(model)
        declared = self._sweep.model(model)
        known = self.inspection(declared).layers if isinstance(declared, NetworkModel) else selected
        return [info.name for info in meant(word, known, among=[info.name for info in selected])]

    def info(self, name: LayerName) -> LayerInfo:
        """Return what is known of a layer of the table; `KeyError` of any other."""
        return self._infos[name]

    @cached_property
    def _infos(self) -> dict[LayerName, LayerInfo]:
        return {LayerName(model, info.name): info for model, infos in self.table.items() for info in infos}

    def inspection(self, declared: NetworkModel) -> Inspection:
        """Return what a network consists of: from its record, or found now where there is none of this declaration."""
        name = declared.name
        # Inspection runs the network on an image, which the record saves every later command.
        if name not in self._inspected and not self.is_on_record(declared):
            image = self._data.splits[TEST].batch([0])
            self._inspected[name] = inspect(self._networks.built(declared), image)
        return self._inspected[name]

    def is_on_record(self, declared: NetworkModel) -> bool:
        """Whether a network was inspected as it is declared now. One listing, one read; no network is built."""
        name = declared.name
        if name not in self._on_record:
            self._note(declared, self._place.files.record(inspection_record(name)))
        return name in self._on_record

    def on_record(self) -> list[NetworkModel]:
        """Return the networks that were inspected as they are declared now; no network is built.

        One listing, and one read for each that was not looked up before, side by side.
        """
        self._look_up()
        return [declared for declared in self._sweep.networks if declared.name in self._on_record]

    def _look_up(self) -> None:
        """Read the records of all networks that are not known yet: of many, one after the other would take minutes."""
        missing = {
            inspection_record(declared.name): declared
            for declared in self._sweep.networks
            if declared.name not in self._on_record
        }
        if missing:
            for record, content in self._place.files.records_of(missing, "models").items():
                self._note(missing[record], content)

    def keep(self, declared: NetworkModel) -> Inspection:
        """Return what a network consists of, and leave it on record for whoever opens the run next."""
        inspection = self.inspection(declared)
        content = {"declaration": self._key(declared), "inspection": inspection.to_dict()}
        self._place.files.put_record(inspection_record(declared.name), content)
        self._on_record.add(declared.name)
        return inspection

    def _note(self, declared: NetworkModel, record: Mapping[str, Any] | None) -> None:
        """Remember what is on record of a network, if it was inspected as it is declared now."""
        if record is None or record["declaration"] != self._key(declared):
            return
        with suppress(InspectionError):  # of another version
            self._inspected[declared.name] = Inspection.from_dict(record["inspection"])
            self._on_record.add(declared.name)

    def _key(self, declared: NetworkModel) -> str:
        return keys.inspection_key(network_fields(declared), data_fields(self._sweep.data))

    def _ingested_layers(self, declared: IngestedModel) -> tuple[LayerInfo, ...]:
        """Return the layers that were ingested for a model, as ``layer2`` before ``layer10``; none is a cut."""
        shapes = self._ingested.shapes(declared)
        return tuple(LayerInfo(name, shapes[name], is_cut=False) for name in sorted(shapes, key=_natural))

    def _control_layers(self, declared: Control) -> tuple[LayerInfo, ...]:
        """Return the layers of a control: those of the model that it permutes, or one of codes; none is a cut."""
        if isinstance(declared, RandomCodes):
            return (LayerInfo(CODES, declared.shape, is_cut=False),)
        return tuple(LayerInfo(info.name, info.shape, False, info.tokens) for info in self.of(declared.of))


def _chosen(known: Sequence[LayerInfo], choice: Sequence[str], declared: Model) -> tuple[LayerInfo, ...]:
    """Return the layers that globs and words choose, in the network's order, whatever the order of the choice.

    What a model says for itself must fit in each part. What several models share need not: names differ from family to
    family, and `Layers.demand_globs` sees to it that it fits somewhere. But no model may be without any layer.
    """
    fitting = {text: _fitting(known, text) for text in choice}
    idle = [text for text, names in fitting.items() if not names]
    if idle and (len(idle) == len(fitting) or not _shares(declared)):
        raise LayerError(
            where=f"{_key_of(declared)}, for model '{declared.name}'",
            expected="at least one layer of it",
            found=f"none that fits {' or '.join(repr(text) for text in idle)}, among {len(known)}",
            remedy=_remedy(idle[0], known, declared),
        )
    chosen = {name for names in fitting.values() for name in names}
    return tuple(info for info in known if info.name in chosen)


def _fitting(known: Sequence[LayerInfo], text: str) -> list[str]:
    """Return the names of the layers that a glob or a word chooses."""
    if layer_word(text) is None:
        return matching(known, text)
    return [info.name for info in meant(text, known)]


def _shares(declared: Model) -> bool:
    """Whether a model has its choice of layers in common with others: of its rule, or of [dump]."""
    rule = declared.rule if isinstance(declared, NetworkModel) else None
    return declared.layers is None or rule is not None


def _key_of(declared: Model) -> str:
    """Return where in the sweep a model's choice of layers stands."""
    if declared.layers is None:
        return "dump.layers"
    rule = declared.rule if isinstance(declared, NetworkModel) else None
    return "layers" if rule is None else f"layers of the rule '{rule}' in zoo"


def _remedy(text: str, known: Sequence[LayerInfo], declared: Model) -> str:
    names = [info.name for info in known if not info.is_function]
    near = suggestion(text, names) if layer_word(text) is None else ""
    own = "" if not _shares(declared) else " Or give this model `layers` of its own."
    return f"{near or 'Take another word, such as all:10, or globs over names.'}{own}"


def _natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts names as people do: numbers by value."""
    # Numbers compare by value, and text sorts before them by its first entry of −1.
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]
