"""The units of a sweep by step, in the order of a run's share, each with the units that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.shares import in_order, parts_of
from flows.unit import WHOLE, Unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.asked import Asked
    from flows.known import Known
    from stitchpipe.steps import Units

    Needs = dict[Unit, tuple[Unit, ...]]


@dataclass(frozen=True)
class DeclaredUnits:
    """The units of what is asked for, without those of some models.

    Attributes
    ----------
    known
        Who knows what of the run.
    without
        The models that units do without.
    """

    asked: Asked
    known: Known
    without: tuple[str, ...]

    def unit(self, step: str, subject: tuple[str, ...] = (), option: str | None = None) -> Unit:
        """Return a unit of a step, by what it is done to."""
        # What comes before the dumps depends on one model alone, and is the same whatever else failed.
        without = () if step in {"inspect", "train"} else self.without
        return Unit(step, self.asked.sweep, self.asked.out, subject, option, without)

    def stitches(self, unfitted: tuple[Unit, ...]) -> Needs:
        """Return the stitches; those that begin with a map need `unfitted`, the units that should have fitted it."""
        units, costs = self._all()
        targets = {names: costs.get(names, 1.0) for names in units.targets}
        return {
            self.unit("stitch", names): unfitted if names in units.mapped else ()
            for names in in_order(targets, self.asked.share)
        }

    def activations(self) -> Needs:
        """Return the trainings and dumps: a dump needs the training of its network, that of a control its origin's."""
        units, costs = self._all()
        trainings = {model: self.unit("train", (model,)) for model in units.models}
        if "dump" not in self.asked.steps:
            return dict.fromkeys(trainings.values(), ())
        parts = self._dumps(units, costs)
        begun = trainings if "train" in self.asked.steps else {}
        needs: Needs = {}

        def add(unit: Unit) -> None:
            model, split = unit.subject
            first = parts.get((units.origins.get(model, ""), split), ())
            if model in begun:
                first = (begun[model],)
                needs.setdefault(begun[model], ())
            for need in first:
                if need not in needs:
                    add(need)
            needs[unit] = first

        dumps = {unit: costs.get(names, 1.0) / len(each) for names, each in parts.items() for unit in each}
        for dump in in_order(dumps, self.asked.share):
            add(dump)
        return {**needs, **{unit: () for unit in begun.values() if unit not in needs}}

    def _dumps(
        self, units: Units, costs: Mapping[tuple[str, ...], float]
    ) -> dict[tuple[str, str], tuple[Unit, ...]]:
        """Return the dumps of each network and split: parts of it, as many as its cost is worth among the shares."""
        asked, total = self.asked, sum(costs.get(names, 1.0) for names in units.dumps)
        parts: dict[tuple[str, str], tuple[Unit, ...]] = {}
        for names in units.dumps:
            options = [WHOLE]  # one process makes a control
            if names[0] in units.models and asked.part != WHOLE:
                options = [asked.part]
            elif names[0] in units.models:
                count = parts_of(costs.get(names, 1.0), total, asked.share[1])
                options = [f"{number}/{count}" for number in range(1, count + 1)] if count > 1 else [WHOLE]
            parts[names] = tuple(self.unit("dump", names, option) for option in options)
        return parts

    def _all(self) -> tuple[Units, Mapping[tuple[str, ...], float]]:
        """Return the units that are declared, and what each costs."""
        asked = self.asked
        return (
            self.known.units(asked.sweep, asked.out, self.without),
            self.known.costs(asked.sweep, asked.out, self.without),
        )
