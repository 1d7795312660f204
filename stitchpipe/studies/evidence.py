"""What a study works with: the numbers of a run, taken apart into comparisons and stitches, and its facts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.studies.measures import ACCURACY, RELATIVE, compares_representations
from stitchpipe.studies.pairs import Pairs, of_indices
from stitchpipe.studies.stitches import PAIR, matrices, stitches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import pandas as pd

    from stitchpipe.studies.facts import Facts
    from stitchpipe.studies.indices import By


LAYER_COLUMNS: Final = ("model", "layer", "view", "measure", "value", "standard_error", "n_samples")


DELETION_COLUMNS: Final = (
    "model",
    "layer",
    "view",
    "index",
    "rank",
    "variance",
    "value",
    "accuracy",
    "whole_accuracy",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """The numbers of one run, and what is known of its models.

    Attributes
    ----------
    compared
        ``index``, ``view``, the pair, ``value``, and ``n_samples``, ``p_value``, ``p_family``, ``effect_size`` where
        they are known; each number once. Names may be categories.
    stitched
        As `stitchpipe.studies.stitches.stitches` gives them.
    facts
        Of the run's models.
    layers
        Numbers of single layers: ``model``, ``layer``, ``view``, ``measure``, ``value``, ``standard_error``,
        ``n_samples``.
    deletions
        Layers held against their own first principal components: ``model``, ``layer``, ``view``, ``index``, ``rank``,
        ``variance``, ``value``, and ``accuracy`` of a probe of what is left beside ``whole_accuracy``.
    label
        What the run is called.
    others
        Evidence of other runs, for studies that hold several runs against each other.
    left_out
        What was left out of it on the way, in words.
    """

    compared: pd.DataFrame
    stitched: pd.DataFrame
    facts: Facts
    layers: pd.DataFrame = field(default_factory=lambda: of_layers([]))
    deletions: pd.DataFrame = field(default_factory=lambda: of_deletions([]))
    label: str = ""
    others: tuple[Evidence, ...] = field(default=())
    left_out: tuple[str, ...] = ()

    @classmethod
    def of_results(cls, results: pd.DataFrame, facts: Facts, label: str = "") -> Evidence:
        """Take a catalogue's long form apart.

        Raises
        ------
        StudyError
            Two numbers for the same thing, or a layer that `facts` does not have.
        """
        return cls(
            compared=_slim(matrices(results)),
            stitched=stitches(results, facts.layer_order),
            facts=facts,
            label=label,
        )

    @cached_property
    def pairs(self) -> dict[By, Pairs]:
        """The comparisons once more as arrays, by index and view."""
        return of_indices(self.compared, self.facts.axis)

    @cached_property
    def networks(self) -> Evidence:
        """The evidence without controls, which are no networks: no claim speaks of them."""
        controls = self.facts.are("control")
        order = {model: layers for model, layers in self.facts.layer_order.items() if model not in controls}
        kept = _without(self, controls)
        return replace(kept, facts=replace(self.facts, layer_order=order))

    @cached_property
    def claims(self) -> Evidence:
        """The evidence without what no claim of the literature speaks of, and what that is.

        That is controls, networks with random weights on either side, stitches into networks whose own accuracy is at
        chance, and trainings for other objectives than the task.
        """
        return self._of_claims(all_objectives=False)

    @cached_property
    def claims_of_all_objectives(self) -> Evidence:
        """As `claims`, with trainings for whatever objective."""
        return self._of_claims(all_objectives=True)

    def _of_claims(self, *, all_objectives: bool) -> Evidence:
        networks = self.networks
        facts, said = networks.facts, list(self.left_out)
        untrained = [model for model in facts.are("untrained") if _speaks_of(networks, model)]
        if untrained:
            said.append(
                f"networks with random weights, of which the literature claims nothing: {', '.join(untrained)}"
            )
        kept = _without(networks, untrained)
        stitched = kept.stitched
        if len(stitched) and not all_objectives:
            is_other = stitched["objective"].map(compares_representations) & (stitched["method"] == "tlm")
            stitched = stitched[~is_other.astype(bool)]
        at_chance = _at_chance(kept)
        if at_chance:
            lost = stitched["target_model"].isin(at_chance)
            said.append(
                f"{int(lost.sum())} stitches into networks whose own accuracy cannot be told from chance: "
                f"{', '.join(at_chance)}"
            )
            stitched = stitched[~lost]
        order = {model: layers for model, layers in facts.layer_order.items() if model not in untrained}
        return replace(kept, stitched=stitched, facts=replace(facts, layer_order=order), left_out=tuple(said))

    def accuracy_of(self, model: str) -> float | None:
        """Return a network's own accuracy: as the run has it, or as follows from stitches into it."""
        if model in self.facts.accuracies:
            return self.facts.accuracies[model]
        if ACCURACY not in self.stitched or RELATIVE not in self.stitched:
            return None
        rows = self.stitched[(self.stitched["target_model"] == model) & (self.stitched[RELATIVE] > 0)]
        known = (rows[ACCURACY] / rows[RELATIVE]).dropna()
        return float(known.median()) if len(known) else None


def of_layers(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return numbers of single layers as `Evidence.layers` has them, from rows of the table of layers."""
    import pandas as pd  # noqa: PLC0415 - a third of a second that only whoever asks should pay

    return pd.DataFrame(list(rows), columns=list(LAYER_COLUMNS)).astype({"value": float})


def of_deletions(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return low-rank deletions as `Evidence.deletions` has them, from rows of the table of deletions."""
    import pandas as pd  # noqa: PLC0415 - as above

    numbers = ("value", "accuracy", "whole_accuracy", "variance", "rank")
    return pd.DataFrame(list(rows), columns=list(DELETION_COLUMNS)).astype(dict.fromkeys(numbers, float))


def _slim(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that studies read, names as categories: rows are taken apart many times."""
    names = ("index", "view", *PAIR)
    beside = [name for name in ("n_samples", "p_value", "p_family", "effect_size") if name in compared]
    return compared[[*names, "value", *beside]].astype(dict.fromkeys(names, "category") | {"value": float})


def _at_chance(evidence: Evidence) -> list[str]:
    """Return the networks that are stitched into and whose own accuracy cannot be told from chance."""
    stitched = evidence.stitched
    images = int(stitched["n_samples"].max()) if len(stitched) else None
    return [
        model
        for model in dict.fromkeys(stitched["target_model"])
        if evidence.facts.is_at_chance(model, evidence.accuracy_of(model), images)
    ]


def _speaks_of(evidence: Evidence, model: str) -> bool:
    return bool((evidence.layers["model"] == model).any()) or any(
        bool((frame[f"{side}_model"] == model).any())
        for frame in (evidence.compared, evidence.stitched)
        for side in ("source", "target")
    )


def _without(evidence: Evidence, models: Collection[str]) -> Evidence:
    if not models:
        return evidence
    compared, stitched = (
        frame[~(frame["source_model"].isin(models) | frame["target_model"].isin(models))]
        for frame in (evidence.compared, evidence.stitched)
    )
    layers, deletions = (
        frame[~frame["model"].isin(models)] for frame in (evidence.layers, evidence.deletions)
    )
    return replace(evidence, compared=compared, stitched=stitched, layers=layers, deletions=deletions)
